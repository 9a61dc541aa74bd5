// Counts one up in an eventfd that another process shares, as a guest's interrupt. Called by the workers; never waits.
#pragma once

namespace weft {

/// HOT. Who shares an eventfd may clear its O_NONBLOCK and fill its count at any time, also between a look and a write: then a write would
/// wait for as long as he likes. The kernel's own signal never does: it comes here with the completion of an asynchronous write
/// of one byte to /dev/null, io_submit(2). Where there is no such thing it is a plain write.
void ring_doorbell(int eventfd);

}  // namespace weft

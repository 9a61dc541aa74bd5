// Calls back when a descriptor becomes readable or writable: libuv's poll on the main environment's loop, for sockets that Node's own
// classes can't serve since their messages bring descriptors. Never used for frames.
#pragma once
#include <napi.h>

namespace weft {

/// `watch(fd, 'read' | 'write' | 'both', callback)`: answers `{ close() }`. Level-triggered: a callback that leaves something to read is
/// called again. Keeps the process alive until it is closed; must be closed before its descriptor is.
Napi::Value watch(const Napi::CallbackInfo& info);

}  // namespace weft

// Keeps the host's own stack from seeing what an interface receives, while packet sockets still do. Called by netdev.cc, main thread.
#pragma once
#include "descriptor.h"

namespace weft {

/// Drops everything that interface `ifindex` of this thread's namespace receives, right behind the packet sockets, until `*link` is
/// closed: the kernel takes it off when the process ends, however it ends. 0, or errno: EINVAL where the kernel has no TCX (before 6.6).
int shield_host(int ifindex, Descriptor* link);

}  // namespace weft

// Opening an interface that exists already for packet sockets. Called by addon-netdev.cc on the main thread.
#pragma once
#include <memory>
#include <string>

#include "packet.h"

namespace weft {

struct OpenedNetdev {
  Failure failure;
  std::shared_ptr<PacketDevice> device;
};

/// Opens interface `name` with a socket and a ring for each of `workers`, together of `slots` slots (kRingSlotBytes each, rounded to a power
/// of two, at least 64 a worker), in the network namespace at `netns` (this thread's, when null):
/// promiscuous, without what it sends itself, and with the host's own stack kept out where the kernel can do that (shield_error says).
OpenedNetdev open_netdev(const std::string& name, int32_t workers, int32_t slots, const char* netns);

}  // namespace weft

// The sockets that send a tunnel's datagrams: how they are set up. Called on the main thread; keeps nothing.
#pragma once
#include <vector>

#include "address.h"
#include "descriptor.h"
#include "failure.h"

namespace weft {

struct SenderOptions {
  bool gre = false;
  Address local;
  int32_t workers = 0;
  bool df = true;
  bool checksum = true;
  uint32_t scope = 0;  // index of the interface by which groups are reached; 0: as routed
};

/// Sockets of one worker: a flow takes one of them, so that flows differ in their source port. A power of two.
inline constexpr uint32_t kPoolSockets = 16;

/// Opens one worker's sockets: UDP, or for GRE a raw one. `subject` is who is named when it fails.
Failure open_sender_sockets(const SenderOptions& options, const std::string& subject, std::vector<Descriptor>* sockets);

}  // namespace weft

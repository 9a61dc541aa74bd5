// How the kernel would send from one address to another now. Asks, sends nothing. Main thread.
#pragma once
#include "address.h"

namespace weft {

struct Way {
  int error = 0;        // errno; 0: there is one
  uint32_t mtu = 0;     // the path's, as the kernel knows it
  uint32_t device = 0;  // index of the interface; 0: unknown
};

/// `scope`: index of the interface of link-local addresses and groups; 0: as routed. Both addresses are of one family.
Way way_to(const Address& local, const Address& remote, uint32_t scope);

}  // namespace weft

// What came back for a tunnel's remotes: ICMP errors and what the kernel itself knew. Workers note, on errors only; the main thread takes
// the notes away, at most one row per address.
#pragma once
#include <mutex>
#include <vector>

#include "address.h"

namespace weft {

struct TunnelTrouble {
  Address address;
  int error = 0;     // errno, the last one
  uint32_t mtu = 0;  // with EMSGSIZE the path's, where it was told
  uint32_t count = 0;
};

class TunnelTroubles {
 public:
  TunnelTroubles() { rows_.reserve(kRowsMax); }

  /// Of more addresses than there are rows the later ones are not noted: they come again.
  void note(const Address& address, int error, uint32_t mtu);
  std::vector<TunnelTrouble> take();
  /// All that were noted, also those that found no row.
  uint64_t total();

 private:
  static constexpr size_t kRowsMax = 256;
  std::mutex lock_;
  std::vector<TunnelTrouble> rows_;
  uint64_t total_ = 0;
};

/// What a look at an error queue found.
struct ErrorsFound {
  uint32_t told = 0;   // by others: of datagrams that had been sent
  uint32_t local = 0;  // by this host: of one that was not
};

/// Takes the errors off the socket's queue and notes them. Any thread.
ErrorsFound take_errors(int fd, TunnelTroubles& troubles);

}  // namespace weft

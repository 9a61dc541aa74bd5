// Tunnel headers in a datagram: where the frame behind them starts, and what is told of them beside it. Called by a worker for every
// datagram. Reads nothing beyond the datagram; which VNI or key is whose, and whether flags allow it, is not decided here.
#pragma once
#include <cstdint>

#include "abi.h"

namespace weft {

enum class TunnelKind { kVxlan, kGeneve, kGre };

/// The shortest frame that is worth being listed: an Ethernet header.
inline constexpr uint32_t kInnerBytesMin = 14;

struct Stripped {
  /// Of the header; what follows is the frame. Without meaning when it is bad.
  uint32_t header_bytes;
  /// The words Arrival.HEADER and KEY, as they lie.
  uint32_t header;
  uint32_t key;
  /// kArrivalCritical, kArrivalBad, or both.
  int32_t flags;
};

/// RFC 7348 section 5, RFC 8926 section 3.4, RFC 2784 with RFC 2890. Bad is what its header runs over the end of, what is no GRE with an
/// Ethernet frame in it, and what leaves no room for an Ethernet header.
Stripped strip(TunnelKind kind, const uint8_t* at, uint32_t bytes);

}  // namespace weft

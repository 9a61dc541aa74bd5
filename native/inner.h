// What lies in a frame that came by a tunnel, as far as unfinished checksums and the merging of segments need it: Ethernet with at most two
// tags, IPv4 or IPv6, TCP or UDP. Called by a worker for every such frame. Reads nothing beyond it, and copies nothing.
#pragma once
#include <cstdint>

namespace weft {

enum class InnerKind : uint8_t {
  kOther,  // no IP, or of another protocol
  kOdd,    // a fragment, extension headers, cut: may be of any flow
  kTcp,
  kUdp,
};

/// Places count from the frame's first byte. Those from l4_at on have a meaning only for TCP and UDP, whose headers then lie before `end`.
struct Inner {
  InnerKind kind;
  bool ipv6;
  bool options;  // of IPv4
  uint32_t l3_at;
  uint32_t l4_at;
  uint32_t payload_at;
  /// Where the packet ends by what its header says: at the frame's end or before it, where that is padded.
  uint32_t end;
};

Inner read_inner(const uint8_t* frame, uint32_t bytes);

/// The sum of the pseudo-header of a TCP or UDP packet whose last part has `l4_bytes`: RFC 9293, section 3.1; RFC 8200, section 8.1.
uint64_t pseudo_sum(const uint8_t* frame, const Inner& inner, uint32_t l4_bytes);

/// Where TCP's or UDP's checksum lies, from its header's start.
uint32_t checksum_offset(const Inner& inner);

/// Whether the checksum field of a TCP or UDP packet holds no more than the pseudo-header's sum, as a sender leaves it whose device would
/// have done the rest. Nothing but zeros may follow the packet then: who finishes it sums to the frame's end. One in 65,536 finished
/// ones looks the same, and finishing it again changes nothing.
bool is_unfinished(const uint8_t* frame, const Inner& inner, uint32_t bytes);

}  // namespace weft

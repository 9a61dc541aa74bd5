// Where fields stand in the headers of a frame, and the numbers in them: names for bytes, no code. For what finishes, merges and judges frames;
// the path has its own in dataplane/wire.
#pragma once
#include <cstdint>

namespace weft {

inline constexpr uint32_t kEthernetTypeAt = 12;
inline constexpr uint32_t kEthernetBytes = kEthernetTypeAt + 2;
inline constexpr uint32_t kTagBytes = 4;
inline constexpr uint32_t kTagMax = 2;
inline constexpr uint16_t kTypeVlan = 0x8100;
inline constexpr uint16_t kTypeServiceVlan = 0x88a8;
inline constexpr uint16_t kTypeIpv4 = 0x0800;
inline constexpr uint16_t kTypeIpv6 = 0x86dd;

// RFC 791, section 3.1
inline constexpr uint32_t kIpv4LengthAt = 2;
inline constexpr uint32_t kIpv4IdAt = 4;
inline constexpr uint32_t kIpv4FragmentAt = 6;
inline constexpr uint16_t kIpv4FragmentMask = 0x3fff;  // more fragments, and the offset
inline constexpr uint32_t kIpv4ProtocolAt = 9;
inline constexpr uint32_t kIpv4ChecksumAt = 10;
inline constexpr uint32_t kIpv4AddressesAt = 12;
inline constexpr uint32_t kIpv4AddressesBytes = 8;
inline constexpr uint32_t kIpv4Bytes = kIpv4AddressesAt + kIpv4AddressesBytes;

// RFC 8200, sections 3 and 4
inline constexpr uint32_t kIpv6LengthAt = 4;
inline constexpr uint32_t kIpv6NextAt = 6;
inline constexpr uint32_t kIpv6AddressesAt = 8;
inline constexpr uint32_t kIpv6AddressesBytes = 32;
inline constexpr uint32_t kIpv6Bytes = kIpv6AddressesAt + kIpv6AddressesBytes;
inline constexpr uint8_t kHopByHop = 0;
inline constexpr uint8_t kRouting = 43;
inline constexpr uint8_t kDestination = 60;

// RFC 9293, section 3.1
inline constexpr uint8_t kTcp = 6;
inline constexpr uint32_t kTcpSequenceAt = 4;
inline constexpr uint32_t kTcpOffsetAt = 12;
inline constexpr uint32_t kTcpFlagsAt = 13;
inline constexpr uint32_t kTcpChecksumAt = 16;
inline constexpr uint32_t kTcpBytes = 20;

// RFC 768
inline constexpr uint8_t kUdp = 17;
inline constexpr uint32_t kUdpLengthAt = 4;
inline constexpr uint32_t kUdpChecksumAt = 6;
inline constexpr uint32_t kUdpBytes = 8;

}  // namespace weft

// HOT: once per frame that came by a tunnel.
#include "inner.h"

#include "checksum.h"
#include "headers.h"

namespace weft {

namespace {

// RFC 8200, sections 3 and 4
constexpr uint8_t kFragment = 44;

// Of the shortest frame that Ethernet has on a wire, what may follow an IP header.
constexpr uint32_t kPaddingMax = 46;

bool is_extension(uint8_t next) { return next == kHopByHop || next == kRouting || next == kFragment || next == kDestination; }

/// The transport header, which must lie before the packet's end.
void read_l4(const uint8_t* frame, uint8_t protocol, Inner& inner) {
  if (protocol != kTcp && protocol != kUdp) return;
  inner.kind = InnerKind::kOdd;
  const uint8_t* const l4 = frame + inner.l4_at;
  const uint32_t l4_bytes = inner.end - inner.l4_at;
  if (protocol == kUdp) {
    if (l4_bytes < kUdpBytes || read16(l4 + kUdpLengthAt) != l4_bytes) return;
    inner.payload_at = inner.l4_at + kUdpBytes;
    inner.kind = InnerKind::kUdp;
    return;
  }
  if (l4_bytes < kTcpBytes) return;
  const uint32_t header_bytes = (l4[kTcpOffsetAt] >> 4) * 4u;
  if (header_bytes < kTcpBytes || header_bytes > l4_bytes) return;
  inner.payload_at = inner.l4_at + header_bytes;
  inner.kind = InnerKind::kTcp;
}

void read_ipv4(const uint8_t* frame, uint32_t bytes, Inner& inner) {
  const uint8_t* const ip = frame + inner.l3_at;
  if (bytes - inner.l3_at < kIpv4Bytes || ip[0] >> 4 != 4) return;
  const uint32_t header_bytes = (ip[0] & 15u) * 4;
  const uint32_t length = read16(ip + kIpv4LengthAt);
  if (header_bytes < kIpv4Bytes || length < header_bytes || length > bytes - inner.l3_at) return;
  inner.options = header_bytes != kIpv4Bytes;
  inner.l4_at = inner.l3_at + header_bytes;
  inner.end = inner.l3_at + length;
  if ((read16(ip + kIpv4FragmentAt) & kIpv4FragmentMask) != 0) {
    inner.kind = InnerKind::kOdd;
    return;
  }
  read_l4(frame, ip[kIpv4ProtocolAt], inner);
}

void read_ipv6(const uint8_t* frame, uint32_t bytes, Inner& inner) {
  const uint8_t* const ip = frame + inner.l3_at;
  if (bytes - inner.l3_at < kIpv6Bytes || ip[0] >> 4 != 6) return;
  const uint32_t length = read16(ip + kIpv6LengthAt);
  if (length > bytes - inner.l3_at - kIpv6Bytes) return;
  inner.l4_at = inner.l3_at + kIpv6Bytes;
  inner.end = inner.l4_at + length;
  const uint8_t next = ip[kIpv6NextAt];
  if (is_extension(next)) {
    inner.kind = InnerKind::kOdd;
    return;
  }
  read_l4(frame, next, inner);
}

}  // namespace

Inner read_inner(const uint8_t* frame, uint32_t bytes) {
  Inner inner{InnerKind::kOther, false, false, kEthernetBytes, 0, 0, 0};
  if (bytes < kEthernetBytes) return inner;
  uint16_t type = read16(frame + kEthernetTypeAt);
  for (uint32_t tag = 0; tag < kTagMax && (type == kTypeVlan || type == kTypeServiceVlan); tag++) {
    inner.l3_at += kTagBytes;
    if (inner.l3_at > bytes) return inner;
    type = read16(frame + inner.l3_at - 2);
  }
  inner.ipv6 = type == kTypeIpv6;
  if (type == kTypeIpv4) read_ipv4(frame, bytes, inner);
  if (type == kTypeIpv6) read_ipv6(frame, bytes, inner);
  return inner;
}

uint64_t pseudo_sum(const uint8_t* frame, const Inner& inner, uint32_t l4_bytes) {
  const uint8_t protocol = inner.kind == InnerKind::kTcp ? kTcp : kUdp;
  const uint64_t sum = uint64_t{wire16(static_cast<uint16_t>(l4_bytes))} + wire16(protocol);
  const uint8_t* const ip = frame + inner.l3_at;
  return inner.ipv6 ? sum_bytes(ip + kIpv6AddressesAt, kIpv6AddressesBytes, sum) : sum_bytes(ip + kIpv4AddressesAt, kIpv4AddressesBytes, sum);
}

uint32_t checksum_offset(const Inner& inner) { return inner.kind == InnerKind::kTcp ? kTcpChecksumAt : kUdpChecksumAt; }

bool is_unfinished(const uint8_t* frame, const Inner& inner, uint32_t bytes) {
  uint16_t field;
  std::memcpy(&field, frame + inner.l4_at + checksum_offset(inner), sizeof field);
  if (field != fold(pseudo_sum(frame, inner, inner.end - inner.l4_at))) return false;
  if (bytes - inner.end > kPaddingMax) return false;
  for (uint32_t at = inner.end; at < bytes; at++) {
    if (frame[at] != 0) return false;
  }
  return true;
}

}  // namespace weft

// See finish.h. Segmentation follows what Linux does for the same frame, so that a receiver can't tell who did it.
#include "finish.h"

#include <cstring>

#include "checksum.h"
#include "headers.h"

namespace weft {

// Where the headers of a super-frame lie, checked: everything below header_bytes lies in the head.
struct Shape {
  uint32_t l3_at;
  uint32_t l4_at;
  uint32_t header_bytes;
  uint8_t protocol;
  bool ipv6;
};

namespace {

// RFC 791, section 3.1
constexpr uint8_t kOptionEnd = 0;
constexpr uint8_t kOptionNothing = 1;
constexpr uint8_t kOptionLooseRoute = 131;
constexpr uint8_t kOptionStrictRoute = 137;

// RFC 8200, sections 3 and 4
constexpr uint32_t kExtensionBytesMin = 8;
constexpr uint32_t kRoutingLeftAt = 3;

// RFC 9293, section 3.1
constexpr uint8_t kTcpLastOnly = 0x08 | 0x01;  // PSH, FIN
constexpr uint8_t kTcpFirstOnly = 0x80;        // CWR

// Reads a frame once, from a place in its head to its end.
class Reader {
 public:
  Reader(const Unfinished& frame, uint32_t from)
      : at_(frame.head + from), left_(frame.head_bytes - from), next_(frame.tail) {}

  // The caller never asks for more than the frame has: `is_whole` compared the ranges with the length.
  void copy(uint8_t* to, uint32_t bytes) {
    while (bytes != 0) {
      while (left_ == 0) {
        at_ = next_->at;
        left_ = next_->bytes;
        next_++;
      }
      const uint32_t piece = bytes < left_ ? bytes : left_;
      std::memcpy(to, at_, piece);
      to += piece;
      bytes -= piece;
      at_ += piece;
      left_ -= piece;
    }
  }

 private:
  const uint8_t* at_;
  uint32_t left_;
  const Range* next_;
};

// Head and ranges add up to the frame's length.
bool is_whole(const Unfinished& frame) {
  if (frame.length > kSuperFrameMax || frame.head_bytes > frame.length || frame.tail_count < 0) return false;
  uint64_t bytes = frame.head_bytes;
  for (int32_t i = 0; i < frame.tail_count; i++) bytes += frame.tail[i].bytes;
  return bytes == frame.length;
}

// Where the network header begins and which it is, or 0: behind at most two tags.
uint32_t find_l3(const Unfinished& frame, uint16_t& type) {
  uint32_t at = kEthernetBytes;
  if (at > frame.head_bytes) return 0;
  type = read16(frame.head + kEthernetTypeAt);
  for (uint32_t tag = 0; tag < kTagMax && (type == kTypeVlan || type == kTypeServiceVlan); tag++) {
    at += kTagBytes;
    if (at > frame.head_bytes) return 0;
    type = read16(frame.head + at - 2);
  }
  return at;
}

// True when the options name a route: the pseudo-header's destination is then not the one in the header.
bool has_source_route(const uint8_t* options, uint32_t bytes) {
  for (uint32_t at = 0; at < bytes;) {
    const uint8_t kind = options[at];
    if (kind == kOptionEnd) return false;
    if (kind == kOptionNothing) {
      at++;
      continue;
    }
    if (kind == kOptionLooseRoute || kind == kOptionStrictRoute) return true;
    if (at + 1 >= bytes || options[at + 1] < 2) return false;
    at += options[at + 1];
  }
  return false;
}

// A length of 0 is what some senders leave there for the segmenter; any other must be the frame's.
bool find_l4_ipv4(const Unfinished& frame, Shape& shape) {
  if (shape.l3_at + kIpv4Bytes > frame.head_bytes) return false;
  const uint8_t* ip = frame.head + shape.l3_at;
  const uint32_t header_bytes = (ip[0] & 15u) * 4;
  if (ip[0] >> 4 != 4 || header_bytes < kIpv4Bytes || shape.l3_at + header_bytes > frame.head_bytes) return false;
  const uint32_t bytes = frame.length - shape.l3_at;
  const uint32_t said = read16(ip + kIpv4LengthAt);
  if (bytes > 0xffff || (said != bytes && said != 0)) return false;
  if ((read16(ip + kIpv4FragmentAt) & kIpv4FragmentMask) != 0) return false;
  if (has_source_route(ip + kIpv4Bytes, header_bytes - kIpv4Bytes)) return false;
  shape.l4_at = shape.l3_at + header_bytes;
  shape.protocol = ip[kIpv4ProtocolAt];
  return true;
}

// Steps over the extension headers that Linux segments too; a routing header only when the route is done, as above.
bool find_l4_ipv6(const Unfinished& frame, Shape& shape) {
  uint32_t at = shape.l3_at + kIpv6Bytes;
  if (at > frame.head_bytes) return false;
  const uint8_t* ip = frame.head + shape.l3_at;
  if (ip[0] >> 4 != 6 || read16(ip + kIpv6LengthAt) != frame.length - at) return false;
  uint8_t next = ip[kIpv6NextAt];
  while (next == kHopByHop || next == kRouting || next == kDestination) {
    if (at + kExtensionBytesMin > frame.head_bytes) return false;
    const uint8_t* extension = frame.head + at;
    if (next == kRouting && extension[kRoutingLeftAt] != 0) return false;
    next = extension[0];
    at += (extension[1] + 1u) * 8;
  }
  shape.l4_at = at;
  shape.protocol = next;
  return true;
}

uint32_t checksum_at(const Shape& shape) { return shape.protocol == kTcp ? kTcpChecksumAt : kUdpChecksumAt; }

// The transport header lies in the head and is where the sender said; afterwards header_bytes <= head_bytes.
bool find_payload(const Unfinished& frame, Shape& shape) {
  const bool tcp = shape.protocol == kTcp;
  if (shape.l4_at + (tcp ? kTcpBytes : kUdpBytes) > frame.head_bytes) return false;
  const uint32_t bytes = tcp ? (frame.head[shape.l4_at + kTcpOffsetAt] >> 4) * 4u : kUdpBytes;
  if (tcp && bytes < kTcpBytes) return false;
  shape.header_bytes = shape.l4_at + bytes;
  if (shape.header_bytes > frame.head_bytes) return false;
  if (!frame.needs_checksum) return true;
  return frame.checksum_start == shape.l4_at && frame.checksum_offset == checksum_at(shape);
}

// False when the description contradicts the headers, or names what can't be cut.
bool find_shape(const Unfinished& frame, Shape& shape) {
  uint16_t type = 0;
  shape.l3_at = find_l3(frame, type);
  if (shape.l3_at == 0 || frame.gso_size == 0) return false;
  shape.ipv6 = type == kTypeIpv6;
  if (!shape.ipv6 && type != kTypeIpv4) return false;
  if (!(shape.ipv6 ? find_l4_ipv6(frame, shape) : find_l4_ipv4(frame, shape))) return false;
  if (frame.gso_type == kGsoUdpL4) return shape.protocol == kUdp && find_payload(frame, shape);
  const uint8_t tcp_type = shape.ipv6 ? kGsoTcpV6 : kGsoTcpV4;
  return (frame.gso_type & ~kGsoEcn) == tcp_type && shape.protocol == kTcp && find_payload(frame, shape);
}

void write_checksum(uint8_t* at, uint64_t sum, bool udp) {
  uint16_t word = static_cast<uint16_t>(~fold(sum));
  if (udp && word == 0) word = 0xffff;
  std::memcpy(at, &word, sizeof word);
}

// The field holds the pseudo-header's sum, so it is summed with the rest. Offset 6 is UDP's, where 0 means "none".
void finish_checksum(const Unfinished& frame, uint8_t* at) {
  if (!frame.needs_checksum) return;
  const uint64_t sum = sum_bytes(at + frame.checksum_start, frame.length - frame.checksum_start, 0);
  const bool udp = frame.checksum_offset == kUdpChecksumAt;
  write_checksum(at + frame.checksum_start + frame.checksum_offset, sum, udp);
}

// The field must lie in the head and behind the tags: what the path checked there, a checksum must not overwrite.
bool can_finish_checksum(const Unfinished& frame) {
  if (!frame.needs_checksum) return true;
  uint16_t type = 0;
  const uint32_t l3_at = find_l3(frame, type);
  if (l3_at == 0 || frame.checksum_start < l3_at) return false;
  return uint32_t{frame.checksum_start} + frame.checksum_offset + 2 <= frame.head_bytes;
}

void write_ip(uint8_t* at, const Shape& shape, uint32_t index, uint32_t frame_bytes) {
  uint8_t* ip = at + shape.l3_at;
  if (shape.ipv6) {
    write16(ip + kIpv6LengthAt, frame_bytes - shape.l3_at - kIpv6Bytes);
    return;
  }
  write16(ip + kIpv4LengthAt, frame_bytes - shape.l3_at);
  write16(ip + kIpv4IdAt, read16(ip + kIpv4IdAt) + index);
  write16(ip + kIpv4ChecksumAt, 0);
  write_checksum(ip + kIpv4ChecksumAt, sum_bytes(ip, shape.l4_at - shape.l3_at, 0), false);
}

void write_tcp(uint8_t* tcp, uint32_t payload_before, bool first, bool last) {
  write32(tcp + kTcpSequenceAt, read32(tcp + kTcpSequenceAt) + payload_before);
  if (!last) tcp[kTcpFlagsAt] &= static_cast<uint8_t>(~kTcpLastOnly);
  if (!first) tcp[kTcpFlagsAt] &= static_cast<uint8_t>(~kTcpFirstOnly);
}

// With the pseudo-header (RFC 9293, section 3.1; RFC 8200, section 8.1) from the addresses, whatever the field held.
// Headers have an even number of bytes, so that the sum goes on behind them.
void write_l4_checksum(uint8_t* at, const Shape& shape, uint32_t frame_bytes, const uint8_t* payload) {
  const uint32_t l4_bytes = frame_bytes - shape.l4_at;
  const uint8_t* addresses = at + shape.l3_at + (shape.ipv6 ? kIpv6AddressesAt : kIpv4AddressesAt);
  uint64_t sum = uint64_t{wire16(static_cast<uint16_t>(l4_bytes))} + wire16(shape.protocol);
  sum = sum_bytes(addresses, shape.ipv6 ? kIpv6AddressesBytes : kIpv4AddressesBytes, sum);
  uint8_t* field = at + shape.l4_at + checksum_at(shape);
  write16(field, 0);
  sum = sum_bytes(at + shape.l4_at, shape.header_bytes - shape.l4_at, sum);
  write_checksum(field, sum_bytes(payload, frame_bytes - shape.header_bytes, sum), shape.protocol == kUdp);
}

// The headers of segment `index`, whose payload lies elsewhere or behind them.
void write_headers(uint8_t* at, const Shape& shape, uint32_t index, uint32_t count, uint32_t before, uint32_t bytes, const uint8_t* payload) {
  write_ip(at, shape, index, bytes);
  if (shape.protocol == kTcp) {
    write_tcp(at + shape.l4_at, before, index == 0, index + 1 == count);
  } else {
    write16(at + shape.l4_at + kUdpLengthAt, bytes - shape.l4_at);
  }
  write_l4_checksum(at, shape, bytes, payload);
}

}  // namespace

uint8_t* Finisher::take(uint32_t room, uint32_t bytes) {
  uint8_t* at = scratch_ + used_;
  std::memset(at, 0, room);
  used_ += size_t{room} + bytes;
  return at + room;
}

int32_t Finisher::copy_whole(const Unfinished& frame, uint32_t room, Range* out, int32_t out_max) {
  if (out_max < 1 || uint64_t{room} + frame.length > bytes_ - used_) return kNoScratch;
  uint8_t* at = take(room, frame.length);
  Reader(frame, 0).copy(at, frame.length);
  finish_checksum(frame, at);
  out[0] = Range{at, frame.length};
  return 1;
}

int32_t Finisher::cut(const Unfinished& frame, const Shape& shape, uint32_t room, Range* out, int32_t out_max) {
  const uint32_t payload = frame.length - shape.header_bytes;
  const uint32_t count = segment_count(frame.length, shape.header_bytes, frame.gso_size);
  const uint64_t need = count * (uint64_t{room} + shape.header_bytes) + payload;
  if (out_max < 0 || count > static_cast<uint32_t>(out_max) || need > bytes_ - used_) return kNoScratch;
  Reader reader(frame, shape.header_bytes);
  for (uint32_t i = 0; i < count; i++) {
    const uint32_t before = i * frame.gso_size;
    const uint32_t left = payload - before;
    const uint32_t piece = left < frame.gso_size ? left : frame.gso_size;
    const uint32_t bytes = shape.header_bytes + piece;
    uint8_t* at = take(room, bytes);
    std::memcpy(at, frame.head, shape.header_bytes);
    reader.copy(at + shape.header_bytes, piece);
    write_headers(at, shape, i, count, before, bytes, at + shape.header_bytes);
    out[i] = Range{at, bytes};
  }
  return static_cast<int32_t>(count);
}

int32_t Finisher::cut_in_place(const Unfinished& frame, uint32_t room, Range* out, int32_t out_max) {
  Shape shape{};
  if (!is_whole(frame) || frame.gso_type == kGsoNone || !find_shape(frame, shape)) return kBadOffload;
  const uint32_t payload = frame.length - shape.header_bytes;
  const uint32_t count = segment_count(frame.length, shape.header_bytes, frame.gso_size);
  const uint64_t need = count * (uint64_t{room} + shape.header_bytes);
  if (out_max < 0 || count > static_cast<uint32_t>(out_max) / 2 || need > bytes_ - used_) return kNoScratch;
  for (uint32_t i = 0; i < count; i++) {
    const uint32_t before = i * frame.gso_size;
    const uint32_t left = payload - before;
    const uint32_t piece = left < frame.gso_size ? left : frame.gso_size;
    const uint8_t* const from = frame.head + shape.header_bytes + before;
    uint8_t* at = take(room, shape.header_bytes);
    std::memcpy(at, frame.head, shape.header_bytes);
    write_headers(at, shape, i, count, before, shape.header_bytes + piece, from);
    out[2 * i] = Range{at, shape.header_bytes};
    out[2 * i + 1] = Range{from, piece};
  }
  return static_cast<int32_t>(count);
}

int32_t Finisher::finish(const Unfinished& frame, uint32_t room, Range* out, int32_t out_max) {
  if (!is_whole(frame)) return kBadOffload;
  if (frame.gso_type == kGsoNone) {
    return can_finish_checksum(frame) ? copy_whole(frame, room, out, out_max) : kBadOffload;
  }
  Shape shape{};
  if (!find_shape(frame, shape)) return kBadOffload;
  return cut(frame, shape, room, out, out_max);
}

}  // namespace weft

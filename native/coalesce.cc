// HOT: once per datagram. The rules are those of Linux's GRO (inet_gro_receive, ipv6_gro_receive, tcp_gro_receive), so that who cuts a
// merged frame again gets what was sent.
#include "coalesce.h"

#include <algorithm>
#include <cstring>

#include "checksum.h"
#include "headers.h"

namespace weft {

namespace {

constexpr uint16_t kIpv4DontFragment = 0x4000;
constexpr uint32_t kIpv4TtlAt = 8;
constexpr uint32_t kIpv6HopsAt = 7;
constexpr uint32_t kPacketBytesMax = 65535;

// RFC 9293, section 3.1
constexpr uint32_t kPortsBytes = 4;
constexpr uint32_t kTcpAckAt = 8;
constexpr uint32_t kTcpWindowAt = 14;
constexpr uint32_t kTcpUrgentAt = 18;
constexpr uint8_t kFin = 0x01;
constexpr uint8_t kPush = 0x08;
constexpr uint8_t kAck = 0x10;
constexpr uint8_t kEce = 0x40;

constexpr uint8_t kNeedsChecksum = 1;
constexpr uint16_t kGood = 0xffff;
// A packet with an unfinished checksum that is longer than any on a usual wire is a super-frame that never saw one: a sender on this
// machine, or one that the kernel merged below a raw socket. What its segments were nobody tells; these fit everywhere.
constexpr uint32_t kUsualPacketBytes = 1500;
constexpr uint32_t kGuessedPacketBytes = 1280;

struct Vnet {
  uint8_t flags = 0;
  uint8_t gso_type = kGsoNone;
  uint16_t header_bytes = 0;
  uint16_t gso_size = 0;
  uint16_t checksum_start = 0;
  uint16_t checksum_offset = 0;
  uint16_t buffers = 0;
};
static_assert(sizeof(Vnet) == kVnetBytes);

uint64_t load64(const uint8_t* at) {
  uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}
uint32_t load32(const uint8_t* at) {
  uint32_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}
bool same16(const uint8_t* a, const uint8_t* b) { return a[0] == b[0] && a[1] == b[1]; }

const uint8_t* addresses_of(const Arrived& arrived, const Inner& inner) {
  return arrived.frame + inner.l3_at + (inner.ipv6 ? kIpv6AddressesAt : kIpv4AddressesAt);
}

/// Differs for most flows; those that share one are told apart by same_flow.
uint64_t flow_of(const Arrived& arrived, const Inner& inner) {
  const uint8_t* const addresses = addresses_of(arrived, inner);
  uint64_t flow = load64(addresses) ^ uint64_t{load32(arrived.frame + inner.l4_at)} * 0x9e3779b97f4a7c15u;
  if (inner.ipv6) flow ^= load64(addresses + 8) * 3 ^ load64(addresses + 16) * 5 ^ load64(addresses + 24) * 7;
  return flow;
}

/// Between the same two, by the same tunnel. All else may end a frame, but not hide that what comes later is later.
bool same_flow(const Arrived& a, const Inner& in_a, const Arrived& b, const Inner& in_b) {
  if (in_a.ipv6 != in_b.ipv6 || a.stripped.key != b.stripped.key) return false;
  if (load32(a.frame + in_a.l4_at) != load32(b.frame + in_b.l4_at)) return false;
  if (std::memcmp(addresses_of(a, in_a), addresses_of(b, in_b), in_a.ipv6 ? kIpv6AddressesBytes : kIpv4AddressesBytes) != 0) return false;
  return std::memcmp(a.origin->address, b.origin->address, sizeof a.origin->address) == 0;
}

bool same_outside(const Arrived& a, const Arrived& b) {
  if (a.origin->tos != b.origin->tos || a.stripped.header != b.stripped.header || a.stripped.flags != b.stripped.flags) return false;
  const uint32_t bytes = a.stripped.header_bytes;
  return bytes == b.stripped.header_bytes && (bytes <= 8 || std::memcmp(a.frame - bytes, b.frame - bytes, bytes) == 0);
}

/// Addresses and tags of the frame, and all of the IP header but lengths, ID and checksum.
bool same_network(const Arrived& a, const Inner& in_a, const Arrived& b, const Inner& in_b) {
  if (in_a.l3_at != in_b.l3_at || in_b.options || std::memcmp(a.frame, b.frame, in_a.l3_at) != 0) return false;
  const uint8_t* const x = a.frame + in_a.l3_at;
  const uint8_t* const y = b.frame + in_b.l3_at;
  if (in_a.ipv6) return load32(x) == load32(y) && x[kIpv6HopsAt] == y[kIpv6HopsAt];
  return same16(x, y) && same16(x + kIpv4FragmentAt, y + kIpv4FragmentAt) && x[kIpv4TtlAt] == y[kIpv4TtlAt];
}

/// All of the TCP header but sequence, checksum, PSH and FIN.
bool same_transport(const Arrived& a, const Inner& in_a, const Arrived& b, const Inner& in_b) {
  const uint8_t* const x = a.frame + in_a.l4_at;
  const uint8_t* const y = b.frame + in_b.l4_at;
  if (load32(x + kTcpAckAt) != load32(y + kTcpAckAt) || x[kTcpOffsetAt] != y[kTcpOffsetAt]) return false;
  if (((x[kTcpFlagsAt] ^ y[kTcpFlagsAt]) & ~(kPush | kFin)) != 0) return false;
  if (!same16(x + kTcpWindowAt, y + kTcpWindowAt) || !same16(x + kTcpUrgentAt, y + kTcpUrgentAt)) return false;
  return std::memcmp(x + kTcpBytes, y + kTcpBytes, in_a.payload_at - in_a.l4_at - kTcpBytes) == 0;
}

bool is_sound(const Arrived& arrived, const Inner& inner, bool unfinished) {
  const uint8_t* const ip = arrived.frame + inner.l3_at;
  if (!inner.ipv6 && fold(sum_bytes(ip, kIpv4Bytes, 0)) != kGood) return false;
  if (unfinished) return true;
  const uint32_t bytes = inner.end - inner.l4_at;
  return fold(sum_bytes(arrived.frame + inner.l4_at, bytes, pseudo_sum(arrived.frame, inner, bytes))) == kGood;
}

/// Whether others may follow it in one frame.
bool can_begin(const Arrived& arrived, const Inner& inner) {
  const uint8_t flags = arrived.frame[inner.l4_at + kTcpFlagsAt];
  return (flags & ~kEce) == kAck && !inner.options && inner.end == arrived.bytes && inner.payload_at < inner.end;
}

}  // namespace

void Coalescer::begin(Slots& slots, int32_t port, int32_t most) {
  slots_ = &slots;
  port_ = port;
  most_ = most;
  frames_ = 0;
  pieces_left_ = slots.pieces_room();
  large_left_ = slots.large_room();
}

void Coalescer::account() {
  frames_++;
  pieces_left_--;
  large_left_--;
}

bool Coalescer::put(const Arrived& arrived) {
  if (!has_room()) return false;
  const Inner inner = read_inner(arrived.frame, arrived.bytes);
  if (inner.kind == InnerKind::kTcp) {
    put_tcp(arrived, inner);
    return true;
  }
  if (inner.kind == InnerKind::kOdd) close_all();
  account();
  list_one(arrived, &inner);
  return true;
}

bool Coalescer::put_bad(const Origin& origin, const uint8_t* at, uint32_t bytes) {
  if (!has_room()) return false;
  account();
  const Stripped stripped{0, bytes >= 4 ? load32(at) : 0, bytes >= 8 ? load32(at + 4) : 0, kArrivalBad};
  list_one({&origin, stripped, at, std::min(bytes, static_cast<uint32_t>(kHeadBytes))}, nullptr);
  return true;
}

void Coalescer::end() { close_all(); }

void Coalescer::put_tcp(const Arrived& arrived, const Inner& inner) {
  const uint64_t flow = flow_of(arrived, inner);
  Open* const found = find(flow, arrived, inner);
  if (found != nullptr) {
    if (join(*found, arrived, inner)) return;
    close(*found);
  }
  account();
  if (!can_begin(arrived, inner)) return list_one(arrived, &inner);
  open(flow, arrived, inner);
}

Coalescer::Open* Coalescer::find(uint64_t flow, const Arrived& arrived, const Inner& inner) {
  for (int32_t k = 0; k < open_count_; k++) {
    Open* const open = order_[k];
    if (open->flow == flow && same_flow(open->arrived, open->inner, arrived, inner)) return open;
  }
  return nullptr;
}

void Coalescer::open(uint64_t flow, const Arrived& arrived, const Inner& inner) {
  const bool unfinished = is_unfinished(arrived.frame, inner, arrived.bytes);
  if (unfinished && inner.end - inner.l3_at > kUsualPacketBytes) return list_one(arrived, &inner);
  if (open_count_ == kOpenMax) close(*order_[0]);
  Open& open = *order_[open_count_++];
  open.flow = flow;
  open.arrived = arrived;
  open.inner = inner;
  open.unfinished = unfinished;
  open.verified = false;
  open.id_step = 1;
  open.segments = 1;
  open.segment_bytes = open.last_bytes = inner.end - inner.payload_at;
  open.length = arrived.bytes;
  open.sequence = read32(arrived.frame + inner.l4_at + kTcpSequenceAt) + open.segment_bytes;
  open.flags = arrived.frame[inner.l4_at + kTcpFlagsAt];
  open.pieces[0] = {arrived.frame, arrived.bytes};
  open.pieces_count = 1;
}

/// False when the segment can't go on in this frame; nothing was changed then. A frame that must not grow any more is closed.
bool Coalescer::join(Open& open, const Arrived& arrived, const Inner& inner) {
  const Inner& first = open.inner;
  const uint32_t bytes = inner.end - inner.payload_at;
  const uint8_t* const tcp = arrived.frame + inner.l4_at;
  if (read32(tcp + kTcpSequenceAt) != open.sequence || bytes == 0 || bytes > open.segment_bytes || inner.end != arrived.bytes) return false;
  if (open.length - first.l3_at + bytes > kPacketBytesMax || open.pieces_count == kPiecesOfFrameMax) return false;
  if (!same_network(open.arrived, first, arrived, inner) || !same_transport(open.arrived, first, arrived, inner)) return false;
  if (!same_outside(open.arrived, arrived)) return false;
  uint16_t step = 1;
  if (!inner.ipv6) {
    const uint8_t* const ip = open.arrived.frame + first.l3_at;
    const uint16_t distance = static_cast<uint16_t>(read16(arrived.frame + inner.l3_at + kIpv4IdAt) - read16(ip + kIpv4IdAt));
    step = distance == 0 ? 0 : 1;
    if (distance != step * open.segments || (open.segments > 1 && step != open.id_step)) return false;
    // The ID of what nobody may fragment means nothing (RFC 6864, section 4.1): it may stand still.
    if (step == 0 && (read16(ip + kIpv4FragmentAt) & kIpv4DontFragment) == 0) return false;
  }
  if (!open.verified && !is_sound(open.arrived, first, open.unfinished)) return false;
  open.verified = true;
  if (!is_sound(arrived, inner, is_unfinished(arrived.frame, inner, arrived.bytes))) return false;
  open.id_step = step;
  open.pieces[open.pieces_count++] = {arrived.frame + inner.payload_at, bytes};
  pieces_left_--;
  open.segments++;
  open.last_bytes = bytes;
  open.length += bytes;
  open.sequence += bytes;
  open.flags |= tcp[kTcpFlagsAt];
  merged_++;
  if (bytes < open.segment_bytes || (tcp[kTcpFlagsAt] & (kPush | kFin)) != 0) close(open);
  return true;
}

void Coalescer::close(Open& open) {
  if (open.segments == 1) {
    list_one(open.arrived, &open.inner);
  } else {
    list_merged(open);
  }
  Open** const at = std::find(order_, order_ + open_count_, &open);
  std::rotate(at, at + 1, order_ + open_count_);
  open_count_--;
}

void Coalescer::close_all() {
  for (int32_t k = 0; k < open_count_; k++) {
    if (order_[k]->segments == 1) {
      list_one(order_[k]->arrived, &order_[k]->inner);
    } else {
      list_merged(*order_[k]);
    }
  }
  open_count_ = 0;
}

/// As it came; told beside it is only that its checksum isn't finished.
void Coalescer::list_one(const Arrived& arrived, const Inner* inner) {
  const Range piece{arrived.frame, arrived.bytes};
  const bool has_checksum = inner != nullptr && (inner->kind == InnerKind::kTcp || inner->kind == InnerKind::kUdp);
  if (!has_checksum || !is_unfinished(arrived.frame, *inner, arrived.bytes)) {
    list(arrived, nullptr, &piece, 1, arrived.bytes);
    return;
  }
  Vnet vnet;
  vnet.flags = kNeedsChecksum;
  vnet.header_bytes = static_cast<uint16_t>(inner->payload_at);
  vnet.checksum_start = static_cast<uint16_t>(inner->l4_at);
  vnet.checksum_offset = static_cast<uint16_t>(checksum_offset(*inner));
  const bool is_super = inner->kind == InnerKind::kTcp && !inner->options && inner->end == arrived.bytes && inner->end - inner->l3_at > kUsualPacketBytes;
  if (is_super) {
    vnet.gso_type = inner->ipv6 ? kGsoTcpV6 : kGsoTcpV4;
    vnet.gso_size = static_cast<uint16_t>(kGuessedPacketBytes - (inner->payload_at - inner->l3_at));
  }
  list(arrived, reinterpret_cast<const uint8_t*>(&vnet), &piece, 1, arrived.bytes);
}

/// One frame of several segments: lengths, flags and checksums are rewritten in the slot's head, where all headers lie.
void Coalescer::list_merged(const Open& open) {
  const Inner& inner = open.inner;
  Vnet vnet;
  vnet.flags = kNeedsChecksum;
  vnet.gso_type = inner.ipv6 ? kGsoTcpV6 : kGsoTcpV4;
  vnet.header_bytes = static_cast<uint16_t>(inner.payload_at);
  vnet.gso_size = static_cast<uint16_t>(open.segment_bytes);
  vnet.checksum_start = static_cast<uint16_t>(inner.l4_at);
  vnet.checksum_offset = kTcpChecksumAt;
  uint8_t* const head = list(open.arrived, reinterpret_cast<const uint8_t*>(&vnet), open.pieces, open.pieces_count, open.length);
  if (head == nullptr) return;
  uint8_t* const ip = head + inner.l3_at;
  if (inner.ipv6) {
    write16(ip + kIpv6LengthAt, open.length - inner.l3_at - kIpv6Bytes);
  } else {
    write16(ip + kIpv4LengthAt, open.length - inner.l3_at);
    write16(ip + kIpv4ChecksumAt, 0);
    const uint16_t checksum = static_cast<uint16_t>(~fold(sum_bytes(ip, kIpv4Bytes, 0)));
    std::memcpy(ip + kIpv4ChecksumAt, &checksum, sizeof checksum);
  }
  head[inner.l4_at + kTcpFlagsAt] = open.flags;
  const uint16_t pseudo = fold(pseudo_sum(head, inner, open.length - inner.l4_at));
  std::memcpy(head + inner.l4_at + kTcpChecksumAt, &pseudo, sizeof pseudo);
}

/// Where its head lies then; null when it was lost, which was accounted for before.
uint8_t* Coalescer::list(const Arrived& arrived, const uint8_t* vnet, const Range* pieces, int32_t count, uint32_t length) {
  const int32_t slot = slots_->take();
  const bool listed = slots_->put_pieces(slot, port_, vnet, pieces, count, static_cast<int32_t>(length));
  if (!listed) slots_->put_spoilt(slot, port_, kDropTruncated);
  uint8_t* const head = slots_->arena() + slots_->fact(slot)[kFactHeadAt];
  write_arrival(head, *arrived.origin, arrived.stripped);
  return listed ? head : nullptr;
}

void Coalescer::write_arrival(uint8_t* head, const Origin& origin, const Stripped& stripped) {
  int32_t* const words = reinterpret_cast<int32_t*>(head);
  std::memcpy(words + kArrivalAddress, origin.address, sizeof origin.address);
  words[kArrivalOuter] = origin.tos | stripped.flags;
  words[kArrivalHeader] = static_cast<int32_t>(stripped.header);
  words[kArrivalKey] = static_cast<int32_t>(stripped.key);
}

}  // namespace weft

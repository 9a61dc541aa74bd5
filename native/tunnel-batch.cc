#include "tunnel-batch.h"

#include <netinet/udp.h>
#include <sys/mman.h>

namespace weft {

namespace {
/// A tunnel header's bytes; what lies before the head is the arena's in any case.
constexpr uint32_t kHeaderBytesMax = 64;
constexpr uint32_t kByteMask = 0xff;
constexpr uint32_t kProbesMax = 8;

/// Adds a control message behind `bytes` others: how many there are then.
template <typename Value>
uint32_t put_control(uint8_t* control, uint32_t bytes, int level, int type, Value value) {
  cmsghdr head{};
  head.cmsg_len = CMSG_LEN(sizeof value);
  head.cmsg_level = level;
  head.cmsg_type = type;
  __builtin_memcpy(control + bytes, &head, sizeof head);
  __builtin_memcpy(control + bytes + CMSG_LEN(0), &value, sizeof value);
  return bytes + static_cast<uint32_t>(CMSG_SPACE(sizeof value));
}
}  // namespace

TunnelBatch::TunnelBatch(int32_t family, bool segments, uint32_t lanes) : family_(family), segments_(segments), lane_mask_(lanes - 1) {
  void* const at = ::mmap(nullptr, kScratchBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  scratch_ = at == MAP_FAILED ? nullptr : static_cast<uint8_t*>(at);
  finisher_ = std::make_unique<Finisher>(scratch_, scratch_ == nullptr ? 0 : kScratchBytes);
  clear();
}

TunnelBatch::~TunnelBatch() {
  if (scratch_ != nullptr) ::munmap(scratch_, kScratchBytes);
}

void TunnelBatch::clear() {
  for (Open& open : open_) open.message = kNoMessage;
  lanes_used_ = messages_used_ = places_used_ = 0;
  finisher_->reset();
}

int32_t TunnelBatch::add(const Slots& slots, int32_t entry) {
  const int32_t* const facts = slots.fact(entry & kEntrySlotMask);
  const uint32_t header = (static_cast<uint32_t>(facts[kFactOuter]) >> kOuterHeaderWordsShift) * 4;
  if (header == 0 || header > kHeaderBytesMax || static_cast<uint32_t>(facts[kFactHeadAt]) < header) return kDropNoRemote;
  if ((entry & (kFinishChecksum | kFinishSegment)) != 0) return add_finished(slots, entry, header);
  Range pieces[1 + kPiecesOfFrameMax];
  const int32_t count = slots.pieces(entry, pieces);
  if (count > kPiecesMax) return add_finished(slots, entry, header);
  pieces[0] = {pieces[0].at - header, pieces[0].bytes + header};
  return gather(facts, entry, pieces, count, static_cast<uint32_t>(facts[kFactLength]) + header);
}

/// A frame in one piece of scratch, behind its header.
int32_t TunnelBatch::add_finished(const Slots& slots, int32_t entry, uint32_t header) {
  if ((entry & kFinishSegment) != 0) return add_super(slots, entry, header);
  const int32_t* const facts = slots.fact(entry & kEntrySlotMask);
  Range tail, frame;
  const int32_t count = finisher_->finish(slots.unfinished(entry, &tail), header, &frame, 1);
  if (count == kNoScratch) return messages_used_ == 0 ? kDropEgressFull : kNoRoom;
  if (count <= 0) return kDropBadOffload;
  __builtin_memcpy(finisher_->writable(frame) - header, slots.arena() + facts[kFactHeadAt] - header, header);
  frame = {frame.at - header, frame.bytes + header};
  return gather(facts, entry, &frame, 1, frame.bytes);
}

/// A message of all segments. Their payload stays where it is when that is our own memory, in one piece: a copy less.
int32_t TunnelBatch::add_super(const Slots& slots, int32_t entry, uint32_t header) {
  const int32_t* const facts = slots.fact(entry & kEntrySlotMask);
  Range tail;
  const Unfinished frame = slots.unfinished(entry, &tail);
  const uint8_t* const from = slots.arena() + facts[kFactHeadAt] - header;
  const bool stays = !Slots::is_foreign(facts) && (frame.tail_count == 0 || tail.at == frame.head + frame.head_bytes);
  const int32_t ranges = stays ? cut_in_place(frame, from, header) : cut_by_copy(frame, from, header);
  if (ranges == kNoScratch) return messages_used_ == 0 ? kDropEgressFull : kNoRoom;
  if (ranges <= 0) return kDropBadOffload;
  Open* const place = open_of(facts);
  TunnelMessage* const message = open(facts, place, static_cast<uint32_t>(ranges));
  if (message == nullptr) return messages_used_ == 0 ? kDropEgressFull : kNoRoom;
  message->is_super = true;
  message->segment = finished_[0].bytes + (stays ? finished_[1].bytes : 0);
  message->frames = 1;
  entry_[message->first] = entry;
  fill(*message, ranges);
  place->message = kNoMessage;
  return 0;
}

/// Ranges that lie one behind the other, as copied segments do, make one vector for as many as go together.
void TunnelBatch::fill(TunnelMessage& message, int32_t ranges) {
  iovec* const first = vector_.get() + message.first;
  iovec* vector = first;
  for (int32_t k = 0; k < ranges; k++) message.bytes += finished_[k].bytes;
  uint32_t left = message.bytes, part = 0;
  for (int32_t k = 0; k < ranges; k++) {
    const Range& range = finished_[k];
    const bool begins = part == 0;
    if (begins) part = part_of(left, message.segment, segments_);
    if (!begins && static_cast<const uint8_t*>(vector[-1].iov_base) + vector[-1].iov_len == range.at) {
      vector[-1].iov_len += range.bytes;
    } else {
      *vector++ = {const_cast<uint8_t*>(range.at), range.bytes};
    }
    part -= range.bytes;
    left -= range.bytes;
  }
  message.vectors = static_cast<uint32_t>(vector - first);
}

/// Two ranges a segment: how many, or what the finisher says.
int32_t TunnelBatch::cut_in_place(const Unfinished& frame, const uint8_t* from, uint32_t header) {
  const int32_t count = finisher_->cut_in_place(frame, header, finished_.get(), kRangesMax);
  for (int32_t k = 0; k < count; k++) {
    Range& range = finished_[2 * k];
    range = {range.at - header, range.bytes + header};
    __builtin_memcpy(finisher_->writable(range), from, header);
  }
  return count < 0 ? count : 2 * count;
}

int32_t TunnelBatch::cut_by_copy(const Unfinished& frame, const uint8_t* from, uint32_t header) {
  const int32_t count = finisher_->finish(frame, header, finished_.get(), kRangesMax);
  for (int32_t k = 0; k < count; k++) {
    Range& range = finished_[k];
    range = {range.at - header, range.bytes + header};
    __builtin_memcpy(finisher_->writable(range), from, header);
  }
  return count;
}

int32_t TunnelBatch::gather(const int32_t* facts, int32_t entry, const Range* pieces, int32_t count, uint32_t bytes) {
  const uint32_t vectors = static_cast<uint32_t>(count);
  Open* const place = open_of(facts);
  TunnelMessage* message = place->message == kNoMessage ? nullptr : &message_[place->message];
  // A frame has a vector at least.
  if (message == nullptr || bytes > message->segment || message->vectors + vectors > kSegmentsOfMessage || message->bytes + bytes > kMessageBytesMax) {
    // Only what may be joined by another needs room for it.
    const bool alone = !segments_ || 2 * bytes > kMessageBytesMax;
    message = open(facts, place, alone ? vectors : kSegmentsOfMessage);
    if (message == nullptr) return kNoRoom;
    message->segment = bytes;
    if (alone) place->message = kNoMessage;
  }
  iovec* const to = vector_.get() + message->first + message->vectors;
  for (uint32_t k = 0; k < vectors; k++) to[k] = {const_cast<uint8_t*>(pieces[k].at), pieces[k].bytes};
  entry_[message->first + message->frames++] = entry;
  message->vectors += vectors;
  message->bytes += bytes;
  // A shorter datagram is a message's last.
  if (bytes < message->segment) place->message = kNoMessage;
  return 0;
}

/// A way that finds its places taken takes the first one: messages of the other get shorter, nothing else.
TunnelBatch::Open* TunnelBatch::open_of(const int32_t* facts) {
  constexpr uint32_t kForm = (kByteMask << kOuterTosShift) | (kByteMask << kOuterTtlShift);
  const uint32_t outer = static_cast<uint32_t>(facts[kFactOuter]);
  const uint32_t form = outer & (kForm | lane_mask_);
  const int32_t target = facts[kFactRemote];
  const uint32_t mixed = (static_cast<uint32_t>(target) * 31 + form + (form >> kOuterTosShift)) * 0x9e3779b1u;
  static_assert(kOpenCount == 1 << (32 - 26));
  Open* chosen = nullptr;
  for (uint32_t k = 0; k < kProbesMax; k++) {
    Open* const place = open_ + (((mixed >> 26) + k) & (kOpenCount - 1));
    if (place->message == kNoMessage) {
      chosen = chosen == nullptr ? place : chosen;
    } else if (place->target == target && place->form == form) {
      return place;
    }
  }
  if (chosen == nullptr) chosen = open_ + (mixed >> 26);
  *chosen = {target, form, kNoMessage};
  return chosen;
}

/// Null when there is no room.
TunnelMessage* TunnelBatch::open(const int32_t* facts, Open* place, uint32_t places) {
  if (messages_used_ == kMessagesMax || places_used_ + places > kPlacesMax) return nullptr;
  const uint32_t number = messages_used_++;
  const uint32_t lane = place->form & lane_mask_;
  TunnelMessage& message = message_[number];
  message.target = place->target;
  message.next = kNoMessage;
  message.bytes = message.frames = message.vectors = 0;
  message.first = places_used_;
  message.is_super = false;
  write_control(message, static_cast<uint32_t>(facts[kFactOuter]));
  places_used_ += places;
  if ((lanes_used_ & 1u << lane) == 0) {
    lanes_used_ |= 1u << lane;
    first_[lane] = number;
  } else {
    message_[last_[lane]].next = number;
  }
  last_[lane] = place->message = number;
  return &message;
}

void TunnelBatch::write_control(TunnelMessage& message, uint32_t outer) {
  const int tos = static_cast<int>(outer >> kOuterTosShift & kByteMask);
  const int ttl = static_cast<int>(outer >> kOuterTtlShift & kByteMask);
  const bool v6 = family_ == 6;
  const int level = v6 ? IPPROTO_IPV6 : IPPROTO_IP;
  uint32_t bytes = 0;
  if (tos != 0) bytes = put_control(message.control, bytes, level, v6 ? IPV6_TCLASS : IP_TOS, tos);
  if (ttl != 0) bytes = put_control(message.control, bytes, level, v6 ? IPV6_HOPLIMIT : IP_TTL, ttl);
  message.control_bytes = message.segment_bytes = bytes;
}

TunnelMessage& TunnelBatch::sealed(uint32_t number) {
  TunnelMessage& message = message_[number];
  if (segments_ && message.bytes > message.segment)
    message.segment_bytes = put_control(message.control, message.control_bytes, IPPROTO_UDP, UDP_SEGMENT, static_cast<uint16_t>(message.segment));
  return message;
}

}  // namespace weft

// HOT: frames from a guest's transmit queues into slots. Heads are copied before anything looks at them, so that the guest can't change
// what was checked; tails stay in its memory until the turn's transmits.
//
// Three short loops, each of which only asks for the memory that the next one needs: ids, descriptors, bytes.
#include "guest.h"

#include <algorithm>

namespace weft {

using namespace virtio;

namespace {
// Of a virtio_net_hdr's first 8 bytes: NEEDS_CSUM, and the GSO type.
constexpr uint64_t kOffloadMask = 0xff01;
}  // namespace

Found GuestCarrier::receive(Slots& slots, int32_t most) {
  if (device_->broken.load(std::memory_order_relaxed) != nullptr) return Found::kDry;
  int32_t left = most;
  for (int32_t k = 0; k < sources_count_ && left > 0; k++) {
    Source& source = sources_[(next_source_ + k) % sources_count_];
    left -= receive_ring(slots, source, left);
  }
  if (sources_count_ > 1) next_source_ = (next_source_ + 1) % sources_count_;
  if (left < most && device_->is_lost()) device_->break_down("");
  return Found::kDry;
}

int32_t GuestCarrier::receive_ring(Slots& slots, Source& source, int32_t most) {
  GuestRing& ring = *source.ring;
  const uint32_t waiting = ring.waiting();
  if (waiting == 0) {
    if (source.returns.quiet(slots.now_ns(), ring.keeps())) ring.publish();
    return 0;
  }
  if (waiting > ring.size()) {
    device_->break_down("a transmit queue offers more entries than it has");
    return 0;
  }
  const int32_t count = std::min({static_cast<int32_t>(waiting), most, kBatchMax});
  for (int32_t k = 0; k < count; k++) {
    const uint16_t id = ring.id_at(static_cast<uint32_t>(k));
    if (id >= ring.size()) {
      device_->break_down("a transmit queue offers a descriptor that it does not have");
      return 0;
    }
    source.ids[k] = id;
    __builtin_prefetch(ring.desc(id));
  }
  const int32_t taken = copy_in(slots, source, count);
  source.held = taken;
  ring.pass(static_cast<uint32_t>(taken));
  if (taken > 0) source.returns.heard(slots.now_ns(), slots.bytes_of_last(taken), taken);
  return taken;
}

int32_t GuestCarrier::copy_in(Slots& slots, Source& source, int32_t count) {
  const GuestRing& ring = *source.ring;
  const uint8_t* at[kBatchMax];
  int32_t bytes[kBatchMax];
  for (int32_t k = 0; k < count; k++) {
    const Desc* const desc = ring.desc(source.ids[k]);
    const uint64_t address = __atomic_load_n(&desc->address, __ATOMIC_RELAXED);
    const uint32_t offered = __atomic_load_n(&desc->bytes, __ATOMIC_RELAXED);
    uint32_t found = offered;
    at[k] = nullptr;
    const bool is_plain = __atomic_load_n(&desc->flags, __ATOMIC_RELAXED) == 0 && offered > static_cast<uint32_t>(header_) &&
                          offered <= static_cast<uint32_t>(header_ + kFrameBytesMax);
    if (!is_plain) continue;
    at[k] = device_->memory.find(address, &found);
    if (at[k] == nullptr || found != offered) {
      at[k] = nullptr;
      continue;
    }
    bytes[k] = static_cast<int32_t>(offered);
    const uint8_t* const from = offloads_ ? at[k] : at[k] + header_;
    __builtin_prefetch(from);
    // All that goes into the head.
    for (int32_t n = 63; n < std::min(bytes[k], kHeadBytes + kLineBytes); n += kLineBytes) __builtin_prefetch(from + n);
  }
  for (int32_t k = 0; k < count; k++) {
    const bool taken = at[k] != nullptr ? take_plain(slots, at[k], bytes[k]) : take_chain(slots, ring, source.ids[k]);
    if (!taken) return k;
  }
  return count;
}

/// A frame in one buffer, its header before it. False when there is no room for it in this turn.
bool GuestCarrier::take_plain(Slots& slots, const uint8_t* at, int32_t bytes) {
  const int32_t length = bytes - header_;
  const int32_t slot = slots.take();
  uint8_t* const head = slots.head(slot);
  const uint8_t* const frame = at + header_;
  // Its first 10 bytes may have a meaning for us, read once; of a frame that leaves nothing to do nobody needs to see them. They lie in a
  // line of their own as often as not, which is not fetched for nothing.
  uint64_t begin = 0;
  uint16_t end = 0;
  if (offloads_) {
    __builtin_memcpy(&begin, at, sizeof begin);
    __builtin_memcpy(&end, at + sizeof begin, sizeof end);
  }
  const int32_t flags = (begin & kOffloadMask) == 0 ? 0 : kFlagVnet;
  if (flags != 0) {
    const uint32_t rest = end;
    __builtin_memcpy(head - kVnetBytes, &begin, sizeof begin);
    __builtin_memcpy(head - kVnetBytes + sizeof begin, &rest, sizeof rest);
  }
  if (length <= kHeadBytes) {
    if (length >= 64) {
      __builtin_memcpy(head, frame, 64);
      if (length > 64) __builtin_memcpy(head + 64, frame + 64, static_cast<size_t>(length - 64));
    } else {
      __builtin_memcpy(head, frame, static_cast<size_t>(length));
    }
    slots.put(slot, port_, head, length, flags);
    return true;
  }
  if (!slots.whole()) {
    __builtin_memcpy(head, frame, kHeadBytes);
    const Range tail{frame + kHeadBytes, static_cast<uint32_t>(length - kHeadBytes)};
    if (slots.put_with_tail(slot, port_, kHeadBytes, length, flags, &tail, 1)) return true;
  } else {
    const Range whole{frame, static_cast<uint32_t>(length)};
    uint8_t header[kVnetBytes] = {};
    __builtin_memcpy(header, &begin, sizeof begin);
    __builtin_memcpy(header + sizeof begin, &end, sizeof end);
    if (slots.put_pieces(slot, port_, offloads_ ? header : nullptr, &whole, 1, length)) return true;
  }
  slots.put_back();
  return false;
}

/// A frame in several buffers, or one that is not as it should be.
bool GuestCarrier::take_chain(Slots& slots, const GuestRing& ring, uint16_t id) {
  Range pieces[kPiecesOfFrameMax];
  Chain chain;
  ring.gather(device_->memory, id, false, pieces, kPiecesOfFrameMax, &chain);
  const uint32_t header = static_cast<uint32_t>(header_);
  const int32_t slot = slots.take();
  if (!chain.sound || chain.bytes <= header || chain.bytes > header + kFrameBytesMax) {
    slots.put_spoilt(slot, port_, kDropBadDescriptor);
    return true;
  }
  uint8_t copy[kVnetBytes] = {};
  // Where it lies in one piece it is copied from there, once.
  const uint8_t* vnet = header == sizeof copy && pieces[0].bytes >= header ? pieces[0].at : copy;
  int32_t first = 0;
  for (uint32_t passed = 0; passed < header;) {
    Range& piece = pieces[first];
    const uint32_t bytes = std::min(piece.bytes, header - passed);
    if (vnet == copy) __builtin_memcpy(copy + passed, piece.at, bytes);
    passed += bytes;
    piece = {piece.at + bytes, piece.bytes - bytes};
    if (piece.bytes == 0) first++;
  }
  const int32_t length = static_cast<int32_t>(chain.bytes - header);
  if (slots.put_pieces(slot, port_, offloads_ ? vnet : nullptr, pieces + first, chain.count - first, length)) return true;
  slots.put_back();
  return false;
}

}  // namespace weft

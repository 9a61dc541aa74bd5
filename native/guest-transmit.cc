// HOT: frames from a list into a guest's receive queue. What it has no buffers for is refused, and then nothing of that frame was
// published; headers are rebuilt from facts.
#include "guest.h"

#include <algorithm>

namespace weft {

using namespace virtio;

namespace {
// How often a worker looks for another's ring before it leaves its CPU to others: some microseconds.
constexpr int kSpinsMax = 512;
constexpr int32_t kSegmentsMax = 256;
// Buffers that one frame may be spread over; the guest's stack takes far fewer.
constexpr int32_t kBuffersMax = 256;
// Stretches of frames without a look at the headers in their buffers, after one where others stood: such a look then costs a line more.
constexpr int32_t kBlindMax = 64;
// Of each piece and buffer, before the first is copied: the processor asks for what follows by itself. 9,000 B between guests that run DPDK
// took 588 ns a frame, and 540 with it (medians of 4 and 3, `guests-9000` of bench/guests, 2026-11); more did not help.
constexpr uint32_t kAheadBytes = 192;

}  // namespace

bool GuestCarrier::acquire() {
  return patience_.wait(kSpinsMax, [this] {
    int32_t free = 0;
    return sink_->lock.compare_exchange_weak(free, owner_, std::memory_order_acquire);
  });
}

void GuestCarrier::transmit(Slots& slots, const int32_t* entries, int32_t count) {
  const bool down = device_->broken.load(std::memory_order_relaxed) != nullptr;
  if (down || (shared_ && !acquire())) {
    for (int32_t k = 0; k < count; k++) slots.refuse(port_, entries[k], down ? kDropEgressDown : kDropEgressBusy);
    return;
  }
  for (int32_t done = 0; done < count; done += kBatchMax) transmit_some(slots, entries + done, std::min(count - done, kBatchMax));
  sink_->publish();
  if (shared_) sink_->lock.store(0, std::memory_order_release);
  if (device_->is_lost()) device_->break_down("");
}

void GuestCarrier::transmit_some(Slots& slots, const int32_t* entries, int32_t count) {
  int32_t k = 0;
  while (k < count) {
    // The plain ones up to the first that isn't, which goes the long way; then on.
    k += copy_out_plain(slots, entries + k, count - k);
    if (k == count) return;
    const bool is_finished = (entries[k] & (kFinishChecksum | kFinishSegment)) != 0;
    const int32_t reason = is_finished ? put_finished(slots, entries[k]) : put(slots, entries[k]);
    if (reason != 0) slots.refuse(port_, entries[k], reason);
    k++;
  }
}

/// Frames that need no finishing into buffers that hold one each: how many of the first. Three loops, as in guest-receive.cc.
///
/// A header that stands in its buffer already is left there: guests that run DPDK and ask for none of what it could say leave its line alone,
/// and both sides keep that in their caches. Written, it would go there and back with every frame (512 B: 13.1 instead of 12.7 million
/// frames a second, medians of 3, and 7.4 instead of 5.5 with the CPUs far apart, 2026-11, `guests-512` of bench/guests).
int32_t GuestCarrier::copy_out_plain(Slots& slots, const int32_t* entries, int32_t count) {
  GuestRing& ring = *sink_;
  const uint32_t waiting = ring.waiting();
  if (waiting > ring.size() || device_->log.is_open()) return 0;
  const int32_t most = std::min(count, static_cast<int32_t>(waiting));
  uint16_t ids[kBatchMax];
  uint8_t* to[kBatchMax];
  const bool looks = blind_left_ == 0;
  int32_t good = 0;
  for (; good < most; good++) {
    ids[good] = ring.id_at(static_cast<uint32_t>(good));
    if (ids[good] >= ring.size()) break;
    __builtin_prefetch(ring.desc(ids[good]));
  }
  const int32_t offered = good;
  ring.expect_back(static_cast<uint32_t>(offered));
  for (good = 0; good < offered; good++) {
    const int32_t* const facts = slots.fact(entries[good] & kEntrySlotMask);
    const Desc* const desc = ring.desc(ids[good]);
    const uint64_t address = __atomic_load_n(&desc->address, __ATOMIC_RELAXED);
    const uint32_t bytes = __atomic_load_n(&desc->bytes, __ATOMIC_RELAXED);
    if (__atomic_load_n(&desc->flags, __ATOMIC_RELAXED) != kWrite || (entries[good] & (kFinishChecksum | kFinishSegment)) != 0) break;
    if (static_cast<uint32_t>(facts[kFactLength] + header_) > bytes) break;
    uint32_t found = bytes;
    to[good] = device_->memory.find(address, &found);
    if (to[good] == nullptr || found != bytes) break;
    if (looks) {
      __builtin_prefetch(to[good]);
    } else {
      __builtin_prefetch(to[good], 1);
    }
    __builtin_prefetch(to[good] + header_, 1);
    __builtin_prefetch(to[good] + kLineBytes, 1);
  }
  int32_t stood = 0;
  for (int32_t k = 0; k < good; k++) {
    const int32_t* const facts = slots.fact(entries[k] & kEntrySlotMask);
    const uint32_t length = static_cast<uint32_t>(facts[kFactLength]);
    uint8_t* at = to[k];
    const VnetHeader vnet = Slots::vnet_of(facts).in_buffers(1);
    if (looks && vnet.stands(at, header_)) {
      stood++;
    } else {
      vnet.write(at, header_);
    }
    at += header_;
    const uint8_t* const head = slots.arena() + facts[kFactHeadAt];
    const uint32_t head_bytes = static_cast<uint32_t>(facts[kFactHeadBytes]);
    if (length == head_bytes && length >= 64) {
      __builtin_memcpy(at, head, 64);
      if (length > 64) __builtin_memcpy(at + 64, head + 64, length - 64);
    } else {
      Range pieces[1 + kPiecesOfFrameMax];
      const int32_t parts = slots.pieces(entries[k], pieces);
      for (int32_t n = 0; n < parts; n++) {
        __builtin_memcpy(at, pieces[n].at, pieces[n].bytes);
        at += pieces[n].bytes;
      }
    }
    ring.give_back(ids[k], length + static_cast<uint32_t>(header_));
  }
  if (!looks && good > 0) {
    blind_left_--;
  } else if (stood < good) {
    blind_left_ = kBlindMax;
  }
  ring.pass(static_cast<uint32_t>(good));
  return good;
}

/// One frame the long way. 0, or why it was not sent.
int32_t GuestCarrier::put(Slots& slots, int32_t entry) {
  Range pieces[1 + kPiecesOfFrameMax];
  const int32_t count = slots.pieces(entry, pieces);
  const int32_t* const facts = slots.fact(entry & kEntrySlotMask);
  return put_pieces(Slots::vnet_of(facts), pieces, count, static_cast<uint32_t>(facts[kFactLength]));
}

/// A frame whose checksum or segments are finished here: all of its segments, or none.
int32_t GuestCarrier::put_finished(Slots& slots, int32_t entry) {
  Range finished[kSegmentsMax];
  const int32_t count = slots.finish(entry, 0, finished, kSegmentsMax);
  if (count < 0) return count == kNoScratch ? kDropEgressFull : kDropBadOffload;
  if (static_cast<uint32_t>(count) > sink_->waiting()) return kDropEgressFull;
  const uint16_t first = sink_->next();
  for (int32_t k = 0; k < count; k++) {
    const int32_t reason = put_pieces({}, finished + k, 1, finished[k].bytes);
    if (reason == 0) continue;
    sink_->take_back(static_cast<uint16_t>(sink_->next() - first));
    return reason;
  }
  return 0;
}

/// Spreads header and pieces over as many buffers as it takes (one where they aren't mergeable: virtio 1.2, section 5.1.6.4). 0; or why not,
/// and then nothing is given back or passed.
int32_t GuestCarrier::put_pieces(const VnetHeader& vnet, const Range* pieces, int32_t count, uint32_t length) {
  GuestRing& ring = *sink_;
  const uint32_t waiting = ring.waiting();
  if (waiting > ring.size()) {
    device_->break_down("a receive queue offers more entries than it has");
    return kDropEgressDown;
  }
  const uint32_t total = length + static_cast<uint32_t>(header_);
  Range buffers[kBuffersMax];
  struct {
    uint16_t id;
    uint32_t bytes;
  } chains[kBuffersMax];
  int32_t buffers_count = 0, chains_count = 0;
  uint32_t room = 0;
  while (room < total) {
    if (static_cast<uint32_t>(chains_count) >= waiting) return kDropEgressFull;
    if (buffers_count == kBuffersMax || (chains_count > 0 && !mergeable_)) return kDropEgressRefused;
    const uint16_t id = ring.id_at(static_cast<uint32_t>(chains_count));
    Chain chain;
    ring.gather(device_->memory, id, true, buffers + buffers_count, kBuffersMax - buffers_count, &chain);
    // Too many pieces for one frame, together with the buffers before it.
    if (chain.full && chains_count > 0) return kDropEgressRefused;
    if (!chain.sound || chain.bytes == 0 || (chains_count == 0 && chain.bytes < static_cast<uint32_t>(header_))) {
      // A buffer that can't be used would stand before all others for ever.
      device_->break_down("a receive queue offers a buffer outside the guest's memory, or one to read from");
      return kDropEgressDown;
    }
    chains[chains_count++] = {id, std::min(chain.bytes, total - room)};
    buffers_count += chain.count;
    room += chains[chains_count - 1].bytes;
  }
  for (int32_t k = 0; k < count; k++) {
    for (uint32_t n = 0; n < std::min(pieces[k].bytes, kAheadBytes); n += kLineBytes) __builtin_prefetch(pieces[k].at + n);
  }
  uint32_t covered = 0;
  for (int32_t k = 0; k < buffers_count && covered < total; k++) {
    const uint32_t written = std::min(buffers[k].bytes, total - covered);
    for (uint32_t n = 0; n < std::min(written, kAheadBytes); n += kLineBytes) __builtin_prefetch(buffers[k].at + n, 1);
    covered += written;
  }
  const VnetHeader whole = vnet.in_buffers(static_cast<uint32_t>(chains_count));
  uint8_t header[kVnetBytes];
  Range source{header, static_cast<uint32_t>(header_)};
  int32_t next = 0;
  uint32_t left = total;
  if (buffers[0].bytes >= source.bytes) {
    uint8_t* const to = const_cast<uint8_t*>(buffers[0].at);
    whole.write(to, header_);
    device_->log_write(to, source.bytes);
    buffers[0] = {to + source.bytes, buffers[0].bytes - source.bytes};
    left -= source.bytes;
    source.bytes = 0;
  } else {
    whole.write(header, header_);
  }
  for (int32_t k = 0; k < buffers_count && left > 0; k++) {
    uint8_t* to = const_cast<uint8_t*>(buffers[k].at);
    for (uint32_t space = buffers[k].bytes; space > 0 && left > 0;) {
      if (source.bytes == 0) {
        if (next == count) break;
        source = pieces[next++];
        continue;
      }
      const uint32_t bytes = std::min({space, source.bytes, left});
      __builtin_memcpy(to, source.at, bytes);
      device_->log_write(to, bytes);
      to += bytes;
      space -= bytes;
      left -= bytes;
      source = {source.at + bytes, source.bytes - bytes};
    }
  }
  for (int32_t k = 0; k < chains_count; k++) ring.give_back(chains[k].id, chains[k].bytes);
  ring.pass(static_cast<uint32_t>(chains_count));
  return 0;
}

}  // namespace weft

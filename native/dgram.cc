// A datagram socket's end of a port: QEMU's `-netdev dgram`, a frame in each datagram. One worker receives, up to 64 at a call; every
// worker sends, and needs no lock for it. What the other side's queue has no room for waits in a bounded one of ours; the rest is refused.
#include <algorithm>
#include <sys/mman.h>
#include <sys/socket.h>

#include "backlog.h"
#include "socket-carrier.h"

namespace weft {

namespace {
constexpr int32_t kSegmentsMax = 256;
constexpr uint32_t kMessagesMax = 64;
constexpr uint32_t kPiecesMax = 1024;
constexpr uint32_t kTailBytes = static_cast<uint32_t>(kFrameBytesMax - kHeadBytes);
// A page of distance, so that the tails' first lines don't all fall into one set of the cache.
constexpr size_t kTailStride = (size_t{64} << 10) + 4096 + 64;
static_assert(kTailStride >= kTailBytes && kBatchMax <= static_cast<int32_t>(kMessagesMax));

struct Dgram : SocketDevice {
  using SocketDevice::SocketDevice;
  std::unique_ptr<Carrier> carrier(int32_t worker, int32_t port, int* error) override;
};

/// Where tails are received; memory only where one was.
class Tails {
 public:
  Tails() {
    void* const at = ::mmap(nullptr, kMessagesMax * kTailStride, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    at_ = at == MAP_FAILED ? nullptr : static_cast<uint8_t*>(at);
  }
  Tails(const Tails&) = delete;
  Tails& operator=(const Tails&) = delete;
  ~Tails() {
    if (at_ != nullptr) ::munmap(at_, kMessagesMax * kTailStride);
  }
  bool is_there() const { return at_ != nullptr; }
  uint8_t* at(uint32_t index) const { return at_ + index * kTailStride; }

 private:
  uint8_t* at_;
};

class DgramCarrier : public SocketCarrier {
 public:
  DgramCarrier(Dgram& dgram, bool receives, int32_t port) : SocketCarrier(dgram, receives, port, false), dgram_(dgram) {}

  bool is_there() const { return tails_.is_there(); }

  void transmit(Slots& slots, const int32_t* entries, int32_t count) override;
  Found receive(Slots& slots, int32_t most) override;

 private:
  int32_t go_on(Slots& slots);
  int32_t reason_of(int error);
  bool has_room() const { return messages_used_ < kMessagesMax && pieces_used_ + 1 + kPiecesOfFrameMax <= kPiecesMax; }
  void put(int32_t entry, const Range* pieces, int32_t count);
  int32_t put_finished(Slots& slots, int32_t entry);
  void refuse(Slots& slots, uint32_t message, int32_t reason);
  int32_t flush(Slots& slots);
  void list(Slots& slots, int32_t slot, uint32_t index);

  Dgram& dgram_;  // held by the queue's end
  Tails tails_;
  Backlog backlog_;
  mmsghdr messages_[kMessagesMax] = {};
  iovec pieces_[kPiecesMax] = {};
  int32_t entries_[kMessagesMax] = {};
  int32_t places_[kMessagesMax] = {};
  int32_t place_ = 0;     // in its list, of the entry that is being put
  int32_t refused_ = -1;  // place of the entry that was refused last
  uint32_t messages_used_ = 0;
  uint32_t pieces_used_ = 0;
};

void DgramCarrier::put(int32_t entry, const Range* pieces, int32_t count) {
  msghdr& header = messages_[messages_used_].msg_hdr;
  header = {};
  header.msg_iov = pieces_ + pieces_used_;
  header.msg_iovlen = static_cast<size_t>(count);
  for (int32_t k = 0; k < count; k++) pieces_[pieces_used_++] = {const_cast<uint8_t*>(pieces[k].at), pieces[k].bytes};
  places_[messages_used_] = place_;
  entries_[messages_used_++] = entry;
}

/// A finished entry lies in scratch that the next one overwrites: it is sent before anything else is put. Of segments that find no room
/// some may have been sent; the entry is one refusal.
int32_t DgramCarrier::put_finished(Slots& slots, int32_t entry) {
  int32_t reason = flush(slots);
  if (reason != 0) return reason;
  Range finished[kSegmentsMax];
  const int32_t count = slots.finish(entry, 0, finished, kSegmentsMax);
  if (count < 0) {
    slots.refuse(port_, entry, count == kNoScratch ? kDropEgressFull : kDropBadOffload);
    return 0;
  }
  for (int32_t k = 0; k < count && reason == 0; k++) {
    put(entry, finished + k, 1);
    if (!has_room()) reason = flush(slots);
  }
  return reason == 0 ? flush(slots) : reason;
}

/// Segments of one entry are one refusal.
void DgramCarrier::refuse(Slots& slots, uint32_t message, int32_t reason) {
  if (places_[message] == refused_) return;
  refused_ = places_[message];
  slots.refuse(port_, entries_[message], reason);
  if (reason == kDropEgressFull) dgram_.full.fetch_add(1, std::memory_order_relaxed);
}

/// A peer that talks to somebody else only (EPERM) is none, like one that is gone.
int32_t DgramCarrier::reason_of(int error) {
  const int32_t reason = error == EPERM ? kDropEgressDown : Slots::reason_of(error);
  if (reason == kDropEgressDown) dgram_.end(-error);
  return reason;
}

/// Sends what waits. 0, or why some of it has to wait on; without a reader it is lost with the rest of his queue, and counted
/// although it was counted as sent when it began to wait.
int32_t DgramCarrier::go_on(Slots& slots) {
  int32_t reason = 0;
  while (!backlog_.is_empty() && reason == 0) {
    const uint32_t count = backlog_.first(messages_, pieces_, kMessagesMax);
    const int sent = uninterrupted([&] { return ::sendmmsg(dgram_.socket.get(), messages_, count, MSG_NOSIGNAL | MSG_DONTWAIT); });
    if (sent < 0) reason = reason_of(errno);
    backlog_.drop(static_cast<uint32_t>(std::max(sent, 0)));
    if (reason == kDropEgressDown) {
      slots.lose(port_, reason, backlog_.count());
      backlog_.clear();
    }
    // One datagram that can't be sent says nothing of the next.
    if (reason != 0 && reason != kDropEgressDown && reason != kDropEgressFull) {
      slots.lose(port_, reason, 1);
      backlog_.drop(1);
      reason = 0;
    }
  }
  wait_for_room(!backlog_.is_empty());
  return reason;
}

/// Sends what was put. 0, or why the other side takes no more; then all that was not sent is refused.
int32_t DgramCarrier::flush(Slots& slots) {
  uint32_t k = 0;
  bool is_full = false;
  int32_t reason = backlog_.is_empty() ? 0 : kDropEgressFull;
  while (k < messages_used_) {
    if (reason == 0) {
      const int sent = uninterrupted([&] { return ::sendmmsg(dgram_.socket.get(), messages_ + k, messages_used_ - k, MSG_NOSIGNAL | MSG_DONTWAIT); });
      if (sent > 0) {
        k += static_cast<uint32_t>(sent);
        continue;
      }
      reason = reason_of(errno);
    }
    if (reason == kDropEgressFull && !is_full && backlog_.put(messages_[k].msg_hdr)) {
      k++;
      continue;
    }
    is_full |= reason == kDropEgressFull;
    refuse(slots, k++, reason);
    // One datagram that can't be sent says nothing of the next.
    if (reason == kDropEgressRefused || reason == kDropEgressError) reason = 0;
  }
  messages_used_ = pieces_used_ = 0;
  if (!backlog_.is_empty()) wait_for_room(true);
  // While there is room to wait, the next ones may wait too.
  return reason == kDropEgressFull && !is_full ? 0 : reason;
}

void DgramCarrier::transmit(Slots& slots, const int32_t* entries, int32_t count) {
  int32_t k = 0;
  refused_ = place_ = -1;
  int32_t reason = dgram_.is_over() ? kDropEgressDown : go_on(slots);
  if (reason == kDropEgressFull) reason = 0;
  for (; k < count && reason == 0; k++) {
    place_ = k;
    if ((entries[k] & (kFinishChecksum | kFinishSegment)) != 0) {
      reason = put_finished(slots, entries[k]);
      continue;
    }
    Range pieces[1 + kPiecesOfFrameMax];
    put(entries[k], pieces, slots.pieces(entries[k], pieces));
    if (!has_room()) reason = flush(slots);
  }
  if (reason == 0) reason = flush(slots);
  if (reason == kDropEgressFull) dgram_.full.fetch_add(static_cast<uint32_t>(count - k), std::memory_order_relaxed);
  for (; k < count; k++) slots.refuse(port_, entries[k], reason);
}

/// Lists datagram `index`, which lies in the slot's head and in a tail. There is room: receive() asked for no more than there is. What is
/// longer than any frame came cut.
void DgramCarrier::list(Slots& slots, int32_t slot, uint32_t index) {
  if ((messages_[index].msg_hdr.msg_flags & MSG_TRUNC) != 0) return slots.put_spoilt(slot, port_, kDropTruncated);
  const int32_t length = static_cast<int32_t>(messages_[index].msg_len);
  uint8_t* const head = slots.head(slot);
  if (length <= kHeadBytes) {
    slots.put(slot, port_, head, length, 0);
    return;
  }
  const Range tail{tails_.at(index), static_cast<uint32_t>(length - kHeadBytes)};
  if (!slots.whole() && slots.put_with_tail(slot, port_, kHeadBytes, length, 0, &tail, 1)) return;
  uint8_t* const large = slots.take_large();
  __builtin_memcpy(large, head, static_cast<size_t>(kHeadBytes));
  __builtin_memcpy(large + kHeadBytes, tail.at, tail.bytes);
  slots.put(slot, port_, large, length, 0);
}

/// A datagram's head goes straight into its slot. Tails lie here until the next call, by which this turn's frames were sent.
Found DgramCarrier::receive(Slots& slots, int32_t most) {
  if (waits()) go_on(slots);
  if (!receives_) return Found::kDry;
  int32_t asked = std::min(most, kBatchMax);
  asked = std::min(asked, slots.large_room());
  if (asked == 0) return Found::kMore;
  int32_t first = 0;
  for (int32_t k = 0; k < asked; k++) {
    const int32_t slot = slots.take();
    if (k == 0) first = slot;
    iovec* const pieces = pieces_ + 2 * k;
    pieces[0] = {slots.head(slot), static_cast<size_t>(kHeadBytes)};
    pieces[1] = {tails_.at(static_cast<uint32_t>(k)), kTailBytes};
    messages_[k].msg_hdr = {};
    messages_[k].msg_hdr.msg_iov = pieces;
    messages_[k].msg_hdr.msg_iovlen = 2;
  }
  const int got = uninterrupted([&] { return ::recvmmsg(dgram_.socket.get(), messages_, static_cast<unsigned>(asked), MSG_DONTWAIT, nullptr); });
  const int error = got < 0 ? errno : 0;
  for (int32_t k = std::max(got, 0); k < asked; k++) slots.put_back();
  for (int32_t k = 0; k < got; k++) list(slots, first + k, static_cast<uint32_t>(k));
  // An error that is waiting to be told is not the end of what is queued.
  return got == asked || (error != 0 && error != EAGAIN) ? Found::kMore : Found::kDry;
}

std::unique_ptr<Carrier> Dgram::carrier(int32_t worker, int32_t port, int* error) {
  auto made = std::make_unique<DgramCarrier>(*this, worker == receiver, port);
  *error = ENOMEM;
  return made->is_there() ? std::move(made) : nullptr;
}

}  // namespace

std::shared_ptr<SocketDevice> make_dgram(Descriptor socket, Descriptor ended, int32_t receiver) {
  return std::make_shared<Dgram>(std::move(socket), std::move(ended), receiver);
}

}  // namespace weft

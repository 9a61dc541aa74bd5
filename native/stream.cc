// A stream socket's end of a port: QEMU's `-netdev stream`. One worker reads; every worker writes, one at a time. What a slow reader
// doesn't take is refused at once; only the rest of a frame of which it has a part is kept, since framing would be lost without it.
#include <algorithm>
#include <sys/socket.h>

#include "outbox.h"
#include "socket-carrier.h"
#include "spin.h"

namespace weft {

namespace {
// Of one read: 4,096 small frames, so that a read is a small part of their cost, and it stays in a core's cache with what is sent of it.
constexpr uint32_t kBufferBytes = 256 << 10;
// An entry with its prefixes: a super-frame in as many segments as the finisher makes, each with a head of its own.
constexpr uint32_t kRestBytes = 192 << 10;
static_assert(kBufferBytes > kPrefixBytes + kFrameBytesMax && kRestBytes > kFrameBytesMax + 256 * (kPrefixBytes + kHeadBytes));
// How often a worker looks for another's lock: about as long as that one's system call takes.
constexpr int kSpinsMax = 4000;

class Stream : public SocketDevice {
 public:
  Stream(Descriptor connection, Descriptor signal, int32_t reader)
      : SocketDevice(std::move(connection), std::move(signal), reader), framing(kBufferBytes, kFrameBytesMax) {}
  std::unique_ptr<Carrier> carrier(int32_t worker, int32_t port, int* error) override;

  bool lock(Patience& patience) {
    return patience.wait(kSpinsMax, [this] { return try_lock(); });
  }
  /// Spins only: where nothing is lost when somebody else has it.
  bool lock_soon() {
    return spin(kSpinsMax, [this] { return try_lock(); });
  }
  void unlock() { writing_.store(false, std::memory_order_release); }

  // Below: only with the lock.

  bool has_rest() const { return rest_at_ < rest_end_; }
  /// Takes bytes `from` to `to` of the box to be sent first of all.
  void keep(const Outbox& box, uint32_t from, uint32_t to) {
    if (rest_ == nullptr) rest_.reset(new uint8_t[kRestBytes]);
    box.copy(from, to, rest_.get());
    rest_at_ = 0;
    rest_end_ = to - from;
  }
  /// 0 when nothing is left of it, else errno.
  int send_rest() {
    while (has_rest()) {
      const ssize_t sent = uninterrupted([&] { return ::send(socket.get(), rest_.get() + rest_at_, rest_end_ - rest_at_, MSG_NOSIGNAL | MSG_DONTWAIT); });
      if (sent < 0) return errno;
      rest_at_ += static_cast<uint32_t>(sent);
    }
    return 0;
  }

  /// The receiver's: what was read and not cut yet outlives a worker that dies.
  Framing framing;

 private:
  bool try_lock() { return !writing_.load(std::memory_order_relaxed) && !writing_.exchange(true, std::memory_order_acquire); }

  std::atomic<bool> writing_{false};
  std::unique_ptr<uint8_t[]> rest_;
  uint32_t rest_at_ = 0;
  uint32_t rest_end_ = 0;
};

class StreamCarrier : public SocketCarrier {
 public:
  /// It waits at first: for what another worker kept, who may have died.
  StreamCarrier(Stream& stream, bool receives, int32_t port) : SocketCarrier(stream, receives, port, true), stream_(stream) {}

  void transmit(Slots& slots, const int32_t* entries, int32_t count) override;
  Found receive(Slots& slots, int32_t most) override;

 private:
  int32_t begin();
  int32_t put(Slots& slots, int32_t entry);
  int32_t flush(Slots& slots);
  int32_t send_copy(uint32_t* sent);
  int32_t settle(Slots& slots, uint32_t sent, int32_t reason);
  int32_t reason_of(int error);
  void go_on();
  int32_t list(Slots& slots, int32_t most, Cut* why);
  Found read();

  Stream& stream_;  // held by the queue's end
  Outbox box_;
  Patience patience_;
};

/// Why the other side takes no more; an end is an end for all workers.
int32_t StreamCarrier::reason_of(int error) {
  const int32_t reason = Slots::reason_of(error);
  if (reason != kDropEgressFull) stream_.end(-error);
  return reason == kDropEgressFull ? reason : kDropEgressDown;
}

/// Whether more can be sent: 0, or the reason why not.
int32_t StreamCarrier::begin() {
  if (stream_.is_over()) return kDropEgressDown;
  const int error = stream_.send_rest();
  if (error == 0) return 0;
  const int32_t reason = reason_of(error);
  if (reason == kDropEgressFull) wait_for_room(true);
  return reason;
}

void StreamCarrier::transmit(Slots& slots, const int32_t* entries, int32_t count) {
  int32_t k = 0;
  int32_t reason = kDropEgressBusy;
  if (stream_.lock(patience_)) {
    for (reason = begin(); k < count && reason == 0; k++) {
      reason = put(slots, entries[k]);
      if (reason != 0) break;
    }
    // What is in the box comes before what found no way into it.
    if (reason == 0) reason = flush(slots);
    stream_.unlock();
  }
  if (reason == kDropEgressFull) stream_.full.fetch_add(static_cast<uint32_t>(count - k), std::memory_order_relaxed);
  for (; k < count; k++) slots.refuse(port_, entries[k], reason);
}

/// Puts an entry into the box, sending what is there when that is needed; an entry that can't be finished is refused. 0, or why the list ends.
int32_t StreamCarrier::put(Slots& slots, int32_t entry) {
  const bool is_finished = (entry & (kFinishChecksum | kFinishSegment)) == 0;
  if (!box_.has_room() || (!is_finished && box_.holds_scratch())) {
    const int32_t reason = flush(slots);
    if (reason != 0) return reason;
  }
  if (is_finished) {
    box_.put(slots, entry);
    return 0;
  }
  const int32_t reason = box_.put_finished(slots, entry);
  if (reason != 0) slots.refuse(port_, entry, reason);
  return 0;
}

/// Sends what is in the box. 0, or why not all of it was taken: the rest was refused or kept.
int32_t StreamCarrier::flush(Slots& slots) {
  uint32_t sent = 0;
  int32_t reason = 0;
  while (sent < box_.bytes() && reason == 0) {
    size_t count;
    msghdr message{};
    message.msg_iov = box_.from(sent, &count);
    message.msg_iovlen = count;
    const ssize_t got = uninterrupted([&] { return ::sendmsg(stream_.socket.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT); });
    if (got >= 0) {
      sent += static_cast<uint32_t>(got);
      continue;
    }
    reason = errno == EFAULT ? send_copy(&sent) : reason_of(errno);
  }
  if (reason != 0) reason = settle(slots, sent, reason);
  box_.clear();
  return reason;
}

/// The kernel could not read a piece: memory that a guest took away under us. The frame at `sent` goes as a copy, whose making tells that
/// guest's port; the others of the list go on. 0, or why no more is taken.
int32_t StreamCarrier::send_copy(uint32_t* sent) {
  uint32_t k = 0;
  while (box_.items()[k].end <= *sent) k++;
  stream_.keep(box_, *sent, box_.items()[k].end);
  *sent = box_.items()[k].end;
  return begin();
}

/// After `sent` bytes no more was taken: keeps the rest of the frame that was begun, refuses those behind it.
int32_t StreamCarrier::settle(Slots& slots, uint32_t sent, int32_t reason) {
  const Outbox::Item* const items = box_.items();
  uint32_t k = 0;
  while (k < box_.count() && items[k].end <= sent) k++;
  const uint32_t start = k == 0 ? 0 : items[k - 1].end;
  if (k < box_.count() && start < sent && reason == kDropEgressFull) {
    stream_.keep(box_, sent, items[k].end);
    k++;
    wait_for_room(true);
  }
  if (reason == kDropEgressFull) stream_.full.fetch_add(box_.count() - k, std::memory_order_relaxed);
  for (; k < box_.count(); k++) slots.refuse(port_, items[k].entry, reason);
  return reason;
}

/// There may be room for what was kept. Whoever has the lock sends that first of all.
void StreamCarrier::go_on() {
  if (!stream_.lock_soon()) return;
  const int error = stream_.is_over() ? 0 : stream_.send_rest();
  stream_.unlock();
  if (error != 0 && reason_of(error) == kDropEgressFull) return;
  wait_for_room(false);
}

/// Lists whole frames that were read. How many; and why no more.
int32_t StreamCarrier::list(Slots& slots, int32_t most, Cut* why) {
  int32_t listed = 0;
  Range frame;
  *why = Cut::kFrame;
  while (listed < most && (*why = stream_.framing.next(&frame)) == Cut::kFrame) {
    const int32_t slot = slots.take();
    const int32_t length = static_cast<int32_t>(frame.bytes);
    if (length <= kHeadBytes) {
      __builtin_memcpy(slots.head(slot), frame.at, frame.bytes);
      slots.put(slot, port_, slots.head(slot), length, 0);
    } else if (!slots.put_pieces(slot, port_, nullptr, &frame, 1, length)) {
      // No room is left for its tail this turn.
      slots.put_back();
      stream_.framing.put_back(frame);
      return listed;
    }
    listed++;
  }
  return listed;
}

Found StreamCarrier::read() {
  uint32_t room;
  uint8_t* const at = stream_.framing.space(&room);
  const ssize_t got = uninterrupted([&] { return ::recv(stream_.socket.get(), at, room, MSG_DONTWAIT); });
  if (got > 0) {
    stream_.framing.filled(static_cast<uint32_t>(got));
    return Found::kMore;
  }
  if (got < 0 && errno == EAGAIN) return Found::kDry;
  stream_.end(got == 0 ? kEndedByPeer : -errno);
  return Found::kGone;
}

/// Frames lie in the buffer until the next call's read, by which this turn's were sent: long ones stay where they are. Of a connection
/// that sending found to be over, what is there is read all the same.
Found StreamCarrier::receive(Slots& slots, int32_t most) {
  if (waits()) go_on();
  if (!receives_) return Found::kDry;
  Cut why;
  int32_t listed = list(slots, most, &why);
  if (listed == 0 && why == Cut::kNeedsMore) {
    const Found found = read();
    if (found != Found::kMore) return found;
    listed = list(slots, most, &why);
  }
  if (listed > 0 || why != Cut::kBroken) return Found::kMore;
  stream_.end(kEndedByFraming);
  ::shutdown(stream_.socket.get(), SHUT_RDWR);
  return Found::kGone;
}

std::unique_ptr<Carrier> Stream::carrier(int32_t worker, int32_t port, int*) {
  return std::make_unique<StreamCarrier>(*this, worker == receiver, port);
}

}  // namespace

std::shared_ptr<SocketDevice> make_stream(Descriptor socket, Descriptor ended, int32_t receiver) {
  return std::make_shared<Stream>(std::move(socket), std::move(ended), receiver);
}

}  // namespace weft

// The receiving half of a turn: reads every ready queue into large buffers, up to its window, and lists what came; in a lone turn, TAPs up
// to the first frame.
#include "engine.h"

#include <algorithm>
#include <sys/uio.h>

namespace weft {

namespace {
constexpr uint32_t kWindowMin = 4;
// Bytes that one queue may bring into a turn beyond its first frames: the caches still hold them when they are sent. TCP between two TAPs
// took 0.56 s of CPU a gigabyte, and 0.63 without this bound (medians of 5, 2026-11).
constexpr uint32_t kTurnBytes = 256 << 10;
constexpr uint32_t kReadBytes = static_cast<uint32_t>(kLargeStride - kHeadroomBytes) + kVnetBytes;
// Every read takes a slot and the large buffer of the same number.
constexpr int32_t kReadsMax = std::min(kReceiveSlots, kLargeCount);

// Queues that are read again without epoll having named them. A turn is then one system call, which carries the writes down too, where
// it had been three: looking, reading, writing.
constexpr size_t kLingerMax = 8;
// How many times in a row in vain: some hundred microseconds. Then epoll is cheaper, the more so when others keep the worker busy.
constexpr uint32_t kLingerTurns = 256;

/// How many frames to ask a queue for, where `room` reads are left: its window, or what fits the turn's bytes if frames stay as they were;
/// one frame of a queue that was dry.
uint32_t asked_of(const QueueEnd& end, uint32_t room) {
  if (end.dry) return std::min(1u, room);
  const uint32_t fitting = std::max(kWindowMin, kTurnBytes / std::max(end.mean_bytes, 1u));
  return std::min({end.window, fitting, room});
}
}  // namespace

/// What one read came to. What is cut short is listed too: it drops as a runt. An error of another kind is a frame that the kernel could not hand over; the next read goes on behind it.
void Engine::take_result(QueueEnd& end, int32_t slot, int32_t result, Reading& reading) {
  if (result >= 0) {
    reading.got++;
    reading.bytes += static_cast<uint32_t>(result);
    slots_.put(slot, end.port, slots_.large(slot), std::max(result - kVnetBytes, 0), kFlagVnet);
  } else if (result == -EAGAIN) {
    reading.dry = true;
  } else if (result == -EBADFD || result == -EBADF) {
    reading.gone = true;
  } else {
    reading.bad = true;
  }
}

void Engine::close_batch(QueueEnd& end, int32_t first, const Reading& reading) {
  settle_window(end, reading);
  slots_.close_batch(end.port, first);
}

bool Engine::lingers() const { return block_[kBlockWaitMs] == 0 && ready_.size() + called_.size() <= kLingerMax; }

/// A full read doubles the window, a poor one halves it. A queue that ran dry leaves the ready list until epoll names it again; while the
/// worker spins and few queues are ready it stays and is tried again: what answers soon is then found by the same call that sends.
void Engine::settle_window(QueueEnd& end, const Reading& reading) {
  if (reading.got > 0) end.mean_bytes = (3 * end.mean_bytes + reading.bytes / reading.got) / 4;
  end.dry_turns = reading.got > 0 ? 0 : end.dry_turns + 1;
  end.dry = reading.dry && !reading.gone && end.dry_turns < kLingerTurns && lingers();
  if (end.dry && reading.got == 0) return;
  if (reading.got == reading.asked) {
    if (reading.asked == end.window) end.window = std::min<uint32_t>(end.window * 2, kBatchMax);
    return;
  }
  if (reading.got < reading.asked / 2) end.window = std::max(kWindowMin, reading.asked / 2);
  // Epoll names a queue once only: behind a frame that could not be read there may be others, unless that goes on for ever.
  const bool goes_on = reading.bad && !reading.dry && !reading.gone && end.dry_turns < kLingerTurns;
  if (!end.dry && !goes_on && (reading.dry || reading.gone || reading.got == 0)) end.ready = false;
  // A device that is gone answers errors for ever: out of the set, so that it can't wake us again.
  if (reading.gone) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, end.fd, nullptr);
}

/// How many frames TAPs may bring into this turn. Where carriers found no room in the last one they leave half of it; all, where it is
/// small.
int32_t Engine::receive_limit() const {
  const int32_t limit = std::clamp(block_[kBlockReceiveBudget], 1, kReadsMax);
  if (!yields_) return limit;
  return limit > kBatchMax ? limit / 2 : 0;
}

/// `looked`: how many of the ready queues were read.
int32_t Engine::receive_plain(size_t* looked) {
  const int32_t limit = receive_limit();
  int32_t used = 0;
  *looked = 0;
  for (QueueEnd* const end : ready_) {
    // A lone frame is on its way before another TAP is looked at.
    if (lone_ && used > 0) break;
    ++*looked;
    Reading reading;
    reading.asked = std::min(asked_of(*end, static_cast<uint32_t>(limit - used)), lone_ ? 1u : UINT32_MAX);
    if (reading.asked == 0) break;
    const int32_t first = slots_.listed();
    for (uint32_t k = 0; k < reading.asked && !reading.dry && !reading.gone; k++) {
      const ssize_t result = uninterrupted([&] { return ::read(end->fd, read_at(used), kReadBytes); });
      take_result(*end, used, result < 0 ? -errno : static_cast<int32_t>(result), reading);
      if (result >= 0) used++;
    }
    close_batch(*end, first, reading);
  }
  return used;
}

/// Puts down the reads of as many ready queues as there is room for. How many reads.
int32_t Engine::ask() {
  const int32_t limit = receive_limit();
  int32_t used = 0;
  readings_.clear();
  for (const QueueEnd* const end : ready_) {
    Reading reading;
    reading.asked = asked_of(*end, std::min(static_cast<uint32_t>(limit - used), uring_.room()));
    if (reading.asked == 0) break;
    readings_.push_back(reading);
    for (uint32_t k = 0; k < reading.asked; k++, used++) {
      io_uring_sqe* const request = uring_.next();
      request->opcode = IORING_OP_READ_FIXED;
      request->flags = IOSQE_FIXED_FILE;
      request->fd = static_cast<int32_t>(end->file);
      request->addr = reinterpret_cast<uint64_t>(read_at(used));
      request->len = kReadBytes;
      request->off = static_cast<uint64_t>(-1);
      request->rw_flags = RWF_NOWAIT;
      request->user_data = static_cast<uint64_t>(used);
    }
  }
  return used;
}

/// Takes completions until all `count` reads of this turn have theirs. RWF_NOWAIT completes them inline, so nothing waits; but a late one
/// would write into a buffer that another turn hands out, so it is waited for, and an engine that lacks one is broken. 0, or −errno.
int Engine::collect(int32_t* results, uint32_t count) {
  uint32_t missing = count;
  for (;;) {
    io_uring_cqe done;
    while (uring_.take(&done)) {
      if (done.user_data < count) {
        results[done.user_data] = done.res;
        missing--;
      } else {
        refuse_completion(done);
      }
    }
    if (missing == 0) return 0;
    const int failed = uring_.wait(missing);
    if (failed < 0) return failed;
  }
}

int32_t Engine::receive_uring() {
  // Requests of all ready queues go down in one call, behind this turn's writes; each has slot and buffer of its own, used or not.
  const int32_t used = ask();
  int32_t results[kReadsMax];
  int failed = uring_.submit();
  if (failed == 0) failed = collect(results, static_cast<uint32_t>(used));
  if (failed < 0) broken_ = -failed;
  if (broken_ != 0) return 0;
  pieces_used_ = 0;
  finisher_.reset();
  int32_t slot = 0;
  for (size_t k = 0; k < readings_.size(); k++) {
    const int32_t first = slots_.listed();
    for (uint32_t n = 0; n < readings_[k].asked; n++, slot++) take_result(*ready_[k], slot, results[slot], readings_[k]);
    close_batch(*ready_[k], first, readings_[k]);
  }
  return used;
}

/// What held memory for this turn's transmits lets go of it; so do queues that were detached meanwhile.
void Engine::release() {
  for (QueueEnd* const end : holding_) end->carrier->release();
  holding_.clear();
  leaving_.clear();
}

void Engine::receive_carrier(QueueEnd& end) {
  const int32_t first = slots_.listed();
  const Found found = end.carrier->receive(slots_, std::min(slots_.room(), kBatchMax));
  if (slots_.listed() > first) holding_.push_back(&end);
  end.dry_turns = slots_.listed() > first ? 0 : end.dry_turns + 1;
  slots_.close_batch(end.port, first);
  if (end.carrier->is_polled()) return;
  if (found == Found::kGone || (found == Found::kDry && (end.dry_turns >= kLingerTurns || !lingers()))) end.ready = false;
}

/// Another one comes first each time, in case there is no room for all.
void Engine::receive_some(std::vector<QueueEnd*>& ends) {
  const bool has_room = slots_.room() > 0;
  // Of guests' frames only those that must lie in the arena need large buffers; datagrams and what an interface cut always may.
  const bool needs_large = slots_.whole() || &ends == &called_;
  for (QueueEnd* const end : ends) {
    crowded_ |= slots_.room() == 0 || (needs_large && slots_.large_room() == 0);
    if (slots_.room() == 0) break;
    receive_carrier(*end);
  }
  // Where nobody had a turn, nobody loses his place.
  if (ends.size() > 1 && has_room) std::rotate(ends.begin(), ends.begin() + 1, ends.end());
}

/// Carriers that every turn looks at, and those that epoll named: each kind comes first in turn.
void Engine::receive_carriers() {
  crowded_ = false;
  const bool called_first = called_first_;
  if (slots_.room() > 0) called_first_ = !called_first_;
  if (called_first) receive_some(called_);
  receive_some(polled_);
  if (!called_first) receive_some(called_);
  called_.erase(std::remove_if(called_.begin(), called_.end(), [](const QueueEnd* end) { return !end->ready; }), called_.end());
  yields_ = crowded_ && !yields_;
}

int32_t Engine::receive() {
  slots_.begin_receiving();
  if (!ready_.empty()) {
    size_t looked = 1;
    const int32_t used = uring_carries() ? receive_uring() : receive_plain(&looked);
    if (broken_ != 0) return -broken_;
    slots_.took(used);
    // Those that ran dry leave; of those that stay another one comes first next time.
    const size_t count = ready_.size();
    ready_.erase(std::remove_if(ready_.begin(), ready_.end(), [](const QueueEnd* end) { return !end->ready; }), ready_.end());
    if (used > 0 && ready_.size() > 1 && ready_.size() == count) {
      // Behind the queue that a lone frame came from: where it goes the answer may be.
      const size_t first = lone_ ? looked % count : 1;
      std::rotate(ready_.begin(), ready_.begin() + static_cast<ptrdiff_t>(first), ready_.end());
    }
  }
  // Writes that lay in the ring are down by now.
  release();
  receive_carriers();
  slots_.end_receiving();
  return slots_.listed();
}

}  // namespace weft

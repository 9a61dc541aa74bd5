// The receiving half of a turn: reads every ready queue into large buffers, up to its window, and lists what came.
#include "engine.h"

#include <algorithm>
#include <sys/uio.h>

namespace weft {

namespace {
constexpr int32_t kVnetBytes = 12;
constexpr uint32_t kWindowMin = 4;
constexpr uint32_t kReadBytes = static_cast<uint32_t>(kLargeStride - kHeadroomBytes) + kVnetBytes;
}  // namespace

/// Facts of a frame that was read into a large buffer, vnet header first. What is cut short is listed too: it drops as a runt.
void Engine::accept(QueueEnd& end, int32_t slot, int32_t large, int32_t result) {
  int32_t* const facts = fact(slot);
  const int32_t length = std::max(result - kVnetBytes, 0);
  const int32_t at = static_cast<int32_t>(large_ - arena_) + large * kLargeStride + kHeadroomBytes;
  const int32_t head = std::min(length, kHeadBytes);
  facts[kFactHeadAt] = at;
  facts[kFactHeadBytes] = head;
  facts[kFactLength] = length;
  facts[kFactTailAt] = at + head;
  facts[kFactIngress] = end.port;
  facts[kFactFlags] = kFlagVnet;
  list_[block_[kBlockReceivedCount]++] = slot;
}

void Engine::close_batch(QueueEnd& end, int32_t first) {
  const int32_t count = block_[kBlockReceivedCount] - first;
  if (count == 0) return;
  int32_t* const batch = batches_ + block_[kBlockBatchesCount]++ * kBatchWords;
  batch[kBatchPort] = end.port;
  batch[kBatchFirst] = first;
  batch[kBatchCount] = count;
}

/// A full read doubles the window, a poor one halves it; a queue that ran dry leaves the ready list until epoll names it again.
void Engine::settle_window(QueueEnd& end, uint32_t asked, uint32_t got, int32_t error) {
  if (got == asked) {
    end.window = std::min<uint32_t>(asked * 2, kBatchMax);
    return;
  }
  if (got < asked / 2) end.window = std::max(kWindowMin, asked / 2);
  end.ready = false;
  // A device that is gone answers errors for ever: out of the set, so that it can't wake us again.
  if (error != 0 && error != -EAGAIN && error != -EINTR) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, end.fd, nullptr);
}

/// How many frames this turn may receive.
int32_t Engine::receive_limit() const { return std::clamp(block_[kBlockReceiveBudget], 1, std::min(kReceiveSlots, kLargeCount)); }

int32_t Engine::receive_plain() {
  for (size_t k = 0; k < ready_.size(); k++) {
    QueueEnd& end = *ready_[k];
    const int32_t free = std::min(receive_limit() - block_[kBlockSlotsUsed], kLargeCount - block_[kBlockLargeUsed]);
    const uint32_t asked = std::min<uint32_t>(end.window, static_cast<uint32_t>(std::max(free, 0)));
    if (asked == 0) break;
    const int32_t first = block_[kBlockReceivedCount];
    uint32_t got = 0;
    int32_t error = 0;
    while (got < asked) {
      const int32_t large = block_[kBlockLargeUsed];
      uint8_t* const at = large_ + static_cast<size_t>(large) * kLargeStride + kHeadroomBytes - kVnetBytes;
      const ssize_t result = uninterrupted([&] { return ::read(end.fd, at, kReadBytes); });
      if (result < 0) {
        error = -errno;
        break;
      }
      got++;
      accept(end, block_[kBlockSlotsUsed], large, static_cast<int32_t>(result));
      block_[kBlockSlotsUsed]++;
      block_[kBlockLargeUsed]++;
    }
    close_batch(end, first);
    settle_window(end, asked, got, error);
  }
  return block_[kBlockReceivedCount];
}

int32_t Engine::receive_uring() {
  // Requests of all ready queues go down in one call; each takes slot and large buffer of its own, used or not.
  struct Asked {
    QueueEnd* end;
    uint32_t count;
  };
  Asked asked[kReceiveSlots];
  uint32_t asked_count = 0;
  int32_t used = 0;
  const int32_t limit = receive_limit();
  for (QueueEnd* const end : ready_) {
    const uint32_t count = std::min({end->window, static_cast<uint32_t>(limit - used), uring_.room()});
    if (count == 0) break;
    asked[asked_count++] = {end, count};
    for (uint32_t k = 0; k < count; k++, used++) {
      io_uring_sqe* const request = uring_.next();
      request->opcode = IORING_OP_READ_FIXED;
      request->flags = IOSQE_FIXED_FILE;
      request->fd = static_cast<int32_t>(end->file);
      request->addr = reinterpret_cast<uint64_t>(large_ + static_cast<size_t>(used) * kLargeStride + kHeadroomBytes - kVnetBytes);
      request->len = kReadBytes;
      request->off = static_cast<uint64_t>(-1);
      request->rw_flags = RWF_NOWAIT;
      request->user_data = static_cast<uint64_t>(used);
    }
  }
  const int failed = uring_.submit(static_cast<uint32_t>(used));
  if (failed < 0) return failed;
  int32_t results[kReceiveSlots];
  io_uring_cqe done;
  while (uring_.take(&done)) {
    if (done.user_data < static_cast<uint64_t>(kReceiveSlots)) {
      results[done.user_data] = done.res;
    } else {
      refuse_completion(done);
    }
  }
  pieces_used_ = 0;
  finisher_.reset();
  int32_t slot = 0;
  for (uint32_t k = 0; k < asked_count; k++) {
    QueueEnd& end = *asked[k].end;
    const int32_t first = block_[kBlockReceivedCount];
    uint32_t got = 0;
    int32_t error = 0;
    for (uint32_t n = 0; n < asked[k].count; n++, slot++) {
      if (results[slot] < 0) {
        error = results[slot];
        continue;
      }
      got++;
      accept(end, slot, slot, results[slot]);
    }
    close_batch(end, first);
    settle_window(end, asked[k].count, got, error);
  }
  block_[kBlockSlotsUsed] = used;
  block_[kBlockLargeUsed] = used;
  return block_[kBlockReceivedCount];
}

int32_t Engine::receive() {
  const int32_t received = io_ == Io::kUring ? receive_uring() : receive_plain();
  // Those that ran dry leave; those that were not reached come first next time.
  const size_t count = ready_.size();
  ready_.erase(std::remove_if(ready_.begin(), ready_.end(), [](const QueueEnd* end) { return !end->ready; }), ready_.end());
  if (ready_.size() > 1 && ready_.size() == count) std::rotate(ready_.begin(), ready_.begin() + 1, ready_.end());
  return received;
}

}  // namespace weft

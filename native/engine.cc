#include "engine.h"

#include <algorithm>
#include <ctime>
#include <sched.h>
#include <sys/resource.h>

namespace weft {

namespace {
constexpr uint32_t kRingEntries = 1024;
constexpr uint32_t kFilesCount = 4096;
constexpr size_t kScratchBytes = size_t{512} << 10;
constexpr int kEventsMax = 128;
// While queues are known to be ready, new ones are looked for only every so many turns: a system call less per turn.
constexpr uint32_t kLookEvery = 8;
constexpr uint64_t kControlKey = 0;
constexpr int64_t kPageBytes = 4096;
}  // namespace

bool Engine::fits(const Mapping& mapping, int32_t index) {
  const int32_t* const header = reinterpret_cast<const int32_t*>(mapping.at());
  if (header[kHeaderMagic] != kArenaMagic || header[kHeaderVersion] != kArenaVersion) return false;
  const int64_t bytes = header[kHeaderBytes], stride = header[kHeaderWorkerStride];
  if (bytes <= 0 || static_cast<size_t>(bytes) > mapping.bytes() || stride <= 0) return false;
  if (index < 0 || index >= header[kHeaderWorkers] || index >= kWorkersMax) return false;
  constexpr int32_t kWord = sizeof(int32_t);
  const struct {
    int32_t word;
    int64_t bytes;
  } regions[] = {
      {kHeaderBlockAt, kBlockCellsAt + (kCellSentNs + 1) * static_cast<int64_t>(sizeof(double))},
      {kHeaderBatchesAt, kReceiveSlots * kBatchWords * kWord},
      {kHeaderReceiveListAt, kReceiveSlots * kWord},
      {kHeaderQueuesAt, kPortsMax * kQueueWords * kWord},
      {kHeaderDirtyAt, kPortsMax * kWord},
      {kHeaderRefusedAt, kRefusedMax * kRefusedWords * kWord},
      {kHeaderListsAt, kPortsMax * kListMax * kWord},
      {kHeaderFactsAt, kSlots * kFactWords * kWord},
      {kHeaderHeadsAt, kSlots * kHeadStride},
      {kHeaderLargeAt, kLargeCount * kLargeStride},
  };
  for (const auto& region : regions) {
    const int64_t at = header[region.word] + stride * index;
    if (at < kPageBytes || at % kPageBytes != 0 || at + region.bytes > bytes) return false;
  }
  return header[kHeaderHeadsAt] < header[kHeaderLargeAt];
}

uint8_t* Engine::region(int32_t word) const {
  const int32_t* const header = reinterpret_cast<const int32_t*>(arena_);
  return arena_ + header[word] + static_cast<size_t>(header[kHeaderWorkerStride]) * static_cast<size_t>(index_);
}

Engine::Engine(std::shared_ptr<Mapping> mapping, int32_t index)
    : mapping_(std::move(mapping)),
      arena_(mapping_->at()),
      arena_bytes_(static_cast<uint32_t>(reinterpret_cast<const int32_t*>(arena_)[kHeaderBytes])),
      index_(index),
      block_(words(kHeaderBlockAt)),
      batches_(words(kHeaderBatchesAt)),
      list_(words(kHeaderReceiveListAt)),
      queues_(words(kHeaderQueuesAt)),
      dirty_(words(kHeaderDirtyAt)),
      refused_(words(kHeaderRefusedAt)),
      lists_(words(kHeaderListsAt)),
      facts_(words(kHeaderFactsAt)),
      heads_(region(kHeaderHeadsAt)),
      large_(region(kHeaderLargeAt)),
      scratch_(kScratchBytes),
      finisher_(scratch_.data(), scratch_.size()) {
  ready_.reserve(kPortsMax);
  readings_.reserve(kPortsMax);
}

/// The successor may come as soon as the number is free: by then no queue is held here, nor by the ring, which the kernel takes apart
/// later than it is closed.
Engine::~Engine() {
  for (int32_t port = 1; port < kPortsMax; port++) {
    if (ends_[port] != nullptr) detach(port);
  }
  uring_.close();
  if (taken_) Registry::get().free_worker(index_);
}

Io Engine::open(Io want, int* error) {
  taken_ = Registry::get().take_worker(index_);
  if (!taken_) {
    *error = EBUSY;
    return Io::kNone;
  }
  epoll_ = Descriptor::epoll_create();
  control_ = Registry::get().control(index_);
  if (!epoll_.valid() || control_ < 0) {
    *error = epoll_.valid() ? EMFILE : errno;
    return Io::kNone;
  }
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kControlKey;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, control_, &event) < 0) {
    *error = errno;
    return Io::kNone;
  }
  io_ = Io::kReadWrite;
  if (want == Io::kReadWrite) return io_;
  rlimit limit{RLIM_INFINITY, RLIM_INFINITY};
  ::setrlimit(RLIMIT_MEMLOCK, &limit);
  // The kernel refuses a file table that is larger than the limit of open files.
  uint32_t files = kFilesCount;
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < files) files = static_cast<uint32_t>(limit.rlim_cur);
  // Heads and large buffers lie side by side: one registered buffer holds every frame that is sent whole.
  const size_t bytes = static_cast<size_t>(large_ - heads_) + static_cast<size_t>(kLargeCount) * kLargeStride;
  ring_error_ = *error = -uring_.open(kRingEntries, files, heads_, bytes);
  if (*error == 0) {
    io_ = Io::kUring;
    for (uint32_t k = files; k > 0; k--) free_files_.push_back(k - 1);
  }
  return want == Io::kUring && io_ != Io::kUring ? Io::kNone : io_;
}

int Engine::attach(int32_t port, std::shared_ptr<Device> device, int32_t queue) {
  if (port < 1 || port >= kPortsMax || queue < 0 || static_cast<size_t>(queue) >= device->queues.size()) return -EINVAL;
  if (ends_[port] != nullptr) return -EEXIST;
  auto end = std::make_unique<QueueEnd>();
  end->fd = device->queues[static_cast<size_t>(queue)].get();
  end->port = port;
  end->device = std::move(device);
  if (io_ == Io::kUring) {
    if (free_files_.empty()) return -ENFILE;
    const int failed = uring_.set_file(free_files_.back(), end->fd);
    if (failed < 0) return failed;
    end->file = free_files_.back();
    free_files_.pop_back();
  }
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.u64 = static_cast<uint64_t>(port);
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, end->fd, &event) < 0) {
    const int error = errno;
    if (io_ == Io::kUring) {
      uring_.set_file(end->file, -1);
      free_files_.push_back(end->file);
    }
    return -error;
  }
  ends_[port] = std::move(end);
  return 0;
}

int Engine::detach(int32_t port) {
  if (port < 1 || port >= kPortsMax || ends_[port] == nullptr) return -ENOENT;
  QueueEnd* const end = ends_[port].get();
  ready_.erase(std::remove(ready_.begin(), ready_.end(), end), ready_.end());
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, end->fd, nullptr);
  if (io_ == Io::kUring) {
    uring_.set_file(end->file, -1);
    free_files_.push_back(end->file);
  }
  ends_[port].reset();
  return 0;
}

void Engine::read_clock(int32_t cell) {
  timespec now;
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  block_[kBlockNowS] = static_cast<int32_t>(now.tv_sec);
  block_[kBlockNowMs] = static_cast<int32_t>(static_cast<uint32_t>(now.tv_sec * 1000 + now.tv_nsec / 1000000));
  double* const cells = reinterpret_cast<double*>(reinterpret_cast<uint8_t*>(block_) + kBlockCellsAt);
  cells[kCellNowNs] = static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
  cells[cell] = cells[kCellNowNs];
}

/// Asks epoll which queues became ready, sleeping up to `wait_ms`.
int Engine::look(int wait_ms) {
  epoll_event events[kEventsMax];
  const int count = ::epoll_wait(epoll_.get(), events, kEventsMax, wait_ms);
  if (count < 0) return errno == EINTR ? 0 : -errno;
  for (int k = 0; k < count; k++) {
    if (events[k].data.u64 == kControlKey) {
      uint64_t kicks;
      (void)!::read(control_, &kicks, sizeof kicks);
      block_[kBlockWoken] = 1;
      continue;
    }
    QueueEnd* const end = ends_[events[k].data.u64].get();
    if (end != nullptr && !end->ready) {
      end->ready = true;
      ready_.push_back(end);
    }
  }
  return count;
}

int32_t Engine::turn() {
  if (broken_ != 0) return -broken_;
  block_[kBlockWoken] = 0;
  block_[kBlockSlotsUsed] = 0;
  block_[kBlockLargeUsed] = 0;
  block_[kBlockBatchesCount] = 0;
  block_[kBlockReceivedCount] = 0;
  block_[kBlockRefusedCount] = 0;
  refused_last_ = 0;
  const bool listed = block_[kBlockDirtyCount] != 0;
  if (listed) {
    transmit();
    if (broken_ != 0) return -broken_;
  }
  read_clock(kCellSentNs);
  if (ready_.empty() || ++looks_skipped_ >= kLookEvery) {
    looks_skipped_ = 0;
    const bool may_wait = ready_.empty() && !listed;
    if (!listed && block_[kBlockYield] != 0) ::sched_yield();
    const int wait_ms = may_wait ? std::clamp(block_[kBlockWaitMs], 0, kWaitMsMax) : 0;
    const int found = look(wait_ms);
    if (found < 0) return found;
    if (wait_ms > 0) read_clock(kCellNowNs);
  }
  return ready_.empty() ? 0 : receive();
}

}  // namespace weft

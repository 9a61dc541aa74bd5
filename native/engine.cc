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
// Ready queues up to which a plain read of each is quicker than one call for all.
constexpr size_t kLoneMax = 4;
// Lone turns in a row that may bring a frame, before one looks whether there are more: a question, its answer, and both once more.
constexpr uint32_t kLoneRowMax = 4;
constexpr uint64_t kControlKey = 0;
}  // namespace

Engine::Engine(std::shared_ptr<Mapping> mapping, int32_t index)
    : slots_(std::move(mapping), index), index_(index), block_(slots_.block()), scratch_(kScratchBytes), finisher_(scratch_.data(), scratch_.size()) {
  for (auto* const ends : {&ready_, &called_, &polled_, &holding_}) ends->reserve(kPortsMax);
  readings_.reserve(kPortsMax);
}

/// The successor may come as soon as the number is free: by then no queue is held here, nor by the ring, which the kernel takes apart
/// later than it is closed.
Engine::~Engine() {
  for (int32_t port = 1; port < kPortsMax; port++) {
    if (ends_[port] != nullptr) detach(port);
  }
  release();
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
  ring_error_ = *error = -uring_.open(kRingEntries, files, slots_.buffers(), slots_.buffers_bytes());
  if (*error == 0) {
    io_ = Io::kUring;
    for (uint32_t k = files; k > 0; k--) free_files_.push_back(k - 1);
  }
  return want == Io::kUring && io_ != Io::kUring ? Io::kNone : io_;
}

int Engine::attach(int32_t port, std::shared_ptr<Device> device, int32_t queue) {
  if (port < 1 || port >= kPortsMax || queue < 0) return -EINVAL;
  if (ends_[port] != nullptr) return -EEXIST;
  auto end = std::make_unique<QueueEnd>();
  end->port = port;
  end->device = std::move(device);
  const TapDevice* const tap = end->device->as_tap();
  const int failed = tap != nullptr ? attach_tap(*end, *tap, queue) : attach_carrier(*end, queue);
  if (failed < 0) return failed;
  ends_[port] = std::move(end);
  return 0;
}

int Engine::attach_tap(QueueEnd& end, const TapDevice& tap, int32_t queue) {
  if (static_cast<size_t>(queue) >= tap.queues.size()) return -EINVAL;
  end.fd = tap.queues[static_cast<size_t>(queue)].get();
  if (io_ == Io::kUring) {
    if (free_files_.empty()) return -ENFILE;
    const int failed = uring_.set_file(free_files_.back(), end.fd);
    if (failed < 0) return failed;
    end.file = free_files_.back();
    free_files_.pop_back();
  }
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.u64 = static_cast<uint64_t>(end.port);
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, end.fd, &event) == 0) return 0;
  const int error = errno;
  if (io_ == Io::kUring) {
    uring_.set_file(end.file, -1);
    free_files_.push_back(end.file);
  }
  return -error;
}

int Engine::attach_carrier(QueueEnd& end, int32_t queue) {
  int error = EINVAL;
  end.carrier = end.device->carrier(queue, end.port, &error);
  if (end.carrier == nullptr) return -error;
  const int failed = end.carrier->watch(epoll_.get(), static_cast<uint64_t>(end.port));
  if (failed < 0) {
    // Of several descriptors the first ones are in the set, and stay there as long as somebody else has them open too.
    end.carrier->unwatch(epoll_.get());
    return failed;
  }
  if (end.carrier->is_polled()) polled_.push_back(&end);
  return 0;
}

/// A carrier stays until the frames that it gave in the last turn were sent: they may lie in its memory.
int Engine::detach(int32_t port) {
  if (port < 1 || port >= kPortsMax || ends_[port] == nullptr) return -ENOENT;
  QueueEnd* const end = ends_[port].get();
  for (auto* const ends : {&ready_, &called_, &polled_}) ends->erase(std::remove(ends->begin(), ends->end(), end), ends->end());
  if (end->carrier != nullptr) {
    end->carrier->unwatch(epoll_.get());
    leaving_.push_back(std::move(ends_[port]));
    return 0;
  }
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
    if (end == nullptr || end->ready || (end->carrier != nullptr && end->carrier->is_polled())) continue;
    end->ready = true;
    end->dry_turns = 0;
    (end->carrier != nullptr ? called_ : ready_).push_back(end);
  }
  return count;
}

/// Sleeps until something is ready, unless a carrier that was only looked at until now has work after all.
int Engine::sleep(int wait_ms) {
  bool awake = false;
  for (QueueEnd* const end : polled_) awake |= end->carrier->arm();
  const int found = look(awake ? 0 : wait_ms);
  for (QueueEnd* const end : polled_) end->carrier->disarm();
  return found;
}

/// Whether frames come one by one, so that nothing would share a call with anything: then plain calls are quicker than the ring's, which
/// takes 1.4 us to find two queues dry where two reads take 0.5.
bool Engine::is_lone() const {
  if (io_ != Io::kUring || received_last_ > 1 || lone_row_ >= kLoneRowMax || ready_.size() > kLoneMax) return false;
  const int32_t dirty = block_[kBlockDirtyCount];
  return dirty == 0 || (dirty == 1 && slots_.dirty()[0] > 0 && slots_.dirty()[0] < kPortsMax && slots_.queue_of(slots_.dirty()[0])[kQueueCount] <= 1);
}

int32_t Engine::turn() {
  if (broken_ != 0) return -broken_;
  slots_.begin_turn();
  refused_last_ = 0;
  const bool listed = block_[kBlockDirtyCount] != 0;
  lone_ = is_lone();
  if (listed) {
    transmit();
    if (broken_ != 0) return -broken_;
  }
  if (uring_.pending() == 0) release();
  read_clock(kCellSentNs);
  // While there is work elsewhere, or hands are idle but awake, a look is a system call that mostly finds nothing.
  const bool is_occupied = !ready_.empty() || !called_.empty() || (!polled_.empty() && block_[kBlockWaitMs] == 0);
  if (!is_occupied || ++looks_skipped_ >= kLookEvery) {
    looks_skipped_ = 0;
    const bool may_wait = ready_.empty() && called_.empty() && !listed;
    if (!listed && block_[kBlockYield] != 0) ::sched_yield();
    const int wait_ms = may_wait ? std::clamp(block_[kBlockWaitMs], 0, kWaitMsMax) : 0;
    const int found = wait_ms > 0 ? sleep(wait_ms) : look(0);
    if (found < 0) return found;
    if (wait_ms > 0) read_clock(kCellNowNs);
  }
  received_last_ = ready_.empty() && called_.empty() && polled_.empty() ? 0 : receive();
  lone_row_ = lone_ && received_last_ > 0 ? lone_row_ + 1 : 0;
  return received_last_;
}

}  // namespace weft

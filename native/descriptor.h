// One owner per descriptor: move-only, closes itself. Factories are named after their system call, CLOEXEC and NONBLOCK always.
#pragma once
#include <cerrno>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utility>

namespace weft {

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    if (this != &other) {
      close();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { close(); }

  static Descriptor open(const char* path, int flags) { return Descriptor(::open(path, flags | O_CLOEXEC | O_NONBLOCK)); }
  static Descriptor eventfd() { return Descriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }
  static Descriptor epoll_create() { return Descriptor(::epoll_create1(EPOLL_CLOEXEC)); }
  static Descriptor dup(int fd) { return Descriptor(::fcntl(fd, F_DUPFD_CLOEXEC, 3)); }

  int get() const { return fd_; }
  /// Hands it to a caller who closes it himself.
  int release() { return std::exchange(fd_, -1); }
  bool valid() const { return fd_ >= 0; }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_ = -1;
};

/// Calls again while a signal interrupts: the one place that knows EINTR.
template <typename Call>
inline auto uninterrupted(Call call) {
  for (;;) {
    const auto result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

}  // namespace weft

// What both kinds of sockets share as a port's carrier: their place in a worker's epoll set, and waiting until the other side takes more.
#pragma once
#include <sys/epoll.h>

#include "carrier.h"
#include "slots.h"
#include "socket-device.h"

namespace weft {

class SocketCarrier : public Carrier {
 public:
  int watch(int epoll, uint64_t key) override {
    epoll_ = epoll;
    key_ = key;
    return control(EPOLL_CTL_ADD);
  }
  void unwatch(int epoll) override { ::epoll_ctl(epoll, EPOLL_CTL_DEL, fd_, nullptr); }
  bool is_polled() const override { return false; }
  void release() override {}

 protected:
  SocketCarrier(const SocketDevice& device, bool receives, int32_t port, bool waits)
      : receives_(receives), port_(port), fd_(device.socket.get()), waits_(waits) {}

  bool waits() const { return waits_; }
  /// Asks epoll to name this port when the other side takes more, or no longer.
  void wait_for_room(bool waits) {
    if (waits_ == waits) return;
    waits_ = waits;
    control(EPOLL_CTL_MOD);
  }

  const bool receives_;
  const int32_t port_;

 private:
  /// 0, or −errno.
  int control(int operation) {
    epoll_event event{};
    event.events = EPOLLET | (receives_ ? EPOLLIN | EPOLLRDHUP : 0u) | (waits_ ? EPOLLOUT : 0u);
    event.data.u64 = key_;
    return ::epoll_ctl(epoll_, operation, fd_, &event) < 0 ? -errno : 0;
  }

  const int fd_;  // its device is held by the queue's end
  bool waits_;
  int epoll_ = -1;
  uint64_t key_ = 0;
};

}  // namespace weft

#include "socket-device.h"

#include <sys/socket.h>

namespace weft {

namespace {
// About what a TAP's queue of 1,000 frames holds, so that a guest that isn't scheduled for a moment loses nothing. The kernel doubles it.
constexpr int kSendBytes = 1 << 20;

/// Best effort: beyond net.core.wmem_max only with CAP_NET_ADMIN.
void widen(int fd) {
  if (::setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &kSendBytes, sizeof kSendBytes) == 0) return;
  ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kSendBytes, sizeof kSendBytes);
}
}  // namespace

OpenedSocket open_socket(int fd, int32_t receiver) {
  int type = 0, domain = 0;
  socklen_t bytes = sizeof type;
  if (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &bytes) < 0) return {{errno, "getsockopt", "fd", nullptr}, nullptr};
  ::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &bytes);
  if (domain != AF_UNIX || (type != SOCK_STREAM && type != SOCK_DGRAM) || receiver < 0) {
    return {{EINVAL, "openSocket", "fd", "give a unix socket, stream or dgram, and the worker that reads it"}, nullptr};
  }
  Descriptor socket = Descriptor::dup(fd);
  Descriptor ended = Descriptor::eventfd();
  if (!socket.valid() || !ended.valid()) return {{errno, "dup", "fd", nullptr}, nullptr};
  widen(socket.get());
  return {{}, (type == SOCK_STREAM ? make_stream : make_dgram)(std::move(socket), std::move(ended), receiver)};
}

}  // namespace weft

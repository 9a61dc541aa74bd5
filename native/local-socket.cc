#include "local-socket.h"

#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>

namespace weft {

namespace {
constexpr int kBacklog = 16;

/// Fills in `address`; a failure when no address holds `path`.
Failure address_of(const std::string& path, sockaddr_un* address) {
  if (path.size() > kSocketPathMax) return {ENAMETOOLONG, "socket", path, "a unix socket's path has at most 107 bytes"};
  // A zero byte would name another file, or the abstract namespace.
  if (path.empty() || path.find('\0') != std::string::npos) return {EINVAL, "socket", path, "give the path of a unix socket"};
  std::memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  std::memcpy(address->sun_path, path.data(), path.size());
  return {};
}

LocalSocket failed(const char* syscall, const std::string& path) { return {{errno, syscall, path, nullptr}, Descriptor()}; }

LocalSocket socket_of(const std::string& path, int type, sockaddr_un* address) {
  Failure failure = address_of(path, address);
  if (failure) return {std::move(failure), Descriptor()};
  Descriptor socket(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid()) return failed("socket", path);
  return {{}, std::move(socket)};
}
}  // namespace

LocalSocket listen_local(const std::string& path, int type) {
  sockaddr_un address;
  LocalSocket made = socket_of(path, type, &address);
  if (made.failure) return made;
  if (::bind(made.socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) return failed("bind", path);
  if (type == SOCK_STREAM && ::listen(made.socket.get(), kBacklog) < 0) {
    LocalSocket refused = failed("listen", path);
    ::unlink(address.sun_path);
    return refused;
  }
  return made;
}

LocalSocket connect_local(const std::string& path, int type) {
  sockaddr_un address;
  LocalSocket made = socket_of(path, type, &address);
  if (made.failure) return made;
  const auto* const to = reinterpret_cast<const sockaddr*>(&address);
  if (uninterrupted([&] { return ::connect(made.socket.get(), to, sizeof address); }) < 0) return failed("connect", path);
  return made;
}

int connect_to(int fd, const std::string& path) {
  sockaddr_un address;
  const Failure failure = address_of(path, &address);
  if (failure) return -failure.error;
  const auto* const to = reinterpret_cast<const sockaddr*>(&address);
  return uninterrupted([&] { return ::connect(fd, to, sizeof address); }) < 0 ? -errno : 0;
}

int accept_local(int fd) {
  const int got = uninterrupted([&] { return ::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK); });
  return got < 0 ? -errno : got;
}

Message receive_message(int fd, size_t max) {
  Message message;
  message.data.resize(max);
  iovec piece{message.data.data(), max};
  // Room for kDescriptorsMax and no more: what the sender has beyond that is closed by the kernel, which says so.
  alignas(cmsghdr) char control[CMSG_SPACE(kDescriptorsMax * sizeof(int))];
  msghdr header{};
  header.msg_iov = &piece;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  const ssize_t got = uninterrupted([&] { return ::recvmsg(fd, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT); });
  if (got < 0) {
    message.error = errno;
    return message;
  }
  message.data.resize(static_cast<size_t>(got));
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t k = 0; k < count; k++) {
      int descriptor;
      std::memcpy(&descriptor, CMSG_DATA(part) + k * sizeof descriptor, sizeof descriptor);
      message.descriptors.emplace_back(descriptor);
    }
  }
  if ((header.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) != 0) {
    message.error = EMSGSIZE;
    message.descriptors.clear();
  }
  return message;
}

int64_t send_message(int fd, const uint8_t* data, size_t bytes, const int* descriptors, size_t count) {
  if (count > kDescriptorsMax || (count > 0 && bytes == 0)) return -EINVAL;
  iovec piece{const_cast<uint8_t*>(data), bytes};
  alignas(cmsghdr) char control[CMSG_SPACE(kDescriptorsMax * sizeof(int))] = {};
  msghdr header{};
  header.msg_iov = &piece;
  header.msg_iovlen = 1;
  if (count > 0) {
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(count * sizeof(int));
    cmsghdr* const part = CMSG_FIRSTHDR(&header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(count * sizeof(int));
    std::memcpy(CMSG_DATA(part), descriptors, count * sizeof(int));
  }
  const ssize_t sent = uninterrupted([&] { return ::sendmsg(fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT); });
  return sent < 0 ? -errno : sent;
}

}  // namespace weft

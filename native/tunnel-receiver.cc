#include "tunnel-receiver.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cstring>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>

namespace weft {

namespace {
// About what a worker needs to come back after it wasn't scheduled for a few milliseconds.
constexpr int kReceiveBytes = 32 << 20;
// Newer than some distributions' headers: Linux 5.0, 3.16, 4.20, 5.1.
constexpr int kUdpGro = 104;
constexpr int kUdpNoCheck6Rx = 102;
constexpr int kIpv6MulticastAll = 29;
constexpr int kBindToIfIndex = 62;

const char* hint_for(int error) {
  switch (error) {
    case EADDRINUSE:
      return "somebody else has this UDP port: a VXLAN or Geneve interface of the kernel, or another switch (ss -ulnp)";
    case EADDRNOTAVAIL:
      return "no interface of this machine has the address, or it is still tentative";
    case EPERM:
    case EACCES:
      return "needs CAP_NET_RAW for GRE, CAP_NET_BIND_SERVICE for ports below 1024: run as root";
    case ENODEV:
      return "there is no such interface";
    case EMFILE:
    case ENFILE:
      return "too many open files: raise the limit (ulimit -n, LimitNOFILE=)";
    case ENOBUFS:
      return "more groups than one socket may join: see net.ipv4.igmp_max_memberships";
    default:
      return nullptr;
  }
}

Failure failed(const char* syscall, const std::string& subject) {
  const int error = errno;
  return {error, syscall, subject, hint_for(error)};
}

template <typename Value>
bool set(const Descriptor& socket, int level, int option, const Value& value) {
  return ::setsockopt(socket.get(), level, option, &value, sizeof value) == 0;
}

/// Reads an address with its scope; false when it is none.
bool parse(const std::string& text, uint16_t port, sockaddr_storage* out) {
  std::memset(out, 0, sizeof *out);
  sockaddr_in* const v4 = reinterpret_cast<sockaddr_in*>(out);
  if (::inet_pton(AF_INET, text.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    return true;
  }
  const size_t percent = text.find('%');
  sockaddr_in6* const v6 = reinterpret_cast<sockaddr_in6*>(out);
  if (::inet_pton(AF_INET6, text.substr(0, percent).c_str(), &v6->sin6_addr) != 1) return false;
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons(port);
  if (percent != std::string::npos) v6->sin6_scope_id = ::if_nametoindex(text.c_str() + percent + 1);
  return true;
}

socklen_t bytes_of(const sockaddr_storage& address) { return address.ss_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6); }

/// Lost at a socket since it was made: its queue was full. One number for all reasons, checksums that were wrong among them.
double lost_at(const ReceivingSocket& socket) {
  uint32_t info[SK_MEMINFO_VARS] = {};
  socklen_t bytes = sizeof info;
  return ::getsockopt(socket.socket.get(), SOL_SOCKET, SO_MEMINFO, info, &bytes) == 0 ? info[SK_MEMINFO_DROPS] : 0;
}

bool is_group(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) return IN_MULTICAST(ntohl(reinterpret_cast<const sockaddr_in&>(address).sin_addr.s_addr));
  return IN6_IS_ADDR_MULTICAST(&reinterpret_cast<const sockaddr_in6&>(address).sin6_addr);
}

bool change_membership(const Descriptor& socket, const sockaddr_storage& group, int32_t device, bool joins) {
  if (group.ss_family == AF_INET) {
    ip_mreqn request{};
    request.imr_multiaddr = reinterpret_cast<const sockaddr_in&>(group).sin_addr;
    request.imr_ifindex = device;
    return set(socket, IPPROTO_IP, joins ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP, request);
  }
  ipv6_mreq request{};
  request.ipv6mr_multiaddr = reinterpret_cast<const sockaddr_in6&>(group).sin6_addr;
  request.ipv6mr_interface = static_cast<unsigned>(device);
  return set(socket, IPPROTO_IPV6, joins ? IPV6_JOIN_GROUP : IPV6_LEAVE_GROUP, request);
}

int add(int epoll, uint64_t key, const Descriptor& socket) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.u64 = key;
  return ::epoll_ctl(epoll, EPOLL_CTL_ADD, socket.get(), &event) == 0 ? 0 : -errno;
}
}  // namespace

/// A socket that is bound and receives. `shares`: others of ours, or of a group anybody's, are bound to the same.
Failure TunnelReceiver::open_socket(const sockaddr_storage& address, bool shares, Descriptor* socket) const {
  const bool is_raw = kind == TunnelKind::kGre;
  const int family = address.ss_family;
  *socket = Descriptor(::socket(family, (is_raw ? SOCK_RAW : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, is_raw ? IPPROTO_GRE : 0));
  if (!socket->valid()) return failed("socket", name);
  const int on = 1, off = 0;
  if (shares && !set(*socket, SOL_SOCKET, is_group(address) ? SO_REUSEADDR : SO_REUSEPORT, on)) return failed("SO_REUSEPORT", name);
  if (family == AF_INET6) {
    if (!is_raw && !set(*socket, IPPROTO_IPV6, IPV6_V6ONLY, on)) return failed("IPV6_V6ONLY", name);
    // Checksums of zero are allowed to tunnels (RFC 6935).
    if (!is_raw && !set(*socket, SOL_UDP, kUdpNoCheck6Rx, on)) return failed("UDP_NO_CHECK6_RX", name);
    if (!set(*socket, IPPROTO_IPV6, IPV6_RECVTCLASS, on)) return failed("IPV6_RECVTCLASS", name);
    set(*socket, IPPROTO_IPV6, kIpv6MulticastAll, off);
  } else {
    if (!set(*socket, IPPROTO_IP, IP_RECVTOS, on)) return failed("IP_RECVTOS", name);
    if (!set(*socket, IPPROTO_IP, IP_MULTICAST_ALL, off)) return failed("IP_MULTICAST_ALL", name);
  }
  // A kernel without it gives datagrams one by one; beyond the system's limit of memory only privileged processes may.
  if (!is_raw) set(*socket, SOL_UDP, kUdpGro, on);
  if (!set(*socket, SOL_SOCKET, SO_RCVBUFFORCE, kReceiveBytes)) set(*socket, SOL_SOCKET, SO_RCVBUF, kReceiveBytes);
  if (::bind(socket->get(), reinterpret_cast<const sockaddr*>(&address), bytes_of(address)) < 0) return failed("bind", name);
  return {};
}

Failure TunnelReceiver::open(const std::string& local, uint16_t udp_port) {
  const bool is_raw = kind == TunnelKind::kGre;
  name = is_raw ? local : (ipv6 ? "[" + local + "]" : local) + ":" + std::to_string(udp_port);
  udp_port_ = udp_port;
  sockaddr_storage address;
  if (!parse(local, is_raw ? 0 : udp_port, &address)) return {EINVAL, "bind", name, "give an IPv4 or IPv6 address"};
  if (is_group(address)) return {EINVAL, "bind", name, "give an address of this machine, not a group's"};
  // Sockets that share a port share its datagrams, with anybody who shares too: nobody else may have it yet.
  Descriptor probe;
  const Failure taken = is_raw ? Failure{} : open_socket(address, false, &probe);
  if (taken) return taken;
  probe.close();
  for (int32_t k = 0; k < (is_raw ? 1 : workers); k++) {
    auto made = std::make_shared<ReceivingSocket>();
    const Failure failure = open_socket(address, !is_raw, &made->socket);
    if (failure) return failure;
    own_.push_back(std::move(made));
  }
  return {};
}

Failure TunnelReceiver::join(const std::string& group, int32_t device) {
  sockaddr_storage address;
  if (kind == TunnelKind::kGre || !parse(group, udp_port_, &address) || !is_group(address) || (address.ss_family == AF_INET6) != ipv6)
    return {EINVAL, "IP_ADD_MEMBERSHIP", group, "give a multicast group of the local address's family; GRE has none"};
  const std::lock_guard<std::mutex> guard(lock_);
  for (const auto& joined : groups_) {
    if (joined->group == group && joined->device == device) return {EEXIST, "IP_ADD_MEMBERSHIP", group, "this interface has joined it already"};
  }
  if (ipv6) reinterpret_cast<sockaddr_in6&>(address).sin6_scope_id = static_cast<uint32_t>(device);
  auto made = std::make_shared<ReceivingSocket>();
  made->group = group;
  made->device = device;
  const Failure failure = open_socket(address, true, &made->socket);
  if (failure) return failure;
  // IPv6 asks which groups a socket has joined, but not by which interface.
  if (ipv6 && !set(made->socket, SOL_SOCKET, kBindToIfIndex, device)) return failed("SO_BINDTOIFINDEX", group);
  if (!change_membership(made->socket, address, device, true)) return failed("IP_ADD_MEMBERSHIP", group);
  groups_.push_back(made);
  // Before the first event, which comes once: who is woken by it must see that there is a socket more.
  generation_.fetch_add(1, std::memory_order_release);
  const int watched = epoll_ < 0 ? 0 : add(epoll_, key_, made->socket);
  if (watched == 0) return {};
  groups_.pop_back();
  generation_.fetch_add(1, std::memory_order_release);
  return {-watched, "epoll_ctl", group, nullptr};
}

/// Worker 0 may still hold the socket until it next receives; it gets nothing more by then.
Failure TunnelReceiver::leave(const std::string& group, int32_t device) {
  const std::lock_guard<std::mutex> guard(lock_);
  const auto found =
      std::find_if(groups_.begin(), groups_.end(), [&](const auto& joined) { return joined->group == group && joined->device == device; });
  if (found == groups_.end()) return {ENOENT, "IP_DROP_MEMBERSHIP", group, "this interface has not joined it"};
  const ReceivingSocket& joined = **found;
  sockaddr_storage address;
  // An interface that is gone took its memberships along.
  if (parse(group, udp_port_, &address)) change_membership(joined.socket, address, device, false);
  if (epoll_ >= 0) ::epoll_ctl(epoll_, EPOLL_CTL_DEL, joined.socket.get(), nullptr);
  missed_ += lost_at(joined);
  groups_.erase(found);
  generation_.fetch_add(1, std::memory_order_release);
  return {};
}

ReceiverCounts TunnelReceiver::counts() {
  ReceiverCounts sum;
  for (const Counters& counters : counters_) {
    sum.datagrams += counters.datagrams.load(std::memory_order_relaxed);
    sum.messages += counters.messages.load(std::memory_order_relaxed);
    sum.merged += counters.merged.load(std::memory_order_relaxed);
  }
  const std::lock_guard<std::mutex> guard(lock_);
  sum.missed = missed_;
  for (const auto& socket : own_) sum.missed += lost_at(*socket);
  for (const auto& socket : groups_) sum.missed += lost_at(*socket);
  return sum;
}

std::vector<std::shared_ptr<ReceivingSocket>> TunnelReceiver::sockets_of(int32_t worker) {
  std::vector<std::shared_ptr<ReceivingSocket>> sockets;
  const size_t index = static_cast<size_t>(worker);
  if (index < own_.size()) sockets.push_back(own_[index]);
  if (worker != 0) return sockets;
  const std::lock_guard<std::mutex> guard(lock_);
  sockets.insert(sockets.end(), groups_.begin(), groups_.end());
  return sockets;
}

int TunnelReceiver::watch(int32_t worker, int epoll, uint64_t key) {
  const size_t index = static_cast<size_t>(worker);
  if (index < own_.size()) {
    const int failed = add(epoll, key, own_[index]->socket);
    if (failed < 0) return failed;
  }
  if (worker != 0) return 0;
  const std::lock_guard<std::mutex> guard(lock_);
  epoll_ = epoll;
  key_ = key;
  for (const auto& group : groups_) {
    const int failed = add(epoll, key, group->socket);
    if (failed < 0) return failed;
  }
  return 0;
}

void TunnelReceiver::unwatch(int32_t worker, int epoll) {
  const size_t index = static_cast<size_t>(worker);
  if (index < own_.size()) ::epoll_ctl(epoll, EPOLL_CTL_DEL, own_[index]->socket.get(), nullptr);
  if (worker != 0) return;
  const std::lock_guard<std::mutex> guard(lock_);
  epoll_ = -1;
  for (const auto& group : groups_) ::epoll_ctl(epoll, EPOLL_CTL_DEL, group->socket.get(), nullptr);
}

OpenedReceiver open_tunnel_receiver(TunnelKind kind, const std::string& local, int32_t udp_port, int32_t workers) {
  if (workers < 1 || workers > kWorkersMax) return {{EINVAL, "bind", local, "there are 1 to 16 workers"}, nullptr};
  if (kind != TunnelKind::kGre && (udp_port < 1 || udp_port > 65535)) return {{EINVAL, "bind", local, "a UDP port is 1 to 65535"}, nullptr};
  auto device = std::make_shared<TunnelReceiver>(kind, local.find(':') != std::string::npos, workers);
  const Failure failure = device->open(local, static_cast<uint16_t>(udp_port));
  if (failure) device.reset();
  return {failure, std::move(device)};
}

}  // namespace weft

#include "tunnel-sockets.h"

#include <linux/filter.h>
#include <netinet/udp.h>

namespace weft {

namespace {
/// What waits in the kernel for a slow interface: some 30 super-frames.
constexpr int kSendBytes = 4 << 20;

Failure failed(const char* call, const std::string& subject, const char* hint = nullptr) { return {errno, call, subject, hint}; }

template <typename Value>
bool set(int fd, int level, int option, const Value& value) {
  return ::setsockopt(fd, level, option, &value, sizeof value) == 0;
}

struct Option {
  int level, option, value;
  const char* name;
};

Failure set_all(int fd, const std::string& subject, const Option* options, size_t count) {
  for (size_t k = 0; k < count; k++) {
    if (!set(fd, options[k].level, options[k].option, options[k].value)) return failed(options[k].name, subject);
  }
  return {};
}

/// What floods to a group must not come back to our own sockets.
Failure set_v4(int fd, const SenderOptions& options, const std::string& subject) {
  const Option list[] = {
      {IPPROTO_IP, IP_MTU_DISCOVER, options.df ? IP_PMTUDISC_DO : IP_PMTUDISC_DONT, "IP_MTU_DISCOVER"},
      {IPPROTO_IP, IP_RECVERR, 1, "IP_RECVERR"},
      {IPPROTO_IP, IP_MULTICAST_LOOP, 0, "IP_MULTICAST_LOOP"},
  };
  const Failure failure = set_all(fd, subject, list, std::size(list));
  if (failure || options.scope == 0) return failure;
  ip_mreqn by{};
  by.imr_ifindex = static_cast<int>(options.scope);
  return set(fd, IPPROTO_IP, IP_MULTICAST_IF, by) ? Failure{} : failed("IP_MULTICAST_IF", subject);
}

Failure set_v6(int fd, const SenderOptions& options, const std::string& subject) {
  const Option list[] = {
      {IPPROTO_IPV6, IPV6_MTU_DISCOVER, options.df ? IPV6_PMTUDISC_DO : IPV6_PMTUDISC_DONT, "IPV6_MTU_DISCOVER"},
      {IPPROTO_IPV6, IPV6_RECVERR, 1, "IPV6_RECVERR"},
      {IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0, "IPV6_MULTICAST_LOOP"},
  };
  Failure failure = set_all(fd, subject, list, std::size(list));
  const int by = static_cast<int>(options.scope);
  if (!failure && by != 0 && !set(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, by)) failure = failed("IPV6_MULTICAST_IF", subject);
  // Raw sockets know no other family, and not this option.
  if (!failure && !options.gre && !set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)) failure = failed("IPV6_V6ONLY", subject);
  return failure;
}

Failure set_checksum(int fd, const SenderOptions& options, const std::string& subject) {
  if (options.checksum || options.gre) return {};
  const bool is_set = options.local.family == 6 ? set(fd, IPPROTO_UDP, UDP_NO_CHECK6_TX, 1) : set(fd, SOL_SOCKET, SO_NO_CHECK, 1);
  return is_set ? Failure{} : failed("SO_NO_CHECK", subject);
}

/// Nothing is received but errors, which no filter sees; their queue counts as received bytes, so that buffer stays as large as it is.
Failure set_common(int fd, const std::string& subject) {
  sock_filter nothing[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
  const sock_fprog filter{1, nothing};
  if (!set(fd, SOL_SOCKET, SO_ATTACH_FILTER, filter)) return failed("SO_ATTACH_FILTER", subject);
  // Beyond the system's limit, which only privileged processes may; without, frames are lost a little earlier.
  if (!set(fd, SOL_SOCKET, SO_SNDBUFFORCE, kSendBytes)) set(fd, SOL_SOCKET, SO_SNDBUF, kSendBytes);
  return {};
}

Failure open_one(const SenderOptions& options, const std::string& subject, Descriptor* socket) {
  const int type = options.gre ? SOCK_RAW : SOCK_DGRAM;
  *socket = Descriptor(::socket(options.local.domain(), type | SOCK_CLOEXEC | SOCK_NONBLOCK, options.gre ? IPPROTO_GRE : IPPROTO_UDP));
  const int fd = socket->get();
  if (fd < 0) return failed("socket", subject, errno == EPERM ? "GRE needs CAP_NET_RAW" : nullptr);
  Failure failure = set_common(fd, subject);
  if (!failure) failure = options.local.family == 6 ? set_v6(fd, options, subject) : set_v4(fd, options, subject);
  if (!failure) failure = set_checksum(fd, options, subject);
  if (failure) return failure;
  SocketName name;
  const socklen_t bytes = write_name(&name, options.local, 0, options.scope);
  if (::bind(fd, &name.any, bytes) == 0) return {};
  return failed("bind", subject, errno == EADDRNOTAVAIL ? "no interface has this address" : nullptr);
}
}  // namespace

Failure open_sender_sockets(const SenderOptions& options, const std::string& subject, std::vector<Descriptor>* sockets) {
  const uint32_t count = options.gre ? 1 : kPoolSockets;
  sockets->resize(count);
  for (Descriptor& socket : *sockets) {
    const Failure failure = open_one(options, subject, &socket);
    if (failure) return failure;
  }
  return {};
}

}  // namespace weft

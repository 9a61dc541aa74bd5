#include "way.h"

#include <cerrno>
#include <linux/rtnetlink.h>

#include "descriptor.h"

namespace weft {

namespace {
/// Any port: nothing is sent to it.
constexpr uint16_t kAnyPort = 9;

bool set_scope(int fd, const Address& local, uint32_t scope) {
  if (scope == 0) return true;
  const int index = static_cast<int>(scope);
  if (local.family == 6) return ::setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &index, sizeof index) == 0;
  ip_mreqn by{};
  by.imr_ifindex = index;
  return ::setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &by, sizeof by) == 0;
}

uint32_t mtu_of(int fd, const Address& local) {
  int mtu = 0;
  socklen_t bytes = sizeof mtu;
  const int got = local.family == 6 ? ::getsockopt(fd, IPPROTO_IPV6, IPV6_MTU, &mtu, &bytes) : ::getsockopt(fd, IPPROTO_IP, IP_MTU, &mtu, &bytes);
  return got == 0 && mtu > 0 ? static_cast<uint32_t>(mtu) : 0;
}

/// A route's question (rtnetlink(7)): rtmsg and attributes.
struct Question {
  nlmsghdr head{};
  rtmsg route{};
  uint8_t attributes[128] = {};

  explicit Question(const Address& to) {
    head.nlmsg_len = NLMSG_LENGTH(sizeof route);
    head.nlmsg_type = RTM_GETROUTE;
    head.nlmsg_flags = NLM_F_REQUEST;
    route.rtm_family = static_cast<uint8_t>(to.domain());
  }
  void add(uint16_t type, const void* data, size_t bytes) {
    const rtattr attribute{static_cast<uint16_t>(RTA_LENGTH(bytes)), type};
    uint8_t* const at = attributes + (head.nlmsg_len - NLMSG_LENGTH(sizeof route));
    __builtin_memcpy(at, &attribute, sizeof attribute);
    __builtin_memcpy(at + RTA_LENGTH(0), data, bytes);
    head.nlmsg_len += static_cast<uint32_t>(RTA_SPACE(bytes));
  }
};

/// The interface in the answer; 0 when it has none.
uint32_t device_in(const uint8_t* bytes, size_t length) {
  nlmsghdr head;
  if (length < NLMSG_LENGTH(sizeof(rtmsg))) return 0;
  __builtin_memcpy(&head, bytes, sizeof head);
  if (head.nlmsg_type != RTM_NEWROUTE || head.nlmsg_len > length) return 0;
  for (size_t at = NLMSG_SPACE(sizeof(rtmsg)); at + sizeof(rtattr) <= head.nlmsg_len;) {
    rtattr attribute;
    uint32_t index = 0;
    __builtin_memcpy(&attribute, bytes + at, sizeof attribute);
    if (attribute.rta_len < sizeof attribute || attribute.rta_len > head.nlmsg_len - at) return 0;
    if (attribute.rta_type == RTA_OIF && attribute.rta_len >= RTA_LENGTH(sizeof index)) {
      __builtin_memcpy(&index, bytes + at + RTA_LENGTH(0), sizeof index);
      return index;
    }
    at += RTA_ALIGN(attribute.rta_len);
  }
  return 0;
}

uint32_t device_to(const Address& local, const Address& remote, uint32_t scope) {
  const Descriptor socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  if (!socket.valid()) return 0;
  const size_t bytes = remote.family == 6 ? 16 : 4;
  Question question(remote);
  question.route.rtm_dst_len = question.route.rtm_src_len = static_cast<uint8_t>(bytes * 8);
  question.add(RTA_DST, remote.bytes, bytes);
  question.add(RTA_SRC, local.bytes, bytes);
  if (scope != 0) question.add(RTA_OIF, &scope, sizeof scope);
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  const auto* const to = reinterpret_cast<const sockaddr*>(&kernel);
  if (uninterrupted([&] { return ::sendto(socket.get(), &question, question.head.nlmsg_len, 0, to, sizeof kernel); }) < 0) return 0;
  alignas(nlmsghdr) uint8_t answer[4096];
  // The kernel answers within the call that asks.
  const ssize_t got = uninterrupted([&] { return ::recv(socket.get(), answer, sizeof answer, 0); });
  return got < 0 ? 0 : device_in(answer, static_cast<size_t>(got));
}
}  // namespace

Way way_to(const Address& local, const Address& remote, uint32_t scope) {
  const Descriptor socket(::socket(local.domain(), SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid() || !set_scope(socket.get(), local, scope)) return {errno, 0, 0};
  SocketName name;
  socklen_t bytes = write_name(&name, local, 0, scope);
  if (::bind(socket.get(), &name.any, bytes) < 0) return {errno, 0, 0};
  bytes = write_name(&name, remote, __builtin_bswap16(kAnyPort), scope);
  if (::connect(socket.get(), &name.any, bytes) < 0) return {errno, 0, 0};
  return {0, mtu_of(socket.get(), local), device_to(local, remote, scope)};
}

}  // namespace weft

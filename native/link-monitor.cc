#include "link-monitor.h"

#include <algorithm>
#include <cstring>
#include <linux/if.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

namespace weft {

namespace {

/// The kernel's own buffers for these messages have 4 to 8 KiB.
constexpr size_t kDatagramBytes = 32 * 1024;
/// A callback reads so many at most; what is left calls back again.
constexpr int kDatagrams = 64;
/// A message takes 1 to 4 KiB of it: a thousand links may change while the main thread is busy.
constexpr int kReceiveBytes = 4 << 20;

/// The attributes from `at` on: `each(type, data, bytes)`. One that reaches beyond the end ends it.
template <typename Each>
void attributes(const uint8_t* bytes, size_t at, size_t end, Each each) {
  while (at + sizeof(rtattr) <= end) {
    rtattr head;
    std::memcpy(&head, bytes + at, sizeof head);
    if (head.rta_len < sizeof head || head.rta_len > end - at) return;
    each(head.rta_type & NLA_TYPE_MASK, bytes + at + sizeof head, head.rta_len - sizeof head);
    at += RTA_ALIGN(head.rta_len);
  }
}

template <typename Value>
bool value_of(const uint8_t* data, size_t bytes, Value& out) {
  if (bytes < sizeof out) return false;
  std::memcpy(&out, data, sizeof out);
  return true;
}

/// ifinfomsg, rtnetlink(7). False for what is no change of the link itself: a bridge tells of its ports, also that one left it, with a
/// family of its own, and a wireless driver of its scans with a message that has no MTU.
bool parse_link(const uint8_t* body, size_t bytes, LinkNotice& notice) {
  ifinfomsg info;
  if (!value_of(body, bytes, info) || info.ifi_family != AF_UNSPEC || info.ifi_index <= 0) return false;
  notice.index = info.ifi_index;
  notice.admin_up = (info.ifi_flags & IFF_UP) != 0;
  notice.carrier = (info.ifi_flags & IFF_LOWER_UP) != 0;
  bool wireless = false;
  bool measured = false;
  attributes(body, NLMSG_ALIGN(sizeof info), bytes, [&](int type, const uint8_t* data, size_t length) {
    if (type == IFLA_IFNAME) std::memcpy(notice.name, data, std::min(length, sizeof notice.name - 1));
    else if (type == IFLA_MTU) measured = value_of(data, length, notice.mtu);
    else if (type == IFLA_WIRELESS) wireless = true;
  });
  return !wireless && (notice.gone || (measured && notice.name[0] != '\0'));
}

/// rtgenmsg and NETNSA_NSID, linux/net_namespace.h.
bool parse_namespace(const uint8_t* body, size_t bytes, LinkNotice& notice) {
  bool named = false;
  attributes(body, NLMSG_ALIGN(sizeof(rtgenmsg)), bytes, [&](int type, const uint8_t* data, size_t length) {
    if (type == NETNSA_NSID) named = value_of(data, length, notice.nsid);
  });
  return named && notice.nsid >= 0;
}

void parse_message(const nlmsghdr& head, const uint8_t* body, int32_t nsid, std::vector<LinkNotice>& notices) {
  const size_t bytes = head.nlmsg_len - NLMSG_HDRLEN;
  const uint16_t type = head.nlmsg_type;
  if (type == RTM_NEWLINK || type == RTM_DELLINK) {
    LinkNotice notice{LinkNotice::Of::kLink, nsid, type == RTM_DELLINK};
    if (parse_link(body, bytes, notice)) notices.push_back(notice);
  } else if (type == RTM_NEWNSID || type == RTM_DELNSID) {
    LinkNotice notice{LinkNotice::Of::kNamespace, nsid, type == RTM_DELNSID};
    if (parse_namespace(body, bytes, notice)) notices.push_back(notice);
  }
}

/// The namespace's number that came beside a datagram, as NETLINK_LISTEN_ALL_NSID brings it.
int32_t nsid_of(msghdr& message) {
  for (cmsghdr* head = CMSG_FIRSTHDR(&message); head != nullptr; head = CMSG_NXTHDR(&message, head)) {
    int32_t nsid = kOwnNamespace;
    if (head->cmsg_level != SOL_NETLINK || head->cmsg_type != NETLINK_LISTEN_ALL_NSID) continue;
    if (head->cmsg_len >= CMSG_LEN(sizeof nsid)) std::memcpy(&nsid, CMSG_DATA(head), sizeof nsid);
    return nsid;
  }
  return kOwnNamespace;
}

bool set(int fd, int level, int option, int value) { return ::setsockopt(fd, level, option, &value, sizeof value) == 0; }

}  // namespace

void parse_link_messages(const uint8_t* bytes, size_t length, int32_t nsid, std::vector<LinkNotice>& notices) {
  for (size_t at = 0; length - at >= NLMSG_HDRLEN;) {
    nlmsghdr head;
    std::memcpy(&head, bytes + at, sizeof head);
    if (head.nlmsg_len < NLMSG_HDRLEN || head.nlmsg_len > length - at) return;
    parse_message(head, bytes + at + NLMSG_HDRLEN, nsid, notices);
    at += std::min<size_t>(NLMSG_ALIGN(head.nlmsg_len), length - at);
  }
}

LinkMonitor open_link_monitor(Hears hears) {
  const auto refused = [](const char* call, const char* hint = nullptr) { return LinkMonitor{{errno, call, "NETLINK_ROUTE", hint}, Descriptor()}; };
  Descriptor socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  const int fd = socket.get();
  if (fd < 0) return refused("socket");
  // Beyond the host's limit only for who has CAP_NET_ADMIN; whatever it becomes, an overrun is told.
  if (!set(fd, SOL_SOCKET, SO_RCVBUFFORCE, kReceiveBytes)) set(fd, SOL_SOCKET, SO_RCVBUF, kReceiveBytes);
  if (hears == Hears::kNumbered && !set(fd, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, 1))
    return refused("NETLINK_LISTEN_ALL_NSID", "hearing other namespaces needs CAP_NET_BROADCAST");
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) return refused("bind");
  const bool joined = set(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, RTNLGRP_LINK) &&
                      (hears == Hears::kNumbered || set(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, RTNLGRP_NSID));
  if (!joined) return refused("NETLINK_ADD_MEMBERSHIP");
  return {{}, std::move(socket)};
}

int read_link_monitor(int fd, Hears hears, std::vector<LinkNotice>& notices) {
  std::vector<uint8_t> bytes(kDatagramBytes);
  for (int k = 0; k < kDatagrams; k++) {
    sockaddr_nl from{};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int32_t)) * 2];
    iovec part{bytes.data(), bytes.size()};
    msghdr message{};
    message.msg_name = &from;
    message.msg_namelen = sizeof from;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t got = uninterrupted([&] { return ::recvmsg(fd, &message, 0); });
    if (got < 0) return errno == EAGAIN ? 0 : errno;
    // Other processes may send here too: only the kernel has the address 0.
    if (message.msg_namelen < sizeof from || from.nl_pid != 0) continue;
    if ((message.msg_flags & MSG_TRUNC) != 0) return ENOBUFS;
    const int32_t nsid = nsid_of(message);
    // What has no number is of the own namespace, and the monitor of that one hears it.
    if ((nsid == kOwnNamespace) != (hears == Hears::kOwn)) continue;
    parse_link_messages(bytes.data(), static_cast<size_t>(got), nsid, notices);
  }
  return 0;
}

}  // namespace weft

#include "echo.h"

#include <algorithm>
#include <cstring>
#include <linux/errqueue.h>
#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <optional>
#include <sys/socket.h>

#include "address.h"
#include "checksum.h"

namespace weft {

namespace {

constexpr size_t kIpv4Bytes = 20;
constexpr size_t kIpv6Bytes = 40;
constexpr size_t kIcmpBytes = 8;
/// The id again, since the kernel's own kind of socket chooses that of the header.
constexpr size_t kMarkBytes = 2;
constexpr size_t kPacketBytesMax = 65'535;
constexpr int kReceiveBytes = 1 << 20;
/// A callback reads so many at most; what is left calls back again.
constexpr int kNotices = 256;

bool set(int fd, int level, int option, int value) { return ::setsockopt(fd, level, option, &value, sizeof value) == 0; }

int option_of(int fd, int option) {
  int value = 0;
  socklen_t bytes = sizeof value;
  ::getsockopt(fd, SOL_SOCKET, option, &value, &bytes);
  return value;
}

/// DF, whatever the kernel learned of the path, so that a path is asked itself; and ICMP errors into the socket's error queue.
bool prepare(int fd, bool is_v4) {
  if (is_v4) return set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE) && set(fd, IPPROTO_IP, IP_RECVERR, 1);
  return set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE) && set(fd, IPPROTO_IPV6, IPV6_DONTFRAG, 1) &&
         set(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
}

/// A raw socket hears every ICMP message of the machine: only answers are wanted.
bool filter_answers(int fd, bool is_v4) {
  if (is_v4) {
    const icmp_filter all_but{~(1u << ICMP_ECHOREPLY)};
    return ::setsockopt(fd, SOL_RAW, ICMP_FILTER, &all_but, sizeof all_but) == 0;
  }
  icmp6_filter wanted;
  ICMP6_FILTER_SETBLOCKALL(&wanted);
  ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &wanted);
  return ::setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &wanted, sizeof wanted) == 0;
}

/// One message off the socket's queue of errors (`MSG_ERRQUEUE`) or of answers. False: there is none.
struct Received {
  uint8_t bytes[128];
  size_t length;
  SocketName from;
  std::optional<sock_extended_err> trouble;
  std::string offender;
};

void read_trouble(msghdr& message, Received& received) {
  for (cmsghdr* head = CMSG_FIRSTHDR(&message); head != nullptr; head = CMSG_NXTHDR(&message, head)) {
    const bool is_v4 = head->cmsg_level == IPPROTO_IP && head->cmsg_type == IP_RECVERR;
    const bool is_v6 = head->cmsg_level == IPPROTO_IPV6 && head->cmsg_type == IPV6_RECVERR;
    if ((!is_v4 && !is_v6) || head->cmsg_len < CMSG_LEN(sizeof(sock_extended_err) + sizeof(sockaddr_in))) continue;
    const auto* const trouble = reinterpret_cast<const sock_extended_err*>(CMSG_DATA(head));
    received.trouble = *trouble;
    SocketName offender{};
    const size_t bytes = std::min(head->cmsg_len - CMSG_LEN(sizeof *trouble), sizeof offender);
    std::memcpy(&offender, SO_EE_OFFENDER(trouble), bytes);
    received.offender = text_of(address_of(offender));
  }
}

bool receive(int fd, int flags, Received& received) {
  alignas(cmsghdr) char control[512];
  iovec part{received.bytes, sizeof received.bytes};
  msghdr message{};
  message.msg_name = &received.from;
  message.msg_namelen = sizeof received.from;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t got = uninterrupted([&] { return ::recvmsg(fd, &message, flags | MSG_DONTWAIT); });
  if (got < 0) return false;
  received.length = std::min(static_cast<size_t>(got), sizeof received.bytes);
  received.trouble.reset();
  read_trouble(message, received);
  return true;
}

/// Where the ICMP header begins: a raw IPv4 socket brings the IP header before it.
size_t icmp_at(const Received& received, bool with_header) {
  return with_header && received.length >= kIpv4Bytes ? static_cast<size_t>(received.bytes[0] & 15) * 4 : 0;
}

void read_errors(int fd, uint16_t id, std::vector<EchoNotice>& notices) {
  Received received;
  for (int k = 0; k < kNotices && receive(fd, MSG_ERRQUEUE, received); k++) {
    if (!received.trouble || received.trouble->ee_origin == SO_EE_ORIGIN_LOCAL || received.length < kIcmpBytes) continue;
    // A router need not quote more than the header: where the mark is there it must be ours.
    const bool is_marked = received.length >= kIcmpBytes + kMarkBytes;
    if (is_marked && read16(received.bytes + kIcmpBytes) != id) continue;
    const int error = static_cast<int>(received.trouble->ee_errno);
    const uint32_t mtu = error == EMSGSIZE ? received.trouble->ee_info : 0;
    notices.push_back({read16(received.bytes + 6), error, mtu, received.offender});
  }
}

void read_answers(int fd, uint16_t id, bool with_header, std::vector<EchoNotice>& notices) {
  Received received;
  for (int k = 0; k < kNotices && receive(fd, 0, received); k++) {
    const size_t at = icmp_at(received, with_header);
    if (received.length < at + kIcmpBytes + kMarkBytes) continue;
    const uint8_t type = received.bytes[at];
    if (type != ICMP_ECHOREPLY && type != ICMP6_ECHO_REPLY) continue;
    if (read16(received.bytes + at + kIcmpBytes) != id) continue;
    notices.push_back({read16(received.bytes + at + 6), 0, 0, text_of(address_of(received.from))});
  }
}

}  // namespace

EchoSocket open_echo(const std::string& local) {
  const auto refused = [&](const char* call, const char* hint = nullptr) { return EchoSocket{{errno, call, local, hint}, Descriptor()}; };
  const Address address = parse_address(local);
  if (address.family == 0) return {{EINVAL, "socket", local, "give an IPv4 or IPv6 address"}, Descriptor()};
  const bool is_v4 = address.family == 4;
  const int protocol = is_v4 ? static_cast<int>(IPPROTO_ICMP) : static_cast<int>(IPPROTO_ICMPV6);
  const int flags = SOCK_CLOEXEC | SOCK_NONBLOCK;
  Descriptor socket(::socket(address.domain(), SOCK_DGRAM | flags, protocol));
  const bool is_raw = !socket.valid();
  if (is_raw) socket = Descriptor(::socket(address.domain(), SOCK_RAW | flags, protocol));
  if (!socket.valid()) return refused("socket", "echo requests need CAP_NET_RAW, or a group in net.ipv4.ping_group_range");
  const int fd = socket.get();
  set(fd, SOL_SOCKET, SO_RCVBUF, kReceiveBytes);
  if (!prepare(fd, is_v4) || (is_raw && !filter_answers(fd, is_v4))) return refused("setsockopt");
  SocketName name;
  const socklen_t bytes = write_name(&name, address, 0, 0);
  if (::bind(fd, &name.any, bytes) < 0) return refused("bind");
  return {{}, std::move(socket)};
}

int send_echo(int fd, const std::string& remote, uint16_t id, uint16_t sequence, size_t bytes) {
  const Address to = parse_address(remote);
  if (to.family == 0) return -EINVAL;
  const bool is_v4 = to.family == 4;
  const size_t header = is_v4 ? kIpv4Bytes : kIpv6Bytes;
  if (bytes < header + kIcmpBytes + kMarkBytes || bytes > kPacketBytesMax) return -EINVAL;
  std::vector<uint8_t> packet(bytes - header, 0);
  packet[0] = is_v4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
  write16(packet.data() + 4, id);
  write16(packet.data() + 6, sequence);
  write16(packet.data() + kIcmpBytes, id);
  // Of IPv6, and of its own kind of socket, the kernel makes it.
  if (is_v4) {
    const uint16_t checksum = static_cast<uint16_t>(~fold(sum_bytes(packet.data(), static_cast<uint32_t>(packet.size()), 0)));
    std::memcpy(packet.data() + 2, &checksum, sizeof checksum);
  }
  // An error of an earlier request would be taken for one of this.
  option_of(fd, SO_ERROR);
  SocketName name;
  const socklen_t name_bytes = write_name(&name, to, 0, 0);
  const ssize_t sent = uninterrupted([&] { return ::sendto(fd, packet.data(), packet.size(), MSG_DONTWAIT, &name.any, name_bytes); });
  return sent < 0 ? -errno : 0;
}

void read_echoes(int fd, uint16_t id, std::vector<EchoNotice>& notices) {
  read_errors(fd, id, notices);
  option_of(fd, SO_ERROR);
  read_answers(fd, id, option_of(fd, SO_DOMAIN) == AF_INET && option_of(fd, SO_TYPE) == SOCK_RAW, notices);
}

}  // namespace weft

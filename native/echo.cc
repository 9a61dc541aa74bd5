#include "echo.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cstring>
#include <linux/errqueue.h>
#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <optional>
#include <sys/socket.h>

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

struct Address {
  sockaddr_storage storage{};
  socklen_t bytes = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

std::optional<Address> parse(const std::string& text) {
  Address address;
  auto* const v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  auto* const v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
  if (::inet_pton(AF_INET, text.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    address.bytes = sizeof *v4;
  } else if (::inet_pton(AF_INET6, text.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    address.bytes = sizeof *v6;
  } else {
    return std::nullopt;
  }
  return address;
}

std::string format(const sockaddr* address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address->sa_family == AF_INET) ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(address)->sin_addr, text, sizeof text);
  if (address->sa_family == AF_INET6) ::inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr, text, sizeof text);
  return text;
}

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

uint16_t checksum(const uint8_t* bytes, size_t length) {
  uint32_t sum = 0;
  for (size_t at = 0; at + 1 < length; at += 2) sum += static_cast<uint32_t>(bytes[at] << 8 | bytes[at + 1]);
  if (length % 2 != 0) sum += static_cast<uint32_t>(bytes[length - 1] << 8);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

void put16(uint8_t* at, uint16_t value) {
  at[0] = static_cast<uint8_t>(value >> 8);
  at[1] = static_cast<uint8_t>(value);
}

uint16_t get16(const uint8_t* at) { return static_cast<uint16_t>(at[0] << 8 | at[1]); }

/// One message off the socket's queue of errors (`MSG_ERRQUEUE`) or of answers. False: there is none.
struct Received {
  uint8_t bytes[128];
  size_t length;
  sockaddr_storage from;
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
    received.offender = format(SO_EE_OFFENDER(trouble));
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
    if (is_marked && get16(received.bytes + kIcmpBytes) != id) continue;
    const int error = static_cast<int>(received.trouble->ee_errno);
    const uint32_t mtu = error == EMSGSIZE ? received.trouble->ee_info : 0;
    notices.push_back({get16(received.bytes + 6), error, mtu, received.offender});
  }
}

void read_answers(int fd, uint16_t id, bool with_header, std::vector<EchoNotice>& notices) {
  Received received;
  for (int k = 0; k < kNotices && receive(fd, 0, received); k++) {
    const size_t at = icmp_at(received, with_header);
    if (received.length < at + kIcmpBytes + kMarkBytes) continue;
    const uint8_t type = received.bytes[at];
    if (type != ICMP_ECHOREPLY && type != ICMP6_ECHO_REPLY) continue;
    if (get16(received.bytes + at + kIcmpBytes) != id) continue;
    notices.push_back({get16(received.bytes + at + 6), 0, 0, format(reinterpret_cast<const sockaddr*>(&received.from))});
  }
}

}  // namespace

EchoSocket open_echo(const std::string& local) {
  const auto refused = [&](const char* call, const char* hint = nullptr) { return EchoSocket{{errno, call, local, hint}, Descriptor()}; };
  const std::optional<Address> address = parse(local);
  if (!address) return {{EINVAL, "socket", local, "give an IPv4 or IPv6 address"}, Descriptor()};
  const bool is_v4 = address->storage.ss_family == AF_INET;
  const int protocol = is_v4 ? static_cast<int>(IPPROTO_ICMP) : static_cast<int>(IPPROTO_ICMPV6);
  const int flags = SOCK_CLOEXEC | SOCK_NONBLOCK;
  Descriptor socket(::socket(address->storage.ss_family, SOCK_DGRAM | flags, protocol));
  const bool is_raw = !socket.valid();
  if (is_raw) socket = Descriptor(::socket(address->storage.ss_family, SOCK_RAW | flags, protocol));
  if (!socket.valid()) return refused("socket", "echo requests need CAP_NET_RAW, or a group in net.ipv4.ping_group_range");
  const int fd = socket.get();
  set(fd, SOL_SOCKET, SO_RCVBUF, kReceiveBytes);
  if (!prepare(fd, is_v4) || (is_raw && !filter_answers(fd, is_v4))) return refused("setsockopt");
  if (::bind(fd, address->get(), address->bytes) < 0) return refused("bind");
  return {{}, std::move(socket)};
}

int send_echo(int fd, const std::string& remote, uint16_t id, uint16_t sequence, size_t bytes) {
  const std::optional<Address> to = parse(remote);
  if (!to) return -EINVAL;
  const bool is_v4 = to->storage.ss_family == AF_INET;
  const size_t header = is_v4 ? kIpv4Bytes : kIpv6Bytes;
  if (bytes < header + kIcmpBytes + kMarkBytes || bytes > kPacketBytesMax) return -EINVAL;
  std::vector<uint8_t> packet(bytes - header, 0);
  packet[0] = is_v4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
  put16(packet.data() + 4, id);
  put16(packet.data() + 6, sequence);
  put16(packet.data() + kIcmpBytes, id);
  // Of IPv6, and of its own kind of socket, the kernel makes it.
  if (is_v4) put16(packet.data() + 2, checksum(packet.data(), packet.size()));
  // An error of an earlier request would be taken for one of this.
  option_of(fd, SO_ERROR);
  const ssize_t sent = uninterrupted([&] { return ::sendto(fd, packet.data(), packet.size(), MSG_DONTWAIT, to->get(), to->bytes); });
  return sent < 0 ? -errno : 0;
}

void read_echoes(int fd, uint16_t id, std::vector<EchoNotice>& notices) {
  read_errors(fd, id, notices);
  option_of(fd, SO_ERROR);
  read_answers(fd, id, option_of(fd, SO_DOMAIN) == AF_INET && option_of(fd, SO_TYPE) == SOCK_RAW, notices);
}

}  // namespace weft

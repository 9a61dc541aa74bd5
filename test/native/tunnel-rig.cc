#include "tunnel-rig.h"

#include <arpa/inet.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/ipv6.h>
#include <netinet/udp.h>
#include <sched.h>
#include <sys/ioctl.h>

namespace rig {

using namespace weft;

namespace {
constexpr size_t kDatagramMax = 65535;

void set(int fd, int level, int option, int value) { CHECK(::setsockopt(fd, level, option, &value, sizeof value) == 0); }

void read_control(msghdr& message, Datagram& datagram) {
  for (cmsghdr* head = CMSG_FIRSTHDR(&message); head != nullptr; head = CMSG_NXTHDR(&message, head)) {
    char text[INET6_ADDRSTRLEN];
    const bool v6 = head->cmsg_level == IPPROTO_IPV6;
    if (v6 ? head->cmsg_type == IPV6_PKTINFO : head->cmsg_type == IP_PKTINFO) {
      const uint8_t* const data = CMSG_DATA(head) + (v6 ? 0 : offsetof(in_pktinfo, ipi_addr));
      datagram.to = ::inet_ntop(v6 ? AF_INET6 : AF_INET, data, text, sizeof text);
    } else if (!v6 && head->cmsg_type == IP_TOS) {
      datagram.tos = *CMSG_DATA(head);
    } else if (v6 ? head->cmsg_type == IPV6_TCLASS : false) {
      std::memcpy(&datagram.tos, CMSG_DATA(head), sizeof datagram.tos);
    } else if (v6 ? head->cmsg_type == IPV6_HOPLIMIT : head->cmsg_type == IP_TTL) {
      std::memcpy(&datagram.ttl, CMSG_DATA(head), sizeof datagram.ttl);
    }
  }
}
}  // namespace

Sink::Sink(int32_t family, uint16_t port, int protocol) : strips_(protocol != 0 && family == 4) {
  const bool v6 = family == 6;
  const int type = protocol == 0 ? SOCK_DGRAM : SOCK_RAW;
  socket_ = Descriptor(::socket(v6 ? AF_INET6 : AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
  const int level = v6 ? IPPROTO_IPV6 : IPPROTO_IP;
  for (const int option : {v6 ? IPV6_RECVPKTINFO : IP_PKTINFO, v6 ? IPV6_RECVTCLASS : IP_RECVTOS, v6 ? IPV6_RECVHOPLIMIT : IP_RECVTTL})
    set(socket_.get(), level, option, 1);
  set(socket_.get(), SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20);
  if (v6 && protocol == 0) set(socket_.get(), IPPROTO_UDP, UDP_NO_CHECK6_RX, 1);
  SocketName name;
  Address any;
  any.family = family;
  const socklen_t bytes = write_name(&name, any, protocol == 0 ? htons(port) : 0, 0);
  CHECK(::bind(socket_.get(), &name.any, bytes) == 0);
}

void Sink::join(const std::string& group, uint32_t device) {
  ip_mreqn wanted{};
  std::memcpy(&wanted.imr_multiaddr, parse_address(group).bytes, sizeof wanted.imr_multiaddr);
  wanted.imr_ifindex = static_cast<int>(device);
  CHECK(::setsockopt(socket_.get(), IPPROTO_IP, IP_ADD_MEMBERSHIP, &wanted, sizeof wanted) == 0);
}

std::vector<Datagram> Sink::take() {
  std::vector<Datagram> taken;
  for (;;) {
    Bytes bytes(kDatagramMax);
    SocketName from;
    alignas(cmsghdr) uint8_t control[256];
    iovec part{bytes.data(), bytes.size()};
    msghdr message{};
    message.msg_name = &from;
    message.msg_namelen = sizeof from;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t got = ::recvmsg(socket_.get(), &message, 0);
    if (got < 0) return taken;
    bytes.resize(static_cast<size_t>(got));
    Datagram datagram{.bytes = std::move(bytes), .to = "", .source = ntohs(from.v4.sin_port)};
    read_control(message, datagram);
    if (strips_) {
      datagram.df = (datagram.bytes[6] & 0x40) != 0;
      datagram.bytes.erase(datagram.bytes.begin(), datagram.bytes.begin() + 20);
    }
    taken.push_back(std::move(datagram));
  }
}

SenderOptions Tunnel::options(const std::string& local, bool checksum) {
  SenderOptions options;
  options.local = parse_address(local);
  options.workers = 1;
  options.checksum = checksum;
  return options;
}

Tunnel::Tunnel(SenderOptions options) {
  OpenedSender opened = open_tunnel_sender(options);
  CHECK(!opened.failure);
  sender = std::move(opened.device);
  int error = 0;
  carrier = sender->carrier(0, kTunnelPort, &error);
  CHECK(carrier != nullptr);
}

int32_t* Tunnel::remotes() { return const_cast<int32_t*>(worker.slots.remotes()); }

int32_t Tunnel::remote(int32_t number, const std::string& text, uint16_t port) {
  int32_t* const record = remotes() + (static_cast<size_t>(kRemote - kPortsMax + number) << kRemoteWordsShift);
  const Address address = parse_address(text);
  std::memcpy(record + kRemoteAddress, address.bytes, sizeof address.bytes);
  record[kRemoteUdpPort] = htons(port);
  record[kRemoteScope] = 0;
  record[kRemoteFamily] = address.family;
  return kRemote + number;
}

/// Behind the last remote's record that a test uses.
int32_t Tunnel::set(const std::vector<int32_t>& destinations) {
  int32_t* const at = remotes() + (30'000 << kRemoteWordsShift) + sets_used_;
  at[0] = static_cast<int32_t>(destinations.size());
  std::copy(destinations.begin(), destinations.end(), at + 1);
  sets_used_ += static_cast<int32_t>(destinations.size()) + 1;
  return ~static_cast<int32_t>(at - reinterpret_cast<int32_t*>(worker.slots.arena()));
}

int32_t Tunnel::entry(const Bytes& frame, int32_t number, int32_t target, Outer outer) {
  const int32_t slot = worker.make(frame, number);
  int32_t* const facts = worker.facts(slot);
  const Bytes header = header_of(number, outer.words);
  std::memcpy(worker.slots.arena() + facts[kFactHeadAt] - header.size(), header.data(), header.size());
  facts[kFactRemote] = target;
  facts[kFactOuter] = outer.value();
  return slot;
}

int32_t Tunnel::unfinished(const model::Spec& spec, size_t payload, uint16_t gso_size, int32_t number, int32_t target, Outer outer) {
  const Bytes frame = model::frame_of(spec, {0, payload, spec.sequence, spec.id, spec.flags, true});
  const int32_t slot = entry(frame, number, target, outer);
  int32_t* const facts = worker.facts(slot);
  facts[kFactFlags] = kFlagNeedsChecksum;
  facts[kFactChecksum] = static_cast<int32_t>(spec.l4_at() | static_cast<uint32_t>(spec.checksum_offset()) << 16);
  if (gso_size == 0) return slot | kFinishChecksum;
  facts[kFactGso] = static_cast<int32_t>(spec.gso_type() | static_cast<uint32_t>(gso_size) << 16);
  facts[kFactSegments] = static_cast<int32_t>((payload - 1) / gso_size + 1);
  return slot | kFinishChecksum | kFinishSegment;
}

Bytes header_of(int32_t number, uint32_t words) {
  Bytes header(words * 4, 0x11);
  header[0] = static_cast<uint8_t>(number);
  header[1] = static_cast<uint8_t>(number >> 8);
  return header;
}

Bytes frame_of(size_t bytes, int32_t number) {
  Bytes frame(bytes);
  for (size_t k = 0; k < bytes; k++) frame[k] = static_cast<uint8_t>(k * 7 + bytes + static_cast<size_t>(number) * 13);
  return frame;
}

Bytes operator+(const Bytes& a, const Bytes& b) {
  Bytes both = a;
  both.insert(both.end(), b.begin(), b.end());
  return both;
}

namespace {
constexpr char kWire[] = "weft-wire";

void configure(const char* name, unsigned long request, ifreq& wanted) {
  const Descriptor socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  std::strcpy(wanted.ifr_name, name);
  CHECK(::ioctl(socket.get(), request, &wanted) == 0);
}

void set_address(unsigned long request, const char* text) {
  ifreq wanted{};
  SocketName name{};
  write_name(&name, parse_address(text), 0, 0);
  std::memcpy(&wanted.ifr_addr, &name.v4, sizeof name.v4);
  configure(kWire, request, wanted);
}
}  // namespace

Wire::Wire() {
  Descriptor tap = Descriptor::open("/dev/net/tun", O_RDWR);
  ifreq wanted{};
  wanted.ifr_flags = IFF_TAP | IFF_NO_PI;
  std::strcpy(wanted.ifr_name, kWire);
  if (!tap.valid() || ::ioctl(tap.get(), TUNSETIFF, &wanted) != 0) return;
  set_address(SIOCSIFADDR, "10.99.0.1");
  set_address(SIOCSIFNETMASK, "255.255.255.0");
  wanted.ifr_flags = IFF_UP;
  configure(kWire, SIOCSIFFLAGS, wanted);
  configure(kWire, SIOCGIFINDEX, wanted);
  index_ = static_cast<uint32_t>(wanted.ifr_ifindex);
  tap_ = std::move(tap);
}

std::vector<Bytes> Wire::take() {
  std::vector<Bytes> taken;
  for (;;) {
    Bytes frame(2048);
    const ssize_t got = ::read(tap_.get(), frame.data(), frame.size());
    if (got < 0) return taken;
    if (got > 34 && frame[12] == 8 && frame[13] == 0) taken.emplace_back(frame.begin() + 14, frame.begin() + got);
  }
}

bool enter_namespace() {
  if (::unshare(CLONE_NEWNET) != 0) return false;
  ifreq up{};
  up.ifr_flags = IFF_UP;
  configure("lo", SIOCSIFFLAGS, up);
  const Descriptor socket(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  for (uint8_t k = 1; k <= 9; k++) {
    in6_ifreq more{};
    more.ifr6_addr.s6_addr[0] = 0x20;
    more.ifr6_addr.s6_addr[1] = 0x01;
    more.ifr6_addr.s6_addr[2] = 0x0d;
    more.ifr6_addr.s6_addr[3] = 0xb8;
    more.ifr6_addr.s6_addr[15] = k;
    more.ifr6_prefixlen = 128;
    more.ifr6_ifindex = 1;
    CHECK(::ioctl(socket.get(), SIOCSIFADDR, &more) == 0);
  }
  // The kernel confirms addresses a little later.
  SocketName last;
  const socklen_t bytes = write_name(&last, parse_address("2001:db8::9"), 0, 0);
  for (int tries = 0; ::bind(socket.get(), &last.any, bytes) != 0; tries++) {
    CHECK(tries < 10000);
    ::usleep(2000);
  }
  return true;
}

void set_loopback_mtu(int mtu) {
  ifreq wanted{};
  wanted.ifr_mtu = mtu;
  configure("lo", SIOCSIFMTU, wanted);
}

}  // namespace rig

#include "netdev.h"

#include <algorithm>
#include <arpa/inet.h>
#include <bit>
#include <cstdio>
#include <cstring>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/utsname.h>

#include "namespace.h"
#include "tcx.h"

namespace weft {

namespace {
constexpr int32_t kDeviceSlotsMax = 65536;
constexpr uint32_t kQueueSlotsMin = 64;
constexpr uint32_t kBlockBytes = 64 << 10;
// Super-frames that wait to be fetched, and what waits to be sent; no memory is used before there is a frame.
constexpr int kSocketBytes = 8 << 20;
// Linux 5.13; newer than some distributions' headers.
constexpr int kFanoutIgnoreOutgoing = 0x4000;
// Bits of Takes (port-layout.ts). UDP segmentation came to packet sockets with Linux 6.2.
constexpr int32_t kTakesSegments = 1 | 2 | 4;
constexpr int32_t kTakesUso = 8;
constexpr int kUsoMajor = 6, kUsoMinor = 2;

const char* hint_for(int error) {
  switch (error) {
    case ENODEV:
      return "there is no such interface: weft makes none for a netdev port";
    case EPERM:
    case EACCES:
      return "needs CAP_NET_RAW and CAP_NET_ADMIN: run as root";
    case EAFNOSUPPORT:
      return "this kernel has no packet sockets: load the af_packet module";
    case EMFILE:
    case ENFILE:
      return "too many open files: raise the limit (ulimit -n, LimitNOFILE=) or use fewer workers";
    case ENOMEM:
    case ENOBUFS:
      return "no memory for its receive ring";
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

bool kernel_has_uso() {
  utsname system;
  int major = 0, minor = 0;
  if (::uname(&system) != 0 || std::sscanf(system.release, "%d.%d", &major, &minor) != 2) return false;
  return major > kUsoMajor || (major == kUsoMajor && minor >= kUsoMinor);
}

/// Reads the interface's number, type and MTU.
Failure identify(const std::string& name, const Descriptor& socket, PacketDevice* device) {
  ifreq request;
  std::memset(&request, 0, sizeof request);
  std::memcpy(request.ifr_name, name.data(), name.size());
  if (::ioctl(socket.get(), SIOCGIFINDEX, &request) < 0) return failed("SIOCGIFINDEX", name);
  device->ifindex = request.ifr_ifindex;
  if (::ioctl(socket.get(), SIOCGIFHWADDR, &request) < 0) return failed("SIOCGIFHWADDR", name);
  if (request.ifr_hwaddr.sa_family != ARPHRD_ETHER) return {EINVAL, "SIOCGIFHWADDR", name, "it is no Ethernet interface"};
  if (::ioctl(socket.get(), SIOCGIFMTU, &request) < 0) return failed("SIOCGIFMTU", name);
  device->mtu = request.ifr_mtu;
  return {};
}

Failure add_ring(const std::string& name, uint32_t slots, PacketQueue* queue) {
  const tpacket_req request{kBlockBytes, slots * kRingSlotBytes / kBlockBytes, kRingSlotBytes, slots};
  if (!set(queue->socket, SOL_PACKET, PACKET_RX_RING, request)) return failed("PACKET_RX_RING", name);
  void* const at = ::mmap(nullptr, static_cast<size_t>(slots) * kRingSlotBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, queue->socket.get(), 0);
  if (at == MAP_FAILED) return failed("mmap", name);
  queue->ring = static_cast<uint8_t*>(at);
  queue->slots = slots;
  return {};
}

/// A socket that is complete, but receives nothing yet: it is bound later. PACKET_QDISC_BYPASS would cost every super-frame to an
/// interface that can't segment (a TAP whose guest knows no offloads): the kernel drops there what it had to segment itself.
Failure open_queue(const std::string& name, uint32_t slots, PacketQueue* queue) {
  queue->socket = Descriptor(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!queue->socket.valid()) return failed("socket", name);
  const int on = 1, version = TPACKET_V2;
  const struct {
    int option, value;
    const char* name;
  } options[] = {
      {PACKET_VERSION, version, "PACKET_VERSION"},
      {PACKET_VNET_HDR, on, "PACKET_VNET_HDR"},
      {PACKET_IGNORE_OUTGOING, on, "PACKET_IGNORE_OUTGOING"},
      {PACKET_COPY_THRESH, on, "PACKET_COPY_THRESH"},
  };
  for (const auto& option : options) {
    if (!set(queue->socket, SOL_PACKET, option.option, option.value)) return failed(option.name, name);
  }
  // Beyond the system's limit, which only privileged processes may; without, frames are lost a little earlier.
  if (!set(queue->socket, SOL_SOCKET, SO_RCVBUFFORCE, kSocketBytes)) set(queue->socket, SOL_SOCKET, SO_RCVBUF, kSocketBytes);
  if (!set(queue->socket, SOL_SOCKET, SO_SNDBUFFORCE, kSocketBytes)) set(queue->socket, SOL_SOCKET, SO_SNDBUF, kSocketBytes);
  return add_ring(name, slots, queue);
}

Failure bind_queue(const PacketDevice& device, const PacketQueue& queue) {
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = device.ifindex;
  if (::bind(queue.socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) return failed("bind", device.name);
  return {};
}

/// Every flow of frames goes to one of the sockets, by its hash. Until all have joined they refuse everything: else each got all frames.
Failure bind_group(const PacketDevice& device) {
  sock_filter nothing[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
  const sock_fprog filter{1, nothing};
  int group = (PACKET_FANOUT_HASH | PACKET_FANOUT_FLAG_UNIQUEID | kFanoutIgnoreOutgoing) << 16;
  for (const auto& queue : device.queues) {
    if (!set(queue->socket, SOL_SOCKET, SO_ATTACH_FILTER, filter)) return failed("SO_ATTACH_FILTER", device.name);
    const Failure failure = bind_queue(device, *queue);
    if (failure) return failure;
    if (!set(queue->socket, SOL_PACKET, PACKET_FANOUT, group)) return failed("PACKET_FANOUT", device.name);
    socklen_t bytes = sizeof group;
    if (::getsockopt(queue->socket.get(), SOL_PACKET, PACKET_FANOUT, &group, &bytes) < 0) return failed("PACKET_FANOUT", device.name);
    group = (group & 0xffff) | (PACKET_FANOUT_HASH | kFanoutIgnoreOutgoing) << 16;
  }
  const int ignored = 0;
  for (const auto& queue : device.queues) {
    if (!set(queue->socket, SOL_SOCKET, SO_DETACH_FILTER, ignored)) return failed("SO_DETACH_FILTER", device.name);
  }
  return {};
}

Failure open_here(const std::string& name, int32_t workers, int32_t device_slots, PacketDevice* device) {
  device->name = name;
  const uint32_t slots = std::max(kQueueSlotsMin, std::bit_floor(static_cast<uint32_t>(device_slots / workers)));
  for (int32_t k = 0; k < workers; k++) {
    auto queue = std::make_unique<PacketQueue>();
    Failure failure = open_queue(name, slots, queue.get());
    if (!failure && k == 0) failure = identify(name, queue->socket, device);
    if (failure) return failure;
    device->queues.push_back(std::move(queue));
  }
  // The host first: what both saw would be answered twice.
  device->shield_error = shield_host(device->ifindex, &device->shield);
  const Failure failure = workers == 1 ? bind_queue(*device, *device->queues[0]) : bind_group(*device);
  if (failure) return failure;
  packet_mreq promiscuous{};
  promiscuous.mr_ifindex = device->ifindex;
  promiscuous.mr_type = PACKET_MR_PROMISC;
  if (!set(device->queues[0]->socket, SOL_PACKET, PACKET_ADD_MEMBERSHIP, promiscuous)) return failed("PACKET_ADD_MEMBERSHIP", name);
  device->takes = kTakesSegments | (kernel_has_uso() ? kTakesUso : 0);
  return {};
}

struct Errand {
  const std::string& name;
  int32_t workers;
  int32_t slots;
  OpenedNetdev opened;
};

void run_errand(void* argument) {
  Errand& errand = *static_cast<Errand*>(argument);
  errand.opened.device = std::make_shared<PacketDevice>();
  errand.opened.failure = open_here(errand.name, errand.workers, errand.slots, errand.opened.device.get());
}
}  // namespace

OpenedNetdev open_netdev(const std::string& name, int32_t workers, int32_t slots, const char* netns) {
  if (name.empty() || name.size() >= IFNAMSIZ || name.find('\0') != std::string::npos)
    return {{EINVAL, "SIOCGIFINDEX", name, "an interface name has 1 to 15 characters"}, nullptr};
  if (workers < 1 || workers > kWorkersMax) return {{EINVAL, "PACKET_FANOUT", name, "there are 1 to 16 workers"}, nullptr};
  if (slots < 1 || slots > kDeviceSlotsMax) return {{EINVAL, "PACKET_RX_RING", name, "a ring has 1 to 65,536 slots"}, nullptr};
  Errand errand{name, workers, slots, {}};
  const Failure failure = in_namespace(netns, run_errand, &errand);
  if (failure) return {failure, nullptr};
  if (errand.opened.failure) errand.opened.device.reset();
  return std::move(errand.opened);
}

}  // namespace weft

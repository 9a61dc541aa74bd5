// What Linux makes of the same super-frames: sent through a packet socket with a vnet header to a TAP that takes no
// offloads, the kernel cuts them, and what the TAP hands out is compared with the finisher's. Needs root; works in a
// network namespace that it makes and that ends with the process. Every byte counts.
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "../../native/checksum.h"
#include "finish-model.h"

namespace {

using model::Bytes;
using model::Random;
using model::Spec;
using weft::Range;
using weft::Unfinished;

constexpr int kSkipped = 77;
constexpr int kPacketVnetHeader = 15;  // PACKET_VNET_HDR

// struct virtio_net_hdr, 10 bytes, in the machine's order
struct VnetHeader {
  uint8_t flags, gso_type;
  uint16_t header_bytes, gso_size, checksum_start, checksum_offset;
};
static_assert(sizeof(VnetHeader) == 10);

struct Device {
  int tap = -1;
  int packets = -1;
};

const char* open_device(Device& device) {
  if (unshare(CLONE_NEWNET) != 0) return "no network namespace of its own (needs root)";
  device.tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (device.tap < 0) return "no /dev/net/tun";
  ifreq request{};
  std::strcpy(request.ifr_name, "weftfin0");
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  if (ioctl(device.tap, TUNSETIFF, &request) != 0) return "TUNSETIFF failed";
  device.packets = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  if (device.packets < 0) return "no packet socket";
  request.ifr_mtu = 9000;
  if (ioctl(device.packets, SIOCSIFMTU, &request) != 0) return "SIOCSIFMTU failed";
  request.ifr_flags = IFF_UP | IFF_NOARP;
  if (ioctl(device.packets, SIOCSIFFLAGS, &request) != 0) return "SIOCSIFFLAGS failed";
  if (ioctl(device.packets, SIOCGIFINDEX, &request) != 0) return "SIOCGIFINDEX failed";
  const int one = 1;
  if (setsockopt(device.packets, SOL_PACKET, kPacketVnetHeader, &one, sizeof one) != 0) return "no PACKET_VNET_HDR";
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_ifindex = request.ifr_ifindex;
  if (bind(device.packets, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return "bind failed";
  return nullptr;
}

bool send_super(const Device& device, const Spec& spec, const Bytes& frame, uint16_t gso_size) {
  VnetHeader header{};
  header.flags = 1;
  header.gso_type = spec.gso_type();
  header.header_bytes = static_cast<uint16_t>(spec.header_bytes());
  header.gso_size = gso_size;
  header.checksum_start = static_cast<uint16_t>(spec.l4_at());
  header.checksum_offset = spec.checksum_offset();
  Bytes message(sizeof header);
  std::memcpy(message.data(), &header, sizeof header);
  model::append(message, frame);
  const ssize_t sent = send(device.packets, message.data(), message.size(), 0);
  if (sent < 0) std::printf("send: %s\n", std::strerror(errno));
  return sent == static_cast<ssize_t>(message.size());
}

// The next frame of ours, or an empty one after half a second; the kernel's own chatter has another source.
Bytes receive(const Device& device, const Bytes& like) {
  for (;;) {
    pollfd ready{device.tap, POLLIN, 0};
    if (poll(&ready, 1, 500) <= 0) return {};
    Bytes frame(70000);
    const ssize_t bytes = read(device.tap, frame.data(), frame.size());
    if (bytes < 12) continue;
    frame.resize(static_cast<size_t>(bytes));
    if (std::memcmp(frame.data(), like.data(), 12) == 0) return frame;
  }
}

void print(const char* who, const Bytes& frame) {
  std::printf("%-8s%5zu ", who, frame.size());
  for (size_t i = 0; i < frame.size() && i < 120; i++) std::printf("%02x", frame[i]);
  std::printf("\n");
}

bool same_as_kernel(const Device& device, const Spec& spec, uint16_t gso_size, weft::Finisher& finisher) {
  const Bytes whole = model::super_of(spec);
  Unfinished frame{whole.data(), static_cast<uint32_t>(whole.size()), nullptr, 0, static_cast<uint32_t>(whole.size()),
                   spec.gso_type(), gso_size, true, static_cast<uint16_t>(spec.l4_at()), spec.checksum_offset()};
  Range out[64];
  finisher.reset();
  const int32_t count = finisher.finish(frame, 0, out, 64);
  if (count < 1 || !send_super(device, spec, whole, gso_size)) {
    std::printf("finish said %d, gso_size %u, %zu bytes\n", count, gso_size, whole.size());
    return false;
  }
  for (int32_t i = 0; i < count; i++) {
    const Bytes kernel = receive(device, whole);
    const Bytes ours(out[i].at, out[i].at + out[i].bytes);
    if (kernel == ours) continue;
    std::printf("segment %d of %d differs, gso_size %u\n", i, count, gso_size);
    print("kernel", kernel);
    print("ours", ours);
    return false;
  }
  return true;
}

}  // namespace

int run_kernel(uint64_t seed, uint32_t cases) {
  Device device;
  if (const char* reason = open_device(device)) {
    std::printf("skipped: %s: %s\n", reason, std::strerror(errno));
    return kSkipped;
  }
  static uint8_t scratch[256 * 1024];
  weft::Finisher finisher(scratch, sizeof scratch);
  Random random(seed);
  for (uint32_t i = 0; i < cases; i++) {
    Spec spec = model::random_spec(random, 20000);
    const uint16_t gso_size = static_cast<uint16_t>(500 + model::below(random, 2000));
    if (spec.payload.size() <= gso_size) continue;  // no super-frame: Linux refuses to cut it, the finisher makes one
    if (!same_as_kernel(device, spec, gso_size, finisher)) {
      std::printf("case %u\n", i);
      return 1;
    }
  }
  std::printf("kernel: %u super-frames cut alike\n", cases);
  return 0;
}

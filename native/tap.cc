#include "tap.h"

#include <cstring>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "namespace.h"

namespace weft {

namespace {

// Newer than some distributions' headers (Linux 6.2).
constexpr unsigned kTunUso4 = 0x20;
constexpr unsigned kTunUso6 = 0x40;
constexpr unsigned kOffloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
constexpr int kVnetBytes = 12;

const char* hint_for(int error) {
  switch (error) {
    case ENOENT:
      return "there is no /dev/net/tun: load the tun module, or pass the device into the container";
    case EPERM:
    case EACCES:
      return "needs CAP_NET_ADMIN: run as root";
    case EBUSY:
      return "another program holds this TAP";
    case EINVAL:
      return "a device of this name exists and is no multi-queue TAP with a vnet header: remove it or choose another name";
    case EMFILE:
    case ENFILE:
      return "too many open files: raise the limit (ulimit -n, LimitNOFILE=) or use fewer workers";
    default:
      return nullptr;
  }
}

Failure failed(const char* syscall, const std::string& subject) { return {errno, syscall, subject, hint_for(errno)}; }

Failure open_queue(const std::string& name, TapDevice* device) {
  Descriptor queue = Descriptor::open("/dev/net/tun", O_RDWR);
  if (!queue.valid()) return failed("open", "/dev/net/tun");
  struct ifreq request;
  std::memset(&request, 0, sizeof request);
  std::memcpy(request.ifr_name, name.data(), name.size());
  request.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE);
  if (::ioctl(queue.get(), TUNSETIFF, &request) < 0) return failed("TUNSETIFF", name);
  int bytes = kVnetBytes;
  if (::ioctl(queue.get(), TUNSETVNETHDRSZ, &bytes) < 0) return failed("TUNSETVNETHDRSZ", name);
  unsigned offloads = kOffloads | kTunUso4 | kTunUso6;
  if (::ioctl(queue.get(), TUNSETOFFLOAD, offloads) < 0) {
    offloads = kOffloads;
    if (::ioctl(queue.get(), TUNSETOFFLOAD, offloads) < 0) return failed("TUNSETOFFLOAD", name);
  }
  device->offloads = offloads;
  device->queues.push_back(std::move(queue));
  return {};
}

bool exists_here(const std::string& name) {
  Descriptor probe(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  struct ifreq request;
  std::memset(&request, 0, sizeof request);
  std::memcpy(request.ifr_name, name.data(), name.size());
  return probe.valid() && ::ioctl(probe.get(), SIOCGIFFLAGS, &request) == 0;
}

OpenedTap open_here(const std::string& name, int32_t queues) {
  OpenedTap opened;
  opened.created = !exists_here(name);
  opened.device = std::make_shared<TapDevice>();
  opened.device->name = name;
  for (int32_t k = 0; k < queues && !opened.failure; k++) opened.failure = open_queue(name, opened.device.get());
  if (opened.failure) opened.device.reset();
  return opened;
}

struct Errand {
  const std::string& name;
  int32_t queues;
  OpenedTap opened;
};

void run_errand(void* argument) {
  Errand& errand = *static_cast<Errand*>(argument);
  errand.opened = open_here(errand.name, errand.queues);
}

struct Reading {
  std::string text;
  int error = 0;
};

void read_device_counters(void* argument) {
  Reading& reading = *static_cast<Reading*>(argument);
  const Descriptor file = Descriptor::open("/proc/thread-self/net/dev", O_RDONLY);
  char buffer[16384];
  ssize_t bytes = file.valid() ? 1 : -1;
  while (bytes > 0) {
    bytes = uninterrupted([&] { return ::read(file.get(), buffer, sizeof buffer); });
    if (bytes > 0) reading.text.append(buffer, static_cast<size_t>(bytes));
  }
  if (bytes < 0) reading.error = errno;
}

}  // namespace

/// No name that the kernel would refuse, cut short or take for a pattern ("tap%d" makes a device per queue).
static bool is_name(const std::string& name) {
  return !name.empty() && name.size() < IFNAMSIZ && name.find_first_of(std::string_view("%/: \t\n\0", 7)) == std::string::npos;
}

OpenedTap open_tap(const std::string& name, int32_t queues, const char* netns) {
  if (!is_name(name)) return {{EINVAL, "TUNSETIFF", name, "a device name has 1 to 15 characters, none of them blank, %, / or :"}, nullptr, false};
  if (queues < 1 || queues > kWorkersMax) return {{EINVAL, "TUNSETIFF", name, "a TAP has 1 to 16 queues"}, nullptr, false};
  Errand errand{name, queues, {}};
  const Failure failure = in_namespace(netns, run_errand, &errand);
  if (failure) return {failure, nullptr, false};
  return std::move(errand.opened);
}

Failure device_counters(const char* netns, std::string* text) {
  Reading reading;
  Failure failure = in_namespace(netns, read_device_counters, &reading);
  if (!failure && reading.error != 0) failure = {reading.error, "read", "/proc/net/dev", nullptr};
  *text = std::move(reading.text);
  return failure;
}

Failure persist_tap(const TapDevice& device, bool persistent) {
  // A device that is gone already needs no one to let it go.
  if (::ioctl(device.queues[0].get(), TUNSETPERSIST, persistent ? 1 : 0) < 0 && (persistent || errno != EBADFD)) return failed("TUNSETPERSIST", device.name);
  return {};
}

}  // namespace weft

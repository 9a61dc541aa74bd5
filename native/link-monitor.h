// What the kernel tells of links and of namespaces' numbers, by rtnetlink(7). Knows no Node; addon-link.cc brings it to the main thread.
#pragma once
#include <cstddef>
#include <cstdint>
#include <net/if.h>
#include <vector>

#include "descriptor.h"
#include "failure.h"

namespace weft {

/// The kernel's number of the namespace that a monitor lives in, which has none there.
constexpr int32_t kOwnNamespace = -1;

struct LinkNotice {
  enum class Of { kLink, kNamespace } of;
  /// A link's namespace, or the one that got or lost its number.
  int32_t nsid;
  bool gone;
  // Of a link only. A link that is gone may lack name and MTU.
  int32_t index = 0;
  char name[IF_NAMESIZE] = "";
  bool admin_up = false;
  bool carrier = false;
  uint32_t mtu = 0;
};

/// Which namespaces a monitor hears. Two monitors share the work: a message of the own namespace may or may not bring a number, when
/// somebody gave the namespace a number in itself.
enum class Hears {
  /// The own one, and which others get and lose numbers.
  kOwn,
  /// All that have a number in the own one, which may be one of them. Needs CAP_NET_BROADCAST.
  kNumbered,
};

struct LinkMonitor {
  Failure failure;
  Descriptor socket;
};
LinkMonitor open_link_monitor(Hears hears);

/// Appends what came since, a bounded part of it. 0, or an errno: ENOBUFS when the kernel had to leave out messages.
int read_link_monitor(int fd, Hears hears, std::vector<LinkNotice>& notices);

/// Appends what one datagram of the kernel tells; `nsid` is the namespace that it came from. What is cut short, or of no link, is left out.
void parse_link_messages(const uint8_t* bytes, size_t length, int32_t nsid, std::vector<LinkNotice>& notices);

}  // namespace weft

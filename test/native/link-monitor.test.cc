// Tests of native/link-monitor.h without Node. Arguments: `rules`, `fuzz SEED CASES`. Exit code 0 passed, 1 failed. Built with ASan and
// UBSan by links.test.ts: every message lies at the very end of its memory.
#include "../../native/link-monitor.h"

#include <algorithm>
#include <cstring>
#include <linux/if.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <memory>
#include <random>
#include <string_view>

#include "check.h"

namespace {

using weft::LinkNotice;
using Bytes = std::vector<uint8_t>;
using Notices = std::vector<LinkNotice>;

constexpr uint32_t kUp = static_cast<uint32_t>(IFF_UP) | static_cast<uint32_t>(IFF_LOWER_UP);

template <typename Value>
void put(Bytes& bytes, const Value& value) {
  const auto* const from = reinterpret_cast<const uint8_t*>(&value);
  bytes.insert(bytes.end(), from, from + sizeof value);
}

void pad(Bytes& bytes) { bytes.resize(NLMSG_ALIGN(bytes.size())); }

void attribute(Bytes& bytes, uint16_t type, const void* data, size_t length) {
  put(bytes, rtattr{static_cast<uint16_t>(sizeof(rtattr) + length), type});
  const auto* const from = static_cast<const uint8_t*>(data);
  bytes.insert(bytes.end(), from, from + length);
  pad(bytes);
}

void name(Bytes& bytes, const char* text) { attribute(bytes, IFLA_IFNAME, text, std::strlen(text) + 1); }
void mtu(Bytes& bytes, uint32_t value) { attribute(bytes, IFLA_MTU, &value, sizeof value); }

Bytes link_of(uint8_t family, int index, uint32_t flags) {
  Bytes body;
  ifinfomsg info{};
  info.ifi_family = family;
  info.ifi_index = index;
  info.ifi_flags = flags;
  put(body, info);
  return body;
}

Bytes message(uint16_t type, const Bytes& body) {
  Bytes bytes;
  nlmsghdr head{};
  head.nlmsg_len = static_cast<uint32_t>(NLMSG_HDRLEN + body.size());
  head.nlmsg_type = type;
  put(bytes, head);
  bytes.insert(bytes.end(), body.begin(), body.end());
  pad(bytes);
  return bytes;
}

/// eth0, up with a carrier, MTU 9000, behind an attribute that is nobody's business.
Bytes usual(uint16_t type = RTM_NEWLINK) {
  Bytes body = link_of(AF_UNSPEC, 5, kUp);
  attribute(body, IFLA_QDISC, "noqueue", 8);
  name(body, "eth0");
  mtu(body, 9000);
  return message(type, body);
}

/// Parsed where nothing may be read before or behind it.
Notices parsed(const Bytes& bytes, int32_t nsid = weft::kOwnNamespace) {
  const std::unique_ptr<uint8_t[]> copy(new uint8_t[bytes.size()]);
  std::copy(bytes.begin(), bytes.end(), copy.get());
  Notices notices;
  weft::parse_link_messages(copy.get(), bytes.size(), nsid, notices);
  return notices;
}

bool is_usual(const LinkNotice& notice) {
  return notice.of == LinkNotice::Of::kLink && !notice.gone && notice.index == 5 && std::string_view(notice.name) == "eth0" &&
         notice.admin_up && notice.carrier && notice.mtu == 9000;
}

void check_links() {
  const Notices one = parsed(usual(), 7);
  CHECK(one.size() == 1 && is_usual(one[0]) && one[0].nsid == 7);
  Bytes two = usual();
  const Bytes gone = usual(RTM_DELLINK);
  two.insert(two.end(), gone.begin(), gone.end());
  const Notices both = parsed(two);
  CHECK(both.size() == 2 && !both[0].gone && both[1].gone && both[1].index == 5);

  // One that is gone needs no more than its number.
  const Notices bare = parsed(message(RTM_DELLINK, link_of(AF_UNSPEC, 9, 0)));
  CHECK(bare.size() == 1 && bare[0].gone && bare[0].index == 9 && bare[0].name[0] == '\0');

  Bytes longest = link_of(AF_UNSPEC, 1, IFF_UP);
  attribute(longest, IFLA_IFNAME, "0123456789abcdef", 16);
  mtu(longest, 68);
  const Notices cut = parsed(message(RTM_NEWLINK, longest));
  CHECK(cut.size() == 1 && std::string_view(cut[0].name) == "0123456789abcde" && cut[0].admin_up && !cut[0].carrier);
}

void check_others() {
  // A bridge's word of its port, also when that leaves it, is none of the link.
  for (const uint16_t type : {RTM_NEWLINK, RTM_DELLINK}) {
    Bytes bridge = link_of(AF_BRIDGE, 5, kUp);
    name(bridge, "eth0");
    mtu(bridge, 9000);
    CHECK(parsed(message(type, bridge)).empty());
  }
  // A wireless driver's event, as the kernel makes it and with an MTU.
  Bytes wireless = link_of(AF_UNSPEC, 5, kUp);
  name(wireless, "wlan0");
  CHECK(parsed(message(RTM_NEWLINK, wireless)).empty());
  mtu(wireless, 1500);
  CHECK(parsed(message(RTM_NEWLINK, wireless)).size() == 1);
  attribute(wireless, IFLA_WIRELESS, "event", 5);
  CHECK(parsed(message(RTM_NEWLINK, wireless)).empty());

  CHECK(parsed(message(RTM_NEWADDR, link_of(AF_UNSPEC, 5, kUp))).empty());
  CHECK(parsed(message(NLMSG_DONE, {})).empty());
  CHECK(parsed({}).empty());
  Bytes nothing = link_of(AF_UNSPEC, 0, kUp);
  name(nothing, "eth0");
  mtu(nothing, 9000);
  CHECK(parsed(message(RTM_NEWLINK, nothing)).empty());
}

void check_namespaces() {
  for (const bool gone : {false, true}) {
    Bytes body;
    put(body, rtgenmsg{AF_UNSPEC});
    pad(body);
    const int32_t nsid = 3;
    attribute(body, NETNSA_NSID, &nsid, sizeof nsid);
    const Notices notices = parsed(message(gone ? RTM_DELNSID : RTM_NEWNSID, body));
    CHECK(notices.size() == 1 && notices[0].of == LinkNotice::Of::kNamespace && notices[0].gone == gone && notices[0].nsid == 3);
  }
  CHECK(parsed(message(RTM_DELNSID, {0, 0, 0, 0})).empty());
}

/// What is cut anywhere, or lies about its length, is left out, and no byte outside is read.
void check_truncated() {
  const Bytes whole = usual();
  for (size_t length = 0; length < whole.size(); length++) {
    Bytes bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
    CHECK(parsed(bytes).empty());
    if (length < NLMSG_HDRLEN) continue;
    // The message's own length agrees with what is there.
    nlmsghdr head;
    std::memcpy(&head, bytes.data(), sizeof head);
    head.nlmsg_len = static_cast<uint32_t>(length);
    std::memcpy(bytes.data(), &head, sizeof head);
    CHECK(parsed(bytes).empty());
  }
  for (const uint32_t lie : {0U, 1U, 15U, 16U, 17U, 0x7fffffffU, 0xffffffffU}) {
    Bytes bytes = whole;
    std::memcpy(bytes.data(), &lie, sizeof lie);
    CHECK(parsed(bytes).empty());
  }
}

void run_fuzz(uint32_t seed, uint32_t cases) {
  std::mt19937 random(seed);
  const auto below = [&](size_t limit) { return static_cast<size_t>(random()) % limit; };
  size_t found = 0;
  for (uint32_t k = 0; k < cases; k++) {
    Bytes bytes = usual(random() % 2 == 0 ? RTM_NEWLINK : RTM_DELNSID);
    const Bytes more = usual(RTM_DELLINK);
    bytes.insert(bytes.end(), more.begin(), more.end());
    for (size_t changes = below(6); changes > 0; changes--) bytes[below(bytes.size())] = static_cast<uint8_t>(random());
    if (random() % 4 == 0) bytes.resize(below(bytes.size() + 1));
    for (const LinkNotice& notice : parsed(bytes)) {
      CHECK(::strnlen(notice.name, sizeof notice.name) < sizeof notice.name);
      found++;
    }
  }
  CHECK(cases < 1000 || found > cases / 2);
}

}  // namespace

int main(int count, char** arguments) {
  if (count == 4 && std::string_view(arguments[1]) == "fuzz") {
    run_fuzz(static_cast<uint32_t>(std::strtoul(arguments[2], nullptr, 10)), static_cast<uint32_t>(std::strtoul(arguments[3], nullptr, 10)));
    return 0;
  }
  check_links();
  check_others();
  check_namespaces();
  check_truncated();
  return 0;
}

// What a tunnel's sender makes of errors: which frame is refused and why, and what control is told. Runs where a namespace has nothing but
// its loopback.
#include <net/if.h>
#include <sys/ioctl.h>

#include "../../native/way.h"
#include "tunnel-rig.h"

namespace rig {
namespace {

using namespace weft;

constexpr uint16_t kClosedPort = 4999;
constexpr int kEthernetMtu = 1500;

/// The loopback with a link's MTU as long as it lives.
struct NarrowLoopback {
  explicit NarrowLoopback(int mtu) { set_loopback_mtu(mtu); }
  ~NarrowLoopback() { set_loopback_mtu(65'536); }
};

/// Nobody listens at one remote: control is told, and what goes to others by the same socket isn't refused for it.
void refused(bool v6) {
  Tunnel tunnel(Tunnel::options(v6 ? "2001:db8::1" : "127.0.0.1"));
  Sink sink(v6 ? 6 : 4);
  const std::string deaf = v6 ? "2001:db8::3" : "127.0.0.3";
  const int32_t nobody = tunnel.remote(0, deaf, kClosedPort), to = tunnel.remote(1, v6 ? "2001:db8::2" : "127.0.0.2");
  const int32_t lost = tunnel.entry(frame_of(60, 0), 0, nobody), good = tunnel.entry(frame_of(60, 1), 1, to);
  for (int32_t k = 0; k < 5; k++) {
    CHECK(tunnel.send({lost}).sent == 1);
    CHECK(tunnel.send({good, lost, good}).sent == 3);
  }
  CHECK(sink.take().size() == 10);
  const auto troubles = tunnel.sender->take_troubles();
  CHECK(troubles.size() == 1 && text_of(troubles[0].address) == deaf);
  CHECK(troubles[0].error == ECONNREFUSED && troubles[0].mtu == 0 && troubles[0].count == 10);
  CHECK(tunnel.sender->troubles.total() == 10 && tunnel.sender->take_troubles().empty());
}

/// Without a way to one remote of a list and of a set, the others get theirs.
void unreachable() {
  Tunnel tunnel(Tunnel::options("127.0.0.1"));
  Sink sink(4);
  const int32_t far = tunnel.remote(0, "192.0.2.1"), to = tunnel.remote(1, "127.0.0.2");
  const int32_t lost = tunnel.entry(frame_of(60, 0), 0, far), good = tunnel.entry(frame_of(60, 1), 1, to);
  const Sent sent = tunnel.send({good, lost, lost, good, lost});
  CHECK(sent.sent == 2 && sent.refused == 3 && sent.reason == kDropRemoteUnreachable);
  CHECK(sink.take().size() == 2);
  const auto troubles = tunnel.sender->take_troubles();
  CHECK(troubles.size() == 1 && text_of(troubles[0].address) == "192.0.2.1" && troubles[0].error == ENETUNREACH);
  const Sent flood = tunnel.send({tunnel.entry(frame_of(60, 2), 2, tunnel.set({far}))});
  CHECK(flood.sent == 0 && flood.reason == kDropRemoteUnreachable);
}

/// A datagram may go nowhere by rule: an address of all.
void forbidden() {
  Tunnel tunnel(Tunnel::options("127.0.0.1"));
  const Sent sent = tunnel.send({tunnel.entry(frame_of(60, 0), 0, tunnel.remote(0, "255.255.255.255"))});
  CHECK(sent.refused == 1 && (sent.reason == kDropEgressError || sent.reason == kDropRemoteUnreachable));
}

model::Spec super(size_t payload) {
  model::Spec spec;
  spec.payload = frame_of(payload, 3);
  return spec;
}

/// What is longer than the path's MTU is refused, each frame by itself; control hears how long a packet may be.
void too_long(bool v6) {
  const NarrowLoopback narrow(kEthernetMtu);
  Tunnel tunnel(Tunnel::options(v6 ? "2001:db8::1" : "127.0.0.1"));
  Sink sink(v6 ? 6 : 4);
  const int32_t to = tunnel.remote(0, v6 ? "2001:db8::2" : "127.0.0.2");
  const size_t most = static_cast<size_t>(kEthernetMtu) - (v6 ? 40 : 20) - 8 - 8;
  const int32_t fits = tunnel.entry(frame_of(most, 0), 0, to), over = tunnel.entry(frame_of(most + 1, 1), 1, to);
  const model::Spec spec = super(20'000);
  const auto headers = static_cast<uint16_t>(spec.header_bytes());
  const auto size = static_cast<uint16_t>(most - headers);
  const int32_t cut = tunnel.unfinished(spec, 20'000, size, 2, to), wide = tunnel.unfinished(spec, 20'000, static_cast<uint16_t>(size + 1), 3, to);
  const Sent sent = tunnel.send({fits, over, over, over, fits, cut, wide, fits, fits});
  CHECK(sent.sent == 5 && sent.refused == 4 && sent.reason == kDropPathMtu);
  // The short last segment of what is too wide goes out, since it fits.
  const size_t segments = (20'000u + size - 1) / size, stray = 20'000u % (size + 1u) == 0 ? 0 : 1;
  CHECK(sink.take().size() == 4 + segments + stray);
  const auto troubles = tunnel.sender->take_troubles();
  CHECK(troubles.size() == 1 && troubles[0].error == EMSGSIZE && troubles[0].mtu == kEthernetMtu);
}

/// Where fragments are allowed the kernel makes them, of datagrams that it would not have cut.
void fragmented() {
  const NarrowLoopback narrow(kEthernetMtu);
  SenderOptions options = Tunnel::options("127.0.0.1");
  options.df = false;
  Tunnel tunnel(options);
  Sink sink(4);
  const int32_t to = tunnel.remote(0, "127.0.0.2");
  std::vector<int32_t> entries;
  for (int32_t k = 0; k < 10; k++) entries.push_back(tunnel.entry(frame_of(3000, k), k, to));
  const model::Spec spec = super(20'000);
  entries.push_back(tunnel.unfinished(spec, 20'000, 3000, 10, to));
  CHECK(tunnel.send(entries).refused == 0);
  const auto got = sink.take();
  CHECK(got.size() == 17 && tunnel.datagrams() == 17);
  for (int32_t k = 0; k < 10; k++) CHECK(got[static_cast<size_t>(k)].bytes == header_of(k) + frame_of(3000, k));
  for (size_t k = 0; k < 7; k++) CHECK(got[10 + k].bytes == header_of(10) + model::segments_of(spec, 3000)[k]);
}

/// DF stands in the packet, or doesn't, as asked for; without a checksum its field is 0.
void flags() {
  for (const bool df : {true, false}) {
    for (const bool checksum : {true, false}) {
      SenderOptions options = Tunnel::options("127.0.0.1", checksum);
      options.df = df;
      Tunnel tunnel(options);
      Sink raw(4, 0, IPPROTO_UDP);
      const Sink bound(4);
      CHECK(tunnel.send({tunnel.entry(frame_of(60, 0), 0, tunnel.remote(0, "127.0.0.2"))}).sent == 1);
      const auto got = raw.take();
      CHECK(got.size() == 1 && got[0].df == df);
      CHECK(((got[0].bytes[6] | got[0].bytes[7]) != 0) == checksum);
      CHECK((got[0].bytes[2] << 8 | got[0].bytes[3]) == kVxlanPort);
    }
  }
}

/// And over IPv6.
void flags_v6() {
  for (const bool checksum : {true, false}) {
    Tunnel tunnel(Tunnel::options("2001:db8::1", checksum));
    Sink raw(6, 0, IPPROTO_UDP);
    const Sink bound(6);
    CHECK(tunnel.send({tunnel.entry(frame_of(60, 0), 0, tunnel.remote(0, "2001:db8::2"))}).sent == 1);
    const auto got = raw.take();
    CHECK(got.size() == 1 && ((got[0].bytes[6] | got[0].bytes[7]) != 0) == checksum);
  }
}

/// GRE: the header and the frame as an IP packet's payload; one packet each.
void gre(bool v6) {
  SenderOptions options = Tunnel::options(v6 ? "2001:db8::1" : "127.0.0.1");
  options.gre = true;
  Tunnel tunnel(options);
  Sink sink(v6 ? 6 : 4, 0, IPPROTO_GRE);
  const int32_t to = tunnel.remote(0, v6 ? "2001:db8::2" : "127.0.0.2");
  const model::Spec spec = super(10'000);
  std::vector<int32_t> entries;
  for (int32_t k = 0; k < 3; k++) entries.push_back(tunnel.entry(frame_of(60, k), k, to, {.flow = 5, .tos = 8, .ttl = 9, .words = 1}));
  entries.push_back(tunnel.unfinished(spec, 10'000, 1400, 3, to));
  const int32_t nobody = tunnel.remote(1, v6 ? "fe80::1" : "192.0.2.7", 0);
  entries.push_back(tunnel.entry(frame_of(60, 4), 4, nobody, {.words = 1}));
  const Sent sent = tunnel.send(entries);
  CHECK(sent.sent == 4 && sent.refused == 1);
  const auto got = sink.take();
  CHECK(got.size() == 3 + 8 && tunnel.datagrams() == got.size());
  for (int32_t k = 0; k < 3; k++) {
    const Datagram& one = got[static_cast<size_t>(k)];
    CHECK(one.bytes == header_of(k, 1) + frame_of(60, k) && one.tos == 8 && one.ttl == 9 && (v6 || one.df));
  }
  for (size_t k = 0; k < 8; k++) CHECK(got[3 + k].bytes == header_of(3) + model::segments_of(spec, 1400)[k]);
}

/// A socket whose buffer is full takes nothing more of this list; the next list may find room.
void full() {
  const Wire wire;
  if (!wire.is_there()) return;
  Tunnel tunnel(Tunnel::options("10.99.0.1"));
  const int smallest = 1;
  const int socket = tunnel.sender->pools[0]->sockets[0].get();
  CHECK(::setsockopt(socket, SOL_SOCKET, SO_SNDBUFFORCE, &smallest, sizeof smallest) == 0);
  // Nobody answers for this address: what goes there waits in the kernel.
  const int32_t to = tunnel.remote(0, "10.99.0.2");
  std::vector<int32_t> entries;
  for (int32_t k = 0; k < 200; k++) entries.push_back(tunnel.entry(frame_of(1400, k), k, to));
  const Sent sent = tunnel.send(entries);
  CHECK(sent.sent == 46 && sent.refused == 154 && sent.reason == kDropEgressFull);
  const Sent other = tunnel.send({tunnel.entry(frame_of(60, 0), 0, to, {.flow = 1})});
  CHECK(other.sent == 1);
}

/// A group is reached by the interface that was named, and nothing of it comes back.
void group() {
  Wire wire;
  if (!wire.is_there()) return;
  SenderOptions options = Tunnel::options("10.99.0.1");
  options.scope = wire.index();
  Tunnel tunnel(options);
  Sink sink(4);
  sink.join("239.1.1.1", wire.index());
  const int32_t to = tunnel.remote(0, "239.1.1.1");
  const Sent sent = tunnel.send({tunnel.entry(frame_of(60, 0), 0, to), tunnel.entry(frame_of(60, 1), 1, to), tunnel.entry(frame_of(60, 2), 2, to, {.ttl = 9})});
  CHECK(sent.refused == 0 && sink.take().empty());
  std::vector<Bytes> packets;
  for (const Bytes& packet : wire.take()) {
    // IGMP tells of the membership.
    if (packet[9] == IPPROTO_UDP) packets.push_back(packet);
  }
  CHECK(packets.size() == 3);
  for (int32_t k = 0; k < 3; k++) {
    const Bytes& packet = packets[static_cast<size_t>(k)];
    CHECK(packet[8] == (k == 2 ? 9 : 1) && Bytes(packet.begin() + 16, packet.begin() + 20) == (Bytes{239, 1, 1, 1}));
    CHECK(Bytes(packet.begin() + 28, packet.end()) == header_of(k) + frame_of(60, k));
  }
  const Way way = way_to(options.local, parse_address("239.1.1.1"), wire.index());
  CHECK(way.error == 0 && way.mtu == kEthernetMtu && way.device == wire.index());
}

/// Ways as the kernel knows them.
void ways() {
  const Address a = parse_address("127.0.0.1"), v6 = parse_address("2001:db8::1");
  const NarrowLoopback narrow(kEthernetMtu);
  Way way = way_to(a, parse_address("127.0.0.2"), 0);
  CHECK(way.error == 0 && way.mtu == kEthernetMtu && way.device == 1);
  way = way_to(v6, parse_address("2001:db8::2"), 0);
  CHECK(way.error == 0 && way.mtu == kEthernetMtu && way.device == 1);
  CHECK(way_to(a, parse_address("192.0.2.1"), 0).error == ENETUNREACH);
  CHECK(way_to(parse_address("192.0.2.1"), a, 0).error == EADDRNOTAVAIL);
  CHECK(way_to(v6, parse_address("2001:db8:1::1"), 0).error == ENETUNREACH);
}

}  // namespace

const Rule kTroubleRules[] = {
    {"refused", [] { refused(false); }},
    {"refused, IPv6", [] { refused(true); }},
    {"unreachable", unreachable},
    {"forbidden", forbidden},
    {"too long", [] { too_long(false); }},
    {"too long, IPv6", [] { too_long(true); }},
    {"fragmented", fragmented},
    {"flags", flags},
    {"flags, IPv6", flags_v6},
    {"GRE", [] { gre(false); }},
    {"GRE, IPv6", [] { gre(true); }},
    {"full", full},
    {"group", group},
    {"ways", ways},
    {nullptr, nullptr},
};

}  // namespace rig

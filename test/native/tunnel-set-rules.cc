// What a tunnel's sender owes a flood: a copy for each remote of the set, each counted, each refused by itself. And what it takes for a
// remote at all.
#include "tunnel-rig.h"

namespace rig {
namespace {

using namespace weft;

int32_t count_of(Tunnel& tunnel, int32_t word) { return tunnel.worker.slots.queue_of(kTunnelPort)[word]; }

/// Sends without the rig's own reckoning, which knows nothing of copies. The refusals: reason and count.
std::vector<std::pair<int32_t, int32_t>> flood(Tunnel& tunnel, const std::vector<int32_t>& entries) {
  Slots& slots = tunnel.worker.slots;
  int32_t* const queue = slots.queue_of(kTunnelPort);
  slots.block()[kBlockRefusedCount] = 0;
  queue[kQueueCount] = static_cast<int32_t>(entries.size());
  CHECK(slots.account(queue, entries.data()));
  tunnel.carrier->transmit(slots, entries.data(), queue[kQueueCount]);
  std::vector<std::pair<int32_t, int32_t>> refusals;
  const int32_t* const header = reinterpret_cast<const int32_t*>(slots.arena());
  const int32_t* const records = reinterpret_cast<const int32_t*>(slots.arena() + header[kHeaderRefusedAt]);
  for (int32_t k = 0; k < slots.block()[kBlockRefusedCount]; k++)
    refusals.emplace_back(records[k * kRefusedWords + kRefusedReason], records[k * kRefusedWords + kRefusedCount]);
  return refusals;
}

model::Spec super() {
  model::Spec spec;
  spec.payload = frame_of(30'000, 9);
  return spec;
}

/// Three small frames and a super-frame to seven hundred remotes: more than one call sends.
void floods(bool v6, bool checksum) {
  Tunnel tunnel(Tunnel::options(v6 ? "2001:db8::1" : "127.0.0.1", checksum));
  Sink sink(v6 ? 6 : 4);
  std::vector<int32_t> remotes;
  for (int32_t k = 0; k < 700; k++)
    remotes.push_back(tunnel.remote(k, v6 ? "2001:db8::" + std::to_string(1 + k % 9) : "127.0." + std::to_string(k / 256) + "." + std::to_string(k % 256)));
  const int32_t set = tunnel.set(remotes), few = tunnel.set({remotes[5], remotes[6]});
  const model::Spec spec = super();
  std::vector<int32_t> entries;
  for (int32_t k = 0; k < 3; k++) entries.push_back(tunnel.entry(frame_of(60, k), k, set));
  entries.push_back(tunnel.unfinished(spec, 30'000, 1400, 3, few));
  CHECK(flood(tunnel, entries).empty());
  constexpr int32_t kSegments = 22;
  CHECK(count_of(tunnel, kQueueSent) == 3 * 700 + 2 && count_of(tunnel, kQueueSegments) == 3 * 700 + 2 * kSegments);
  CHECK(count_of(tunnel, kQueueBytes) == 3 * 700 * 60 + 2 * 30'054);
  const auto got = sink.take();
  CHECK(got.size() == 3 * 700 + 2 * kSegments && tunnel.datagrams() == got.size());
  CHECK(tunnel.messages() == (checksum ? 700 + 2 : got.size()));
  std::vector<std::string> whom;
  for (size_t k = 0; k < 2100; k++) {
    const int32_t number = got[k].bytes[0];
    CHECK(number == static_cast<int32_t>(checksum ? k % 3 : k / 700) && got[k].bytes == header_of(number) + frame_of(60, number));
    if (number == 0) whom.push_back(got[k].to);
  }
  if (!v6) CHECK(std::adjacent_find(whom.begin(), whom.end()) == whom.end() && whom.size() == 700);
  const auto segments = model::segments_of(spec, 1400);
  for (size_t k = 0; k < 2 * kSegments; k++) {
    const Datagram& one = got[2100 + k];
    CHECK(one.bytes == header_of(3) + segments[k % kSegments]);
    if (!v6) CHECK(one.to == (k < kSegments ? "127.0.0.5" : "127.0.0.6"));
  }
}

/// A member that is none is refused, for each frame; the others get theirs.
void gaps() {
  Tunnel tunnel(Tunnel::options("127.0.0.1"));
  Sink sink(4);
  const int32_t a = tunnel.remote(0, "127.0.0.2"), b = tunnel.remote(1, "127.0.0.3"), v6 = tunnel.remote(2, "2001:db8::2");
  const int32_t set = tunnel.set({a, kRemote + 9, 17, v6, kDestinationsCount, -1, b});
  const model::Spec spec = super();
  const auto refused = flood(tunnel, {tunnel.entry(frame_of(60, 0), 0, set), tunnel.entry(frame_of(60, 1), 1, set), tunnel.unfinished(spec, 30'000, 1400, 2, set)});
  CHECK((refused == std::vector<std::pair<int32_t, int32_t>>{{kDropNoRemote, 15}}));
  CHECK(count_of(tunnel, kQueueSent) == 6 && count_of(tunnel, kQueueSegments) == 4 + 2 * 22);
  CHECK(count_of(tunnel, kQueueBytes) == 4 * 60 + 2 * 30'054);
  CHECK(sink.take().size() == 4 + 2 * 22);
}

/// A frame that can't be finished is refused for each remote: as many were counted as replicated.
void unfinishable() {
  Tunnel tunnel(Tunnel::options("127.0.0.1"));
  Sink sink(4);
  const int32_t set = tunnel.set({tunnel.remote(0, "127.0.0.2"), tunnel.remote(1, "127.0.0.3"), tunnel.remote(2, "127.0.0.4")});
  const int32_t spoilt = tunnel.unfinished(super(), 30'000, 1400, 0, set);
  // Of a TCP frame of IPv4.
  tunnel.worker.facts(spoilt & kEntrySlotMask)[kFactGso] = kGsoTcpV6 | 1400 << 16;
  const auto refused = flood(tunnel, {spoilt, tunnel.entry(frame_of(60, 1), 1, set)});
  CHECK((refused == std::vector<std::pair<int32_t, int32_t>>{{kDropBadOffload, 3}}));
  CHECK(count_of(tunnel, kQueueSent) == 3 && count_of(tunnel, kQueueBytes) == 3 * 60 && count_of(tunnel, kQueueSegments) == 3);
  CHECK(sink.take().size() == 3);
}

/// Sets that are empty, or no sets at all.
void none() {
  Tunnel tunnel(Tunnel::options("127.0.0.1"));
  const int32_t words = reinterpret_cast<const int32_t*>(tunnel.worker.slots.arena())[kHeaderBytes] / 4;
  const int32_t long_set = tunnel.set({61'440 + 1}), negative = tunnel.set({-1});
  // The word of a set that begins with the only member of another.
  const int32_t places[] = {tunnel.set({}), ~words, ~(words - 1), ~0x7fffffff, long_set - 1, negative - 1};
  reinterpret_cast<int32_t*>(tunnel.worker.slots.arena())[words - 1] = 61'000;
  for (const int32_t place : places) {
    const auto refused = flood(tunnel, {tunnel.entry(frame_of(60, 0), 0, place), tunnel.entry(frame_of(60, 1), 1, place)});
    CHECK((refused == std::vector<std::pair<int32_t, int32_t>>{{kDropNoRemote, 2}}));
    CHECK(count_of(tunnel, kQueueSent) == 0 && count_of(tunnel, kQueueBytes) == 0);
  }
}

/// Destinations that are none, and headers that can't be.
void nobody() {
  Tunnel tunnel(Tunnel::options("127.0.0.1"));
  Sink sink(4);
  const int32_t to = tunnel.remote(0, "127.0.0.2"), v6 = tunnel.remote(1, "2001:db8::2");
  for (const int32_t target : {0, 5, kPortsMax - 1, kRemote + 3, v6, kDestinationsCount, 0x7fffffff}) {
    const Sent sent = tunnel.send({tunnel.entry(frame_of(60, 0), 0, target), tunnel.entry(frame_of(60, 1), 1, to)});
    CHECK(sent.sent == 1 && sent.refused == 1 && sent.reason == kDropNoRemote);
  }
  for (const uint32_t header : {0u, 17u, 255u}) {
    const int32_t entry = tunnel.entry(frame_of(60, 0), 0, to);
    tunnel.worker.facts(entry)[kFactOuter] = static_cast<int32_t>(header << 24);
    CHECK(tunnel.send({entry}).reason == kDropNoRemote);
  }
  CHECK(sink.take().size() == 7 && tunnel.datagrams() == 7);
}

/// A remote that was given back between two turns gets nothing more.
void given_back() {
  Tunnel tunnel(Tunnel::options("127.0.0.1"));
  Sink sink(4);
  const int32_t to = tunnel.remote(0, "127.0.0.2");
  const int32_t entry = tunnel.entry(frame_of(60, 0), 0, to);
  CHECK(tunnel.send({entry}).sent == 1);
  int32_t* const record = const_cast<int32_t*>(tunnel.worker.slots.remotes()) + ((kRemote - kPortsMax) << kRemoteWordsShift);
  record[kRemoteFamily] = 0;
  CHECK(tunnel.send({entry}).reason == kDropNoRemote && sink.take().size() == 1);
}

}  // namespace

const Rule kSetRules[] = {
    {"floods", [] { floods(false, true); }},
    {"floods, IPv6", [] { floods(true, true); }},
    {"floods, no checksum", [] { floods(false, false); }},
    {"gaps", gaps},
    {"unfinishable", unfinishable},
    {"none", none},
    {"nobody", nobody},
    {"given back", given_back},
    {nullptr, nullptr},
};

}  // namespace rig

// What a tunnel's sender owes its list: each frame behind its header to its remote, in order, many in one message.
#include "tunnel-rig.h"

namespace rig {
namespace {

using namespace weft;

Bytes datagram(size_t bytes, int32_t number, uint32_t words = 2) { return header_of(number, words) + frame_of(bytes, number); }

/// Frames of every size, one after the other, come whole, in order, with their headers.
void sizes() {
  Tunnel tunnel(Tunnel::options("127.0.0.1"));
  Sink sink(4);
  const int32_t to = tunnel.remote(0, "127.0.0.2");
  const size_t sizes[] = {14, 60, 60, 60, 64, 60, 255, 256, 257, 1500, 1500, 1400, 1400, 9000, 60'000, 60'000, 65'499, 14};
  std::vector<int32_t> entries;
  for (const size_t bytes : sizes) entries.push_back(tunnel.entry(frame_of(bytes, static_cast<int32_t>(entries.size())), static_cast<int32_t>(entries.size()), to));
  const Sent sent = tunnel.send(entries);
  CHECK(sent.refused == 0);
  const auto got = sink.take();
  CHECK(got.size() == std::size(sizes));
  for (size_t k = 0; k < got.size(); k++) {
    CHECK(got[k].bytes == datagram(sizes[k], static_cast<int32_t>(k)));
    CHECK(got[k].to == "127.0.0.2" && got[k].ttl == 64 && got[k].tos == 0);
    CHECK(got[k].source == got[0].source);
  }
  // 14 | 60 60 60 | 64 60 | 255 | 256 | 257 | 1500 1500 1400 | 1400 | 9000 | 60000 | 60000 | 65499 | 14
  CHECK(tunnel.messages() == 13 && tunnel.datagrams() == got.size());
}

/// Two hundred frames to three remotes by four flows, mixed: full messages, and each flow in order by a socket of its own.
void many() {
  Tunnel tunnel(Tunnel::options("127.0.0.1"));
  Sink sink(4);
  std::vector<int32_t> entries;
  for (int32_t k = 0; k < 200; k++) {
    const int32_t to = tunnel.remote(k % 3, "127.0.0." + std::to_string(2 + k % 3));
    entries.push_back(tunnel.entry(frame_of(60, k), k, to, {.flow = static_cast<uint32_t>(k % 4) + 16 * static_cast<uint32_t>(k % 5)}));
  }
  CHECK(tunnel.send(entries).refused == 0);
  const auto got = sink.take();
  CHECK(got.size() == 200 && tunnel.datagrams() == 200 && tunnel.messages() == 12);
  std::vector<int32_t> last(12, -1);
  uint16_t sources[4] = {};
  for (const Datagram& one : got) {
    const int32_t number = one.bytes[0];
    CHECK(one.bytes == datagram(60, number));
    CHECK(one.to == "127.0.0." + std::to_string(2 + number % 3));
    CHECK(last[static_cast<size_t>(number % 12)] < number);
    last[static_cast<size_t>(number % 12)] = number;
    uint16_t& source = sources[number % 4];
    CHECK(source == 0 || source == one.source);
    source = one.source;
  }
  std::sort(sources, sources + 4);
  CHECK(std::unique(sources, sources + 4) == sources + 4);
}

/// A thousand entries of one flow: sixteen messages of at most 64.
void full() {
  Tunnel tunnel(Tunnel::options("127.0.0.1"));
  Sink sink(4);
  const int32_t to = tunnel.remote(0, "127.0.0.2");
  std::vector<int32_t> entries;
  const int32_t one = tunnel.entry(frame_of(100, 1), 1, to);
  for (int32_t k = 0; k < 1024; k++) entries.push_back(one);
  CHECK(tunnel.send(entries).sent == 1024);
  CHECK(sink.take().size() == 1024 && tunnel.messages() == 16);
}

/// TOS and TTL ride along where they are set, and frames that differ in them share no message.
void marks() {
  Tunnel tunnel(Tunnel::options("127.0.0.1"));
  Sink sink(4);
  const int32_t to = tunnel.remote(0, "127.0.0.2");
  const Outer outers[] = {{.tos = 0xb8}, {.tos = 0xb8}, {.ttl = 7}, {.tos = 3, .ttl = 255}, {}};
  std::vector<int32_t> entries;
  for (const Outer& outer : outers) entries.push_back(tunnel.entry(frame_of(60, 0), static_cast<int32_t>(entries.size()), to, outer));
  CHECK(tunnel.send(entries).refused == 0);
  const auto got = sink.take();
  CHECK(got.size() == 5 && tunnel.messages() == 4);
  for (size_t k = 0; k < 5; k++) {
    CHECK(got[k].tos == static_cast<int>(outers[k].tos));
    CHECK(got[k].ttl == (outers[k].ttl == 0 ? 64 : static_cast<int>(outers[k].ttl)));
  }
}

/// More ways than the batch keeps open at a time: each frame goes the one that it was given.
void crowd() {
  Tunnel tunnel(Tunnel::options("127.0.0.1"));
  Sink sink(4);
  std::vector<int32_t> entries;
  for (int32_t k = 0; k < 500; k++)
    entries.push_back(tunnel.entry(frame_of(60, k), k % 250, tunnel.remote(k % 2, "127.0.0." + std::to_string(2 + k % 2)), {.ttl = 1 + static_cast<uint32_t>(k % 250)}));
  CHECK(tunnel.send(entries).refused == 0);
  const auto got = sink.take();
  CHECK(got.size() == 500);
  for (const Datagram& one : got) {
    const int32_t number = one.bytes[0];
    CHECK(one.ttl == 1 + number && one.to == "127.0.0." + std::to_string(2 + number % 2));
  }
}

model::Spec super(size_t payload, bool v6 = false) {
  model::Spec spec;
  spec.v6 = v6;
  spec.flags = 0x18;
  spec.sequence = 1000;
  spec.payload = frame_of(payload, 3);
  return spec;
}

/// Each segment as the model makes it, behind the tunnel's header.
void check_segments(const std::vector<Datagram>& got, size_t from, const model::Spec& spec, uint16_t size, int32_t number) {
  for (const Bytes& segment : model::segments_of(spec, size)) {
    CHECK(from < got.size());
    CHECK(got[from++].bytes == header_of(number) + segment);
  }
}

/// Super-frames are cut, and go in as few messages as they fit; small frames before and behind them keep their place.
void supers(bool v6, bool checksum) {
  SenderOptions options = Tunnel::options(v6 ? "2001:db8::1" : "127.0.0.1", checksum);
  Tunnel tunnel(options);
  Sink sink(v6 ? 6 : 4);
  const int32_t to = tunnel.remote(0, v6 ? "2001:db8::2" : "127.0.0.2");
  const model::Spec large = super(60'000), six = super(20'000, true), tail = super(500);
  std::vector<int32_t> entries = {
      tunnel.entry(frame_of(60, 0), 0, to),    tunnel.unfinished(large, 60'000, 1400, 1, to), tunnel.entry(frame_of(60, 2), 2, to),
      tunnel.unfinished(six, 20'000, 1000, 3, to), tunnel.unfinished(tail, 500, 0, 4, to),
  };
  CHECK(tunnel.send(entries).refused == 0);
  const auto got = sink.take();
  const size_t first = (60'000 + 1399) / 1400, second = 20;
  CHECK(got.size() == 3 + first + second);
  CHECK(got[0].bytes == datagram(60, 0) && got[1 + first].bytes == datagram(60, 2));
  check_segments(got, 1, large, 1400, 1);
  check_segments(got, 2 + first, six, 1000, 3);
  CHECK(got.back().bytes == header_of(4) + model::frame_of(tail, {0, 500, tail.sequence, tail.id, tail.flags, false}));
  CHECK(tunnel.messages() == (checksum ? 5 : got.size()) && tunnel.datagrams() == got.size());
}

/// As few messages as hold the segments: 64 of them at most, 65,507 bytes at most, the last one shorter or not.
void parts() {
  const struct {
    size_t payload;
    uint16_t size;
    uint64_t messages;
  } cases[] = {{62'000, 8800, 1}, {64'000, 100, 10}, {6400, 100, 1}, {6401, 100, 2}, {65'000, 1400, 2}, {65'000, 32'000, 1}, {65'400, 32'700, 2}, {60'000, 20'000, 1}};
  for (const auto& one : cases) {
    Tunnel tunnel(Tunnel::options("127.0.0.1"));
    Sink sink(4);
    const model::Spec spec = super(one.payload);
    CHECK(tunnel.send({tunnel.unfinished(spec, one.payload, one.size, 0, tunnel.remote(0, "127.0.0.2"))}).refused == 0);
    check_segments(sink.take(), 0, spec, one.size, 0);
    CHECK(tunnel.messages() == one.messages);
    CHECK(tunnel.datagrams() == (one.payload + one.size - 1) / one.size);
  }
}

/// Frames whose tails lie in pieces outside the arena: few of them go as they are, many, or a super-frame's, by a copy.
void foreign() {
  Tunnel tunnel(Tunnel::options("127.0.0.1"));
  Sink sink(4);
  const int32_t to = tunnel.remote(0, "127.0.0.2");
  Slots& slots = tunnel.worker.slots;
  slots.begin_turn();
  slots.begin_receiving();
  const model::Spec spec = super(20'000);
  const Bytes wide = model::super_of(spec);
  const Bytes frames[] = {frame_of(1400, 0), frame_of(1400, 1), wide};
  const size_t sizes[] = {300, 7, 4096};
  std::vector<int32_t> entries;
  for (size_t k = 0; k < 3; k++) {
    const Bytes& frame = frames[k];
    std::vector<Range> pieces;
    for (size_t at = kHeadBytes; at < frame.size(); at += sizes[k])
      pieces.push_back({frame.data() + at, static_cast<uint32_t>(std::min(sizes[k], frame.size() - at))});
    const int32_t number = static_cast<int32_t>(k), entry = tunnel.entry(frame, number, to);
    const int32_t slot = slots.take();
    std::memcpy(slots.head(slot) - 8, header_of(number).data(), 8);
    std::memcpy(slots.head(slot), frame.data(), kHeadBytes);
    CHECK(slots.put_with_tail(slot, 1, kHeadBytes, static_cast<int32_t>(frame.size()), 0, pieces.data(), static_cast<int32_t>(pieces.size())));
    int32_t* const facts = slots.fact(slot);
    std::copy_n(slots.fact(entry) + kFactGso, 6, facts + kFactGso);
    entries.push_back(slot);
  }
  int32_t* const facts = slots.fact(entries[2]);
  facts[kFactFlags] |= kFlagNeedsChecksum;
  facts[kFactGso] = spec.gso_type() | 1400 << 16;
  facts[kFactChecksum] = static_cast<int32_t>(spec.l4_at() | 16u << 16);
  entries[2] |= kFinishChecksum | kFinishSegment;
  CHECK(tunnel.send(entries).refused == 0);
  const auto got = sink.take();
  CHECK(got.size() == 2 + 15 && tunnel.messages() == 2);
  for (int32_t k = 0; k < 2; k++) CHECK(got[static_cast<size_t>(k)].bytes == datagram(1400, k));
  check_segments(got, 2, spec, 1400, 2);
}

/// A tail of our own that lies elsewhere is copied.
void elsewhere() {
  Tunnel tunnel(Tunnel::options("127.0.0.1"));
  Sink sink(4);
  const int32_t to = tunnel.remote(0, "127.0.0.2");
  const model::Spec spec = super(20'000);
  const int32_t entry = tunnel.unfinished(spec, 20'000, 1400, 0, to);
  int32_t* const facts = tunnel.worker.facts(entry & kEntrySlotMask);
  uint8_t* const other = tunnel.worker.slots.large(9);
  std::memcpy(other, tunnel.worker.slots.arena() + facts[kFactTailAt], static_cast<size_t>(facts[kFactLength] - facts[kFactHeadBytes]));
  std::memset(tunnel.worker.slots.arena() + facts[kFactTailAt], 0, 20'000);
  facts[kFactTailAt] = static_cast<int32_t>(other - tunnel.worker.slots.arena());
  CHECK(tunnel.send({entry}).refused == 0);
  const auto got = sink.take();
  CHECK(got.size() == 15 && tunnel.messages() == 1);
  check_segments(got, 0, spec, 1400, 0);
}

/// More super-frames than scratch holds.
void overflow() {
  Tunnel tunnel(Tunnel::options("127.0.0.1"));
  Sink sink(4);
  const int32_t to = tunnel.remote(0, "127.0.0.2");
  const model::Spec spec = super(64'000);
  const int32_t one = tunnel.unfinished(spec, 64'000, 1448, 0, to);
  CHECK(tunnel.send(std::vector<int32_t>(60, one)).refused == 0);
  const auto got = sink.take();
  CHECK(got.size() == 60 * 45);
  for (size_t k = 0; k < 60; k++) check_segments(got, k * 45, spec, 1448, 0);
}

}  // namespace

const Rule kSenderRules[] = {
    {"sizes", sizes},
    {"many", many},
    {"full", full},
    {"marks", marks},
    {"crowd", crowd},
    {"supers", [] { supers(false, true); }},
    {"supers, IPv6", [] { supers(true, true); }},
    {"supers, no checksum", [] { supers(false, false); }},
    {"supers, IPv6, no checksum", [] { supers(true, false); }},
    {"parts", parts},
    {"foreign", foreign},
    {"elsewhere", elsewhere},
    {"overflow", overflow},
    {nullptr, nullptr},
};

}  // namespace rig

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
    {"supers", [] { supers(false, true); }},
    {"supers, IPv6", [] { supers(true, true); }},
    {"supers, no checksum", [] { supers(false, false); }},
    {"supers, IPv6, no checksum", [] { supers(true, false); }},
    {"overflow", overflow},
    {nullptr, nullptr},
};

}  // namespace rig

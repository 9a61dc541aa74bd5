// Streams of all kinds beside each other, some segments damaged or unfinished: what an egress without offloads sends of what was listed is,
// for each of them, what its sender sent, in order. And datagrams that are anything at all, for the sanitizers to watch.
#include <cstdio>

#include "arrival-rig.h"

namespace {

using namespace rig;
using model::below;

constexpr size_t kFlowAt = 11;  // last byte of the sender's address, which no checksum covers

/// A frame as it is sent, and as it must come out at last.
struct Segment {
  Bytes sent;
  Bytes expected;
};

std::vector<Segment> stream_of(Random& random, uint8_t flow) {
  Spec spec = model::random_spec(random, below(random, 4) == 0 ? 60000 : 8000);
  spec.salt = flow;
  const size_t size = 1 + below(random, 1400);
  if (!spec.tcp) spec.payload.resize(std::min(spec.payload.size(), size));
  if (spec.payload.size() > 200 * size) spec.payload.resize(200 * size);
  std::vector<Segment> all;
  size_t from = 0;
  do {
    // Mostly of one size, as a sender cuts what is long.
    const size_t most = below(random, 12) == 0 ? 1 + below(random, 1400) : size;
    const size_t to = spec.tcp ? std::min(from + most, spec.payload.size()) : spec.payload.size();
    uint8_t flags = to == spec.payload.size() ? spec.flags : static_cast<uint8_t>(spec.flags & 0xf6);
    if (from != 0) flags = static_cast<uint8_t>(flags & 0x7f);
    if (below(random, 20) == 0) flags |= 0x08;
    model::Part part{from, to, static_cast<uint32_t>(spec.sequence + from), static_cast<uint16_t>(spec.id + all.size()), flags, false};
    Bytes frame = model::frame_of(spec, part);
    frame[kFlowAt] = flow;
    Segment one{frame, frame};
    if (spec.extensions.empty() && below(random, 4) == 0) {
      part.unfinished = true;
      one.sent = model::frame_of(spec, part);
      one.sent[kFlowAt] = flow;
    } else if (below(random, 20) == 0) {
      // Behind the addresses, so that it stays in its flow.
      const size_t at = spec.l4_at() + 4 + below(random, static_cast<uint32_t>(frame.size() - spec.l4_at() - 4));
      one.sent[at] ^= static_cast<uint8_t>(1 + below(random, 255));
      one.expected = one.sent;
    }
    all.push_back(std::move(one));
    from = to;
  } while (from < spec.payload.size());
  return all;
}

}  // namespace

int run_streams(uint64_t seed, uint64_t cases) {
  Random random(seed);
  Arrivals arrivals;
  uint64_t sent = 0, listed = 0;
  for (uint64_t k = 0; k < cases; k++) {
    const size_t count = 1 + below(random, 12);
    std::vector<std::vector<Segment>> streams;
    for (size_t n = 0; n < count; n++) streams.push_back(stream_of(random, static_cast<uint8_t>(n)));
    std::vector<size_t> next(count, 0);
    std::vector<Datagram> datagrams;
    const uint32_t burst = 1 + below(random, 20);
    for (size_t left = count; left > 0;) {
      const size_t n = below(random, static_cast<uint32_t>(count));
      for (uint32_t some = 1 + below(random, burst); some > 0 && next[n] < streams[n].size(); some--) {
        datagrams.push_back(in_vxlan(streams[n][next[n]].sent));
        if (++next[n] == streams[n].size()) left--;
      }
    }
    arrivals.worker.slots.block()[weft::kBlockWhole] = below(random, 4) == 0 ? 1 : 0;
    std::vector<size_t> seen(count, 0);
    for (const Listed& one : arrivals.arrive(datagrams, static_cast<int32_t>(1 + below(random, 64)))) {
      listed++;
      for (const Bytes& frame : arrivals.finish(one)) {
        const size_t flow = frame[kFlowAt];
        CHECK(flow < count && seen[flow] < streams[flow].size());
        CHECK(frame == streams[flow][seen[flow]].expected);
        seen[flow]++;
      }
    }
    for (size_t n = 0; n < count; n++) CHECK(seen[n] == streams[n].size());
    sent += datagrams.size();
  }
  std::printf("%llu frames in %llu\n", static_cast<unsigned long long>(sent), static_cast<unsigned long long>(listed));
  CHECK(sent == listed + arrivals.feed.coalescer.merged());
  // A half, give or take 0.03 in a hundred cases; in twenty it may come to three quarters by chance.
  CHECK(cases < 100 || listed < sent * 3 / 4);
  return 0;
}

namespace {

Bytes header_of(Random& random, weft::TunnelKind kind) {
  if (kind == weft::TunnelKind::kVxlan) return vxlan(below(random, 4));
  if (kind == weft::TunnelKind::kGre) {
    Bytes header{static_cast<uint8_t>(below(random, 2) == 0 ? 0x20 : 0), 0, 0x65, 0x58};
    if (header[0] != 0) model::number(header, below(random, 4), 4);
    return header;
  }
  const uint32_t words = below(random, 4);
  Bytes header{static_cast<uint8_t>(words), 0, 0x65, 0x58};
  model::number(header, below(random, 4) << 8, 4);
  for (uint32_t k = 0; k < words; k++) model::number(header, random() & 0xffffffe0, 4);
  return header;
}

Datagram anything(Random& random) {
  Datagram datagram;
  datagram.kind = static_cast<weft::TunnelKind>(below(random, 3));
  datagram.origin.address[0] += below(random, 2);
  datagram.origin.tos = static_cast<int32_t>(below(random, 2));
  if (below(random, 16) == 0) {
    datagram.bytes = model::random_bytes(random, below(random, below(random, 4) == 0 ? 65508 : 80));
    return datagram;
  }
  datagram.bytes = header_of(random, datagram.kind);
  Spec spec = model::random_spec(random, below(random, 8) == 0 ? 60000 : 600);
  spec.salt = static_cast<uint8_t>(below(random, 2));
  model::append(datagram.bytes, model::frame_of(spec, {0, spec.payload.size(), spec.sequence, spec.id, spec.flags, below(random, 2) == 0}));
  return datagram;
}

void damage(Random& random, Bytes& bytes) {
  if (bytes.empty()) return;
  const uint32_t size = static_cast<uint32_t>(std::min<size_t>(bytes.size(), 140));
  for (uint32_t k = below(random, 4); k > 0; k--) bytes[below(random, size)] = static_cast<uint8_t>(random());
  if (below(random, 8) == 0) bytes.resize(below(random, size + 1));
  if (below(random, 8) == 0) model::append(bytes, model::random_bytes(random, below(random, 60)));
}

}  // namespace

int run_garbage(uint64_t seed, uint64_t cases) {
  Random random(seed);
  Arrivals arrivals;
  uint64_t listed = 0, bad = 0, plain = 0, finished = 0, refused = 0;
  for (uint64_t k = 0; k < cases; k++) {
    std::vector<Datagram> datagrams;
    const Datagram model = anything(random);
    for (uint32_t n = 1 + below(random, 6); n > 0; n--) {
      datagrams.push_back(below(random, 3) == 0 ? anything(random) : model);
      if (below(random, 4) != 0) damage(random, datagrams.back().bytes);
    }
    arrivals.worker.slots.block()[weft::kBlockWhole] = below(random, 4) == 0 ? 1 : 0;
    for (const Listed& one : arrivals.arrive(datagrams, static_cast<int32_t>(1 + below(random, 8)))) {
      listed++;
      if ((one.outer & weft::kArrivalBad) != 0) {
        bad++;
        continue;
      }
      CHECK(one.frame.size() >= 14);
      if (!one.has_vnet) {
        plain++;
        const auto is_it = [&](const Datagram& datagram) {
          return datagram.bytes.size() >= one.frame.size() && std::equal(one.frame.begin(), one.frame.end(), datagram.bytes.end() - static_cast<long>(one.frame.size()));
        };
        CHECK(std::any_of(datagrams.begin(), datagrams.end(), is_it));
        continue;
      }
      (arrivals.finish(one).empty() ? refused : finished)++;
    }
  }
  std::printf("%llu listed: %llu bad, %llu plain, %llu finished, %llu refused\n", static_cast<unsigned long long>(listed), static_cast<unsigned long long>(bad),
              static_cast<unsigned long long>(plain), static_cast<unsigned long long>(finished), static_cast<unsigned long long>(refused));
  const uint64_t least = cases / 10;
  CHECK(bad > least && plain > least && finished > least);
  return 0;
}

// Rules of tunnel headers, of what is told beside a frame, and of unfinished checksums.
#include "arrival-rig.h"

namespace {

using namespace rig;
using weft::kArrivalBad;
using weft::kArrivalCritical;
using weft::strip;
using weft::Stripped;
using weft::TunnelKind;

const Bytes kArp = [] {
  Bytes frame(60, 0x11);
  frame[12] = 8, frame[13] = 6;
  return frame;
}();

/// The header in memory of its own, with `behind` bytes of a frame.
Stripped strip_of(TunnelKind kind, const Bytes& header, size_t behind = 60) {
  const size_t bytes = header.size() + behind;
  const auto at = std::make_unique<uint8_t[]>(bytes);
  std::memset(at.get(), 0, bytes);
  if (!header.empty()) std::memcpy(at.get(), header.data(), header.size());
  return strip(kind, at.get(), static_cast<uint32_t>(bytes));
}
void check_good(TunnelKind kind, const Bytes& header, uint32_t key, int32_t flags = 0) {
  const Stripped stripped = strip_of(kind, header);
  CHECK(stripped.flags == flags && stripped.header_bytes == header.size() && stripped.key == key);
  CHECK(std::memcmp(&stripped.header, header.data(), 4) == 0);
  // The frame behind it has at least an Ethernet header.
  CHECK(strip_of(kind, header, 14).flags == flags);
  CHECK((strip_of(kind, header, 13).flags & kArrivalBad) != 0);
}
void check_bad(TunnelKind kind, const Bytes& header) { CHECK((strip_of(kind, header).flags & kArrivalBad) != 0); }

void vxlan_headers() {
  check_good(TunnelKind::kVxlan, {8, 0, 0, 0, 0x12, 0x34, 0x56, 0}, 0x00563412);
  // Which flags may stand there is not for us to say.
  check_good(TunnelKind::kVxlan, {0xff, 1, 2, 3, 0, 0, 0, 7}, 0x07000000);
  for (size_t bytes = 0; bytes < 8; bytes++) CHECK(strip_of(TunnelKind::kVxlan, Bytes(bytes, 8), 0).flags == kArrivalBad);
}

void geneve_headers() {
  check_good(TunnelKind::kGeneve, {0, 0, 0x65, 0x58, 0, 0, 9, 0}, 0x00090000);
  check_good(TunnelKind::kGeneve, {0, 0x80, 0x65, 0x58, 0, 0, 9, 0}, 0x00090000);
  check_good(TunnelKind::kGeneve, {0, 0x40, 0x65, 0x58, 0, 0, 9, 0}, 0x00090000, kArrivalCritical);
  // Two options, of four bytes and of twelve; the type of either may be critical.
  Bytes options{4, 0, 0x65, 0x58, 0, 0, 9, 0, 1, 2, 3, 0, 1, 2, 3, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
  check_good(TunnelKind::kGeneve, options, 0x00090000);
  for (const size_t type : {10, 14}) {
    Bytes critical = options;
    critical[type] |= 0x80;
    check_good(TunnelKind::kGeneve, critical, 0x00090000, kArrivalCritical);
  }
  // The reserved bits beside an option's length.
  options[11] = 0xe0;
  check_good(TunnelKind::kGeneve, options, 0x00090000);
  options[15] = 3;
  check_bad(TunnelKind::kGeneve, options);
  check_bad(TunnelKind::kGeneve, {1, 0, 0x65, 0x58, 0, 0, 9, 0, 1, 2, 3, 1});
  // All 252 bytes of options, and one word less than they say.
  Bytes longest{63, 0, 0x65, 0x58, 0, 0, 9, 0};
  for (int k = 0; k < 63; k++) model::append(longest, {0, 0, 0, 0});
  check_good(TunnelKind::kGeneve, longest, 0x00090000);
  CHECK(strip_of(TunnelKind::kGeneve, Bytes(longest.begin(), longest.end() - 4), 0).flags == kArrivalBad);
  for (size_t bytes = 0; bytes < 8; bytes++) CHECK(strip_of(TunnelKind::kGeneve, Bytes(bytes, 0), 0).flags == kArrivalBad);
}

void gre_headers() {
  check_good(TunnelKind::kGre, {0, 0, 0x65, 0x58}, 0);
  check_good(TunnelKind::kGre, {0x20, 0, 0x65, 0x58, 1, 2, 3, 4}, 0x04030201);
  check_good(TunnelKind::kGre, {0x10, 0, 0x65, 0x58, 0, 0, 0, 5}, 0);
  check_good(TunnelKind::kGre, {0x30, 0, 0x65, 0x58, 1, 2, 3, 4, 0, 0, 0, 5}, 0x04030201);
  // What RFC 2784 says to ignore.
  check_good(TunnelKind::kGre, {0x03, 0xf8, 0x65, 0x58}, 0);
  for (const uint8_t first : {0x40, 0x08, 0x04}) check_bad(TunnelKind::kGre, {first, 0, 0x65, 0x58});
  for (const uint8_t version : {1, 2, 4}) check_bad(TunnelKind::kGre, {0, version, 0x65, 0x58});
  check_bad(TunnelKind::kGre, {0, 0, 8, 0});
  // A checksum over header and frame, which are zeros but for what stands here.
  Bytes summed{0xb0, 0, 0x65, 0x58, 0, 0, 0, 0, 1, 2, 3, 4, 0, 0, 0, 5};
  check_bad(TunnelKind::kGre, summed);
  const uint32_t checksum = 65535 - model::naive_sum(summed);
  summed[4] = static_cast<uint8_t>(checksum >> 8), summed[5] = static_cast<uint8_t>(checksum);
  check_good(TunnelKind::kGre, summed, 0x04030201);
  for (size_t bytes = 0; bytes < summed.size(); bytes++) {
    CHECK(strip_of(TunnelKind::kGre, Bytes(summed.begin(), summed.begin() + static_cast<long>(bytes)), 0).flags == kArrivalBad);
  }
}

/// What is told of a datagram beside its frame, wherever that comes to lie.
void told() {
  Arrivals arrivals;
  for (const int32_t whole : {0, 1}) {
    arrivals.worker.slots.block()[weft::kBlockWhole] = whole;
    for (const size_t bytes : {14, 60, 63, 64, 65, 255, 256, 257, 1500, 9000, 65000}) {
      Datagram datagram = in_vxlan(Bytes(bytes, 0x77), 0xabcdef);
      datagram.origin.tos = 0xb9;
      const auto listed = arrivals.arrive({datagram});
      CHECK(listed.size() == 1 && listed[0].frame == Bytes(bytes, 0x77) && !listed[0].has_vnet);
      CHECK(listed[0].address == kSender && listed[0].outer == 0xb9 && listed[0].header == 8 && listed[0].key == 0xefcdab);
      CHECK(listed[0].foreign == (bytes > 256 && whole == 0));
    }
  }
  Datagram critical{{1, 0, 0x65, 0x58, 0, 0, 9, 0, 0, 0, 0x80, 0}, {{1, 2, 3, 4}, 3}, TunnelKind::kGeneve};
  model::append(critical.bytes, kArp);
  const auto listed = arrivals.arrive({critical, {{8, 0, 0, 0, 0, 0, 1, 0, 9, 9}}, {Bytes(3, 1)}, {{}}});
  CHECK(listed.size() == 4 && listed[0].outer == (3 | kArrivalCritical) && listed[0].frame == kArp);
  for (size_t k = 1; k < 4; k++) CHECK(listed[k].outer == kArrivalBad && listed[k].address == kSender);
  CHECK(listed[1].key == 0x00010000 && listed[2].header == 0);
}

/// Unfinished ones are told to be, with the places of their checksums; finished ones are not.
void checksums() {
  Arrivals arrivals;
  Random random(1);
  for (int k = 0; k < 2000; k++) {
    Spec spec = model::random_spec(random, 1300);
    spec.extensions.clear();
    const model::Part part{0, spec.payload.size(), spec.sequence, spec.id, spec.flags, k % 2 == 0};
    const Bytes frame = model::frame_of(spec, part);
    const auto listed = arrivals.arrive({in_vxlan(frame)});
    CHECK(listed.size() == 1 && listed[0].frame == frame && listed[0].has_vnet == part.unfinished);
    if (!part.unfinished) continue;
    CHECK(listed[0].needs_checksum() && listed[0].gso_type() == weft::kGsoNone);
    CHECK(listed[0].vnet_word(3) == spec.l4_at() && listed[0].vnet_word(4) == spec.checksum_offset());
    const Bytes finished = model::frame_of(spec, {0, part.to, spec.sequence, spec.id, spec.flags, false});
    CHECK(arrivals.finish(listed[0]) == std::vector<Bytes>{finished});
  }
}

Spec small(bool tcp, bool v6 = false) {
  Spec spec;
  spec.tcp = tcp;
  spec.v6 = v6;
  spec.payload = Bytes(100, 5);
  return spec;
}

/// Fragments, extension headers, other protocols and lengths that don't fit are left alone, whatever stands in their fields.
void left_alone() {
  Arrivals arrivals;
  const auto is_alone = [&](const Bytes& frame) {
    const auto listed = arrivals.arrive({in_vxlan(frame)});
    return listed.size() == 1 && listed[0].frame == frame && !listed[0].has_vnet;
  };
  for (const bool tcp : {true, false}) {
    for (const bool v6 : {false, true}) {
      const Spec spec = small(tcp, v6);
      const Bytes frame = model::super_of(spec);
      CHECK(!is_alone(frame));
      const auto with = [&](size_t at, uint8_t value) {
        Bytes changed = frame;
        changed[at] = value;
        return changed;
      };
      CHECK(is_alone(with(12, 0x09)));
      CHECK(is_alone(with(14, static_cast<uint8_t>(v6 ? 0x40 : 0x60))));
      if (v6) {
        for (const uint8_t next : {0, 43, 44, 60, 58, 50}) CHECK(is_alone(with(20, next)));
        CHECK(is_alone(with(18, 1)));
        CHECK(is_alone(with(19, 255)));
      } else {
        for (const uint8_t fragment : {0x20, 0x01, 0x1f}) CHECK(is_alone(with(20, fragment)));
        CHECK(is_alone(with(21, 1)));
        CHECK(is_alone(with(23, 1)));
        CHECK(is_alone(with(14, 0x44)));
        CHECK(is_alone(with(16, 1)));
      }
      CHECK(is_alone(with(spec.l4_at() + spec.checksum_offset(), 0xee)));
      if (tcp) CHECK(is_alone(with(spec.l4_at() + 12, 0x40)));
      if (!tcp) CHECK(is_alone(with(spec.l4_at() + 5, 0)));
      // Padding of zeros doesn't change the sum; anything else would.
      Bytes padded = frame;
      model::append(padded, Bytes(6, 0));
      CHECK(!is_alone(padded));
      padded.back() = 1;
      CHECK(is_alone(padded));
      padded = frame;
      model::append(padded, Bytes(47, 0));
      CHECK(is_alone(padded));
    }
  }
}

/// Packets that end anywhere, as their headers say: what begins before the end and doesn't end there is left alone.
void truncated() {
  Arrivals arrivals;
  for (const bool tcp : {true, false}) {
    for (const bool v6 : {false, true}) {
      Spec spec = small(tcp, v6);
      spec.tags = {0x8100};
      if (tcp) spec.tcp_options = Bytes(12, 1);
      const Bytes whole = model::super_of(spec);
      const size_t l3 = spec.l3_at(), l4 = spec.l4_at(), field = l4 + spec.checksum_offset();
      for (size_t bytes = 14; bytes < whole.size(); bytes++) {
        Bytes frame(whole.begin(), whole.begin() + static_cast<long>(bytes));
        const auto write = [&](size_t at, size_t value) {
          if (at + 2 > bytes) return;
          frame[at] = static_cast<uint8_t>(value >> 8), frame[at + 1] = static_cast<uint8_t>(value);
        };
        if (v6 && bytes >= l4) write(l3 + 4, bytes - l4);
        if (!v6) write(l3 + 2, bytes - l3);
        if (!tcp && bytes >= l4) write(l4 + 4, bytes - l4);
        if (bytes >= l4) write(field, model::naive_sum(model::pseudo_of(spec, bytes - l4)));
        const auto listed = arrivals.arrive({in_vxlan(frame)});
        CHECK(listed.size() == 1 && listed[0].frame == frame && listed[0].has_vnet == (bytes >= spec.header_bytes()));
      }
    }
  }
}

/// A packet that no wire has seen: what merged it doesn't tell how, so it is cut into segments that fit everywhere.
void super_frames() {
  Arrivals arrivals;
  for (const bool v6 : {false, true}) {
    Spec spec = small(true, v6);
    spec.tcp_options = Bytes(12, 1);
    Random random(3);
    spec.payload = model::random_bytes(random, 40000);
    const auto listed = arrivals.arrive({in_vxlan(model::super_of(spec))});
    CHECK(listed.size() == 1 && listed[0].gso_type() == spec.gso_type());
    CHECK(listed[0].gso_size() == 1280 - (spec.header_bytes() - 14));
    CHECK(arrivals.finish(listed[0]) == model::segments_of(spec, listed[0].gso_size()));
    spec.payload.resize(1500 - (spec.header_bytes() - 14));
    CHECK(arrivals.arrive({in_vxlan(model::super_of(spec))})[0].gso_type() == weft::kGsoNone);
    // Datagrams have no segments that one could choose.
    Spec udp = small(false, v6);
    udp.payload.resize(9000);
    CHECK(arrivals.arrive({in_vxlan(model::super_of(udp))})[0].gso_type() == weft::kGsoNone);
  }
}

}  // namespace

void run_arrival_rules() {
  vxlan_headers();
  geneve_headers();
  gre_headers();
  told();
  checksums();
  left_alone();
  truncated();
  super_frames();
}

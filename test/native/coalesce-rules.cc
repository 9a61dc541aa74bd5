// Rules of merging: what may go on in one frame, what ends it, and that nothing overtakes anything of its flow.
#include <functional>

#include "arrival-rig.h"

namespace {

using namespace rig;

constexpr uint32_t kSize = 1000;

Spec stream(bool v6 = false, size_t segments = 4, uint8_t salt = 0) {
  Spec spec;
  spec.v6 = v6;
  spec.salt = salt;
  spec.id = 0xfffe;
  spec.sequence = 0xfffffc00;
  spec.tcp_options = Bytes(12, 1);
  Random random(salt + 1u);
  spec.payload = model::random_bytes(random, segments * kSize);
  return spec;
}

std::vector<Datagram> datagrams_of(const std::vector<Bytes>& frames) {
  std::vector<Datagram> datagrams;
  for (const Bytes& frame : frames) datagrams.push_back(in_vxlan(frame));
  return datagrams;
}

/// What comes out of all that was listed, in order.
std::vector<Bytes> cut(Arrivals& arrivals, const std::vector<Listed>& listed) {
  std::vector<Bytes> frames;
  for (const Listed& one : listed) {
    for (const Bytes& frame : arrivals.finish(one)) frames.push_back(frame);
  }
  return frames;
}

void merges() {
  Arrivals arrivals;
  for (const int32_t whole : {0, 1}) {
    arrivals.worker.slots.block()[weft::kBlockWhole] = whole;
    for (const bool v6 : {false, true}) {
      for (const size_t tags : {0, 1, 2}) {
        Spec spec = stream(v6, 20);
        spec.tags.assign(tags, 0x8100);
        spec.payload.resize(20 * kSize - 300);
        spec.flags = 0x18;
        const auto frames = model::segments_of(spec, kSize);
        const auto listed = arrivals.arrive(datagrams_of(frames));
        CHECK(listed.size() == 1 && listed[0].gso_type() == spec.gso_type() && listed[0].gso_size() == kSize);
        CHECK(listed[0].vnet_word(1) == spec.header_bytes() && listed[0].vnet_word(3) == spec.l4_at() && listed[0].vnet_word(4) == 16);
        CHECK(listed[0].frame == model::super_of(spec));
        CHECK(cut(arrivals, listed) == frames);
      }
    }
  }
  CHECK(arrivals.feed.coalescer.merged() == 2 * 2 * 3 * 19);
}

/// Segments whose head is not full with the first one.
void merges_small() {
  Arrivals arrivals;
  Spec spec = stream();
  spec.payload.resize(505);
  const auto frames = model::segments_of(spec, 10);
  const auto listed = arrivals.arrive(datagrams_of(frames));
  CHECK(listed.size() == 1 && listed[0].frame == model::super_of(spec) && cut(arrivals, listed) == frames);
}

/// 65,535 bytes of packet, and 256 pieces.
void ends_full() {
  Arrivals arrivals;
  for (const bool v6 : {false, true}) {
    const Spec spec = stream(v6, 100);
    const auto frames = model::segments_of(spec, kSize);
    const auto listed = arrivals.arrive(datagrams_of(frames));
    CHECK(listed.size() == 2 && cut(arrivals, listed) == frames);
    CHECK(listed[0].frame.size() - 14 <= 65535 && listed[0].frame.size() - 14 + kSize > 65535);
  }
  for (const uint32_t over : {0, 1}) {
    Spec spec = stream(false, 70);
    spec.payload.resize(65535 - (spec.header_bytes() - 14) + over);
    const auto frames = model::segments_of(spec, 1007);
    const auto listed = arrivals.arrive(datagrams_of(frames));
    CHECK(listed.size() == 1 + over && cut(arrivals, listed) == frames);
  }
  Spec spec = stream();
  spec.payload.resize(300);
  const auto frames = model::segments_of(spec, 1);
  const auto listed = arrivals.arrive(datagrams_of(frames));
  CHECK(listed.size() == 2 && cut(arrivals, listed) == frames);
  CHECK(listed[0].frame.size() == spec.header_bytes() + 256);
}

using Change = std::function<void(Datagram&)>;

/// Four segments, of which the third is changed: it never goes on in the frame of the first two, and all come in order.
void check_apart(const char* what, const Spec& spec, const Change& change, bool refreshes = true) {
  Arrivals arrivals;
  auto datagrams = datagrams_of(model::segments_of(spec, kSize));
  change(datagrams[2]);
  if (refreshes) {
    Bytes frame(datagrams[2].bytes.begin() + 8, datagrams[2].bytes.end());
    refresh(frame, spec);
    datagrams[2].bytes.resize(8);
    model::append(datagrams[2].bytes, frame);
  }
  const auto listed = arrivals.arrive(datagrams);
  std::vector<Bytes> expected;
  for (const Datagram& datagram : datagrams) expected.emplace_back(datagram.bytes.begin() + 8, datagram.bytes.end());
  const bool is_so = listed.size() >= 3 && listed[0].frame.size() == spec.header_bytes() + 2 * kSize && cut(arrivals, listed) == expected;
  if (!is_so) std::printf("%s\n", what);
  CHECK(is_so);
}

Change set(size_t at, uint8_t value) {
  return [=](Datagram& datagram) { datagram.bytes[8 + at] ^= value; };
}

void stays_apart() {
  for (const bool v6 : {false, true}) {
    Spec spec = stream(v6);
    spec.tags = {0x8100};
    const size_t l3 = spec.l3_at(), l4 = spec.l4_at();
    check_apart("destination", spec, set(5, 1));
    check_apart("source", spec, set(11, 1));
    check_apart("tag", spec, set(15, 1));
    check_apart("priority", spec, set(14, 0x20));
    check_apart("address", spec, set(l4 - 1, 1));
    if (v6) {
      check_apart("traffic class", spec, set(l3 + 1, 0x10));
      check_apart("flow label", spec, set(l3 + 3, 1));
      check_apart("hop limit", spec, set(l3 + 7, 1));
    } else {
      check_apart("TOS", spec, set(l3 + 1, 4));
      check_apart("ID", spec, set(l3 + 5, 4));
      check_apart("DF", spec, set(l3 + 6, 0x40));
      check_apart("TTL", spec, set(l3 + 8, 1));
      check_apart("IP checksum", spec, set(l3 + 10, 1), false);
      check_apart("fragment", spec, set(l3 + 6, 0x20));
    }
    check_apart("source port", spec, set(l4 + 1, 1));
    check_apart("destination port", spec, set(l4 + 3, 1));
    check_apart("sequence", spec, set(l4 + 7, 1));
    check_apart("acknowledgement", spec, set(l4 + 11, 1));
    for (const uint8_t flag : {0x02, 0x04, 0x10, 0x20, 0x40, 0x80}) check_apart("flag", spec, set(l4 + 13, flag));
    check_apart("window", spec, set(l4 + 15, 1));
    check_apart("checksum", spec, set(l4 + 17, 1), false);
    check_apart("payload", spec, set(l4 + 40, 1), false);
    check_apart("urgent", spec, set(l4 + 19, 1));
    check_apart("option", spec, set(l4 + 22, 1));
    check_apart("sender", spec, [](Datagram& datagram) { datagram.origin.address[0]++; });
    check_apart("sender's end", spec, [](Datagram& datagram) { datagram.origin.address[3] = 1; });
    check_apart("outer TOS", spec, [](Datagram& datagram) { datagram.origin.tos = 3; });
    check_apart("VNI", spec, [](Datagram& datagram) { datagram.bytes[6]++; });
    check_apart("header", spec, [](Datagram& datagram) { datagram.bytes[0]++; });
  }
}

/// What GRO leaves alone: IP options, extension headers, and flags at the first segment that no other may follow.
void never_merges() {
  const auto count = [](const Spec& spec) {
    Arrivals arrivals;
    const auto frames = model::segments_of(spec, kSize);
    const auto listed = arrivals.arrive(datagrams_of(frames));
    CHECK(cut(arrivals, listed) == frames);
    return listed.size();
  };
  Spec spec = stream();
  spec.ip_options = Bytes(4, 1);
  CHECK(count(spec) == 4);
  spec = stream(true);
  model::add_extension(spec, 60, 0);
  CHECK(count(spec) == 4);
  for (const uint8_t flags : {0x12, 0x14, 0x30, 0x00, 0x02}) {
    spec = stream();
    spec.flags = flags;
    CHECK(count(spec) == 4);
  }
  // CWR stands in the first one only.
  spec.flags = 0x90;
  CHECK(count(spec) == 2);
}

/// The third has other sizes than the ones before: longer, empty, padded.
void ends_with_size() {
  const Spec spec = stream();
  const auto frames = model::segments_of(spec, kSize);
  const auto with = [&](size_t to, size_t padding) {
    std::vector<Bytes> some(frames.begin(), frames.begin() + 2);
    some.push_back(model::frame_of(spec, {2 * kSize, to, static_cast<uint32_t>(spec.sequence + 2 * kSize), static_cast<uint16_t>(spec.id + 2), 0x10, false}));
    model::append(some.back(), Bytes(padding, 0));
    // No longer than the first ones, so that only a shorter one before it keeps it out.
    const size_t end = std::min(to + kSize, 4 * size_t{kSize});
    some.push_back(model::frame_of(spec, {to, end, static_cast<uint32_t>(spec.sequence + to), static_cast<uint16_t>(spec.id + 3), 0x10, false}));
    Arrivals arrivals;
    const auto listed = arrivals.arrive(datagrams_of(some));
    CHECK(cut(arrivals, listed) == some);
    std::vector<size_t> sizes;
    for (const Listed& one : listed) sizes.push_back((one.frame.size() - spec.header_bytes() + kSize / 2) / kSize);
    return sizes;
  };
  using Sizes = std::vector<size_t>;
  CHECK(with(3 * kSize, 0) == (Sizes{4}));
  CHECK(with(3 * kSize + 1, 0) == (Sizes{2, 2}));
  CHECK(with(2 * kSize, 0) == (Sizes{2, 0, 1}));
  CHECK(with(3 * kSize, 6) == (Sizes{2, 1, 1}));
  // A shorter one goes on, and is the last.
  CHECK(with(3 * kSize - 1, 0) == (Sizes{3, 1}));
}

/// PSH and FIN end a frame, with the segment that has them; at the first one they leave it alone.
void ends_with_flags() {
  for (const uint8_t flag : {0x08, 0x01, 0x09}) {
    for (const size_t which : {0, 1, 2}) {
      const Spec spec = stream();
      auto frames = model::segments_of(spec, kSize);
      frames[which][spec.l4_at() + 13] |= flag;
      refresh(frames[which], spec);
      Arrivals arrivals;
      const auto listed = arrivals.arrive(datagrams_of(frames));
      CHECK(listed.size() == 2 && cut(arrivals, listed) == frames);
      CHECK(listed[0].frame.size() == spec.header_bytes() + (which + 1) * kSize);
      CHECK(listed[0].frame[spec.l4_at() + 13] == (0x10 | flag));
    }
  }
  // The same in all of them: congestion is told, and stays told.
  Spec spec = stream();
  spec.flags = 0x50;
  Arrivals arrivals;
  const auto frames = model::segments_of(spec, kSize);
  const auto listed = arrivals.arrive(datagrams_of(frames));
  CHECK(listed.size() == 1 && listed[0].gso_type() == weft::kGsoTcpV4 && cut(arrivals, listed) == frames);
}

/// IDs count, or stand still where nobody may fragment.
void numbers_count() {
  const auto merged = [](bool may_fragment, const std::vector<int>& steps) {
    const Spec spec = stream(false, steps.size());
    auto frames = model::segments_of(spec, kSize);
    for (size_t k = 0; k < steps.size(); k++) {
      const uint16_t id = static_cast<uint16_t>(spec.id + steps[k]);
      frames[k][18] = static_cast<uint8_t>(id >> 8), frames[k][19] = static_cast<uint8_t>(id);
      if (may_fragment) frames[k][20] = 0;
      refresh(frames[k], spec);
    }
    Arrivals arrivals;
    const auto listed = arrivals.arrive(datagrams_of(frames));
    return listed.size();
  };
  for (const bool may_fragment : {false, true}) {
    CHECK(merged(may_fragment, {0, 1, 2, 3}) == 1);
    CHECK(merged(may_fragment, {0, 1, 1, 2}) == 2);
    CHECK(merged(may_fragment, {0, 2, 3, 4}) == 2);
    CHECK(merged(may_fragment, {0, 0, 0, 0}) == (may_fragment ? 4u : 1u));
  }
  CHECK(merged(false, {0, 0, 1, 2}) == 2);
  CHECK(merged(false, {0, 1, 0, 9}) == 3);
}

/// What is wrong in the first one is not mended by merging, nor in any other; what is unfinished is not looked at.
void looks_at_checksums() {
  for (const size_t wrong : {0, 1, 3}) {
    const Spec spec = stream();
    auto frames = model::segments_of(spec, kSize);
    frames[wrong][spec.header_bytes() + 7] ^= 0x40;
    Arrivals arrivals;
    const auto listed = arrivals.arrive(datagrams_of(frames));
    CHECK(listed.size() == (wrong == 1 ? 3u : 2u) && cut(arrivals, listed) == frames);
    for (const Listed& one : listed) CHECK(one.has_vnet == (one.frame.size() > spec.header_bytes() + kSize));
  }
  const Spec spec = stream();
  const auto frames = model::segments_of(spec, kSize);
  for (uint32_t mask = 0; mask < 16; mask++) {
    std::vector<Bytes> some;
    for (size_t k = 0; k < 4; k++) {
      const model::Part part{k * kSize, (k + 1) * kSize, static_cast<uint32_t>(spec.sequence + k * kSize), static_cast<uint16_t>(spec.id + k), 0x10, (mask >> k & 1) != 0};
      some.push_back(model::frame_of(spec, part));
    }
    Arrivals arrivals;
    const auto listed = arrivals.arrive(datagrams_of(some));
    CHECK(listed.size() == 1 && cut(arrivals, listed) == frames);
  }
}

/// Eight streams that alternate merge as well as one; so does one among other frames. A ninth ends the oldest.
void interleaves() {
  for (const size_t count : {2, 8, 9}) {
    Arrivals arrivals;
    std::vector<Datagram> datagrams;
    std::vector<std::vector<Bytes>> streams;
    for (size_t k = 0; k < count; k++) streams.push_back(model::segments_of(stream(k % 2 == 0, 4, static_cast<uint8_t>(k)), kSize));
    for (size_t segment = 0; segment < 4; segment++) {
      for (size_t k = 0; k < count; k++) datagrams.push_back(in_vxlan(streams[k][segment]));
      Spec other;
      other.tcp = false;
      datagrams.push_back(in_vxlan(model::frame_of(other, {0, 0, 0, 0, 0, false})));
    }
    const auto listed = arrivals.arrive(datagrams);
    CHECK(count == 9 ? listed.size() == 36 + 4 : listed.size() == count + 4);
    for (size_t k = 0; k < count; k++) {
      std::vector<Bytes> mine;
      for (const Bytes& frame : cut(arrivals, listed)) {
        if (std::find(streams[k].begin(), streams[k].end(), frame) != streams[k].end()) mine.push_back(frame);
      }
      CHECK(mine == streams[k]);
    }
  }
}

/// The room of a turn: what isn't listed comes in the next one, and no slot is lost.
void waits_for_room() {
  Arrivals arrivals;
  const Spec spec = stream(false, 60);
  const auto frames = model::segments_of(spec, kSize);
  std::vector<Datagram> datagrams;
  for (const Bytes& frame : frames) {
    datagrams.push_back(in_vxlan(frame));
    datagrams.push_back(in_vxlan(Bytes(400, 9)));
  }
  const auto listed = arrivals.arrive(datagrams, 5);
  std::vector<Bytes> mine;
  for (const Bytes& frame : cut(arrivals, listed)) {
    if (frame != Bytes(400, 9)) mine.push_back(frame);
  }
  CHECK(mine == frames && arrivals.worker.slots.block()[weft::kBlockSlotsUsed] <= 5);
  // Pieces outside the arena: 16,384 a turn, whosever they are.
  Spec many = stream();
  many.payload.resize(250);
  size_t turns = 0;
  for (uint32_t k = 0; k < 100; k++) {
    many.sequence += 1000;
    for (const Bytes& frame : model::segments_of(many, 1)) arrivals.feed.add(in_vxlan(frame));
  }
  size_t count = 0;
  for (; !arrivals.feed.is_empty(); turns++) {
    for (const Listed& one : arrivals.turn(512)) count += one.frame.size() - many.header_bytes();
  }
  CHECK(turns == 2 && count == 100 * 250);
}

}  // namespace

void run_coalesce_rules() {
  merges();
  merges_small();
  ends_full();
  stays_apart();
  never_merges();
  ends_with_size();
  ends_with_flags();
  numbers_count();
  looks_at_checksums();
  interleaves();
  waits_for_room();
}

// Every rule of native/finish.h by example: fields, shapes, truncations, lies, scratch.
#include "../../native/checksum.h"
#include "finish-rig.h"

namespace {

using namespace model;

Spec plain(bool v6, bool tcp, size_t payload) {
  Spec spec;
  spec.v6 = v6;
  spec.tcp = tcp;
  spec.id = 0xfffe;
  spec.sequence = 0xffffff00;
  spec.flags = 0x99;  // CWR, ACK, PSH, FIN
  Random random(payload);
  spec.payload = model::random_bytes(random, payload);
  return spec;
}

void checksum_equals_naive() {
  Random random(1);
  for (uint32_t bytes = 0; bytes < 600; bytes++) {
    for (uint32_t shift = 0; shift < 3; shift++) {
      Bytes area = model::random_bytes(random, bytes + shift);
      if (bytes % 5 == 0) std::fill(area.begin(), area.end(), 0xff);
      const Bytes summed(area.begin() + shift, area.end());
      const uint16_t sum = weft::fold(weft::sum_bytes(area.data() + shift, bytes, 0));
      CHECK(weft::wire16(sum) == model::naive_sum(summed));
    }
  }
  const Bytes large(1 << 20, 0xff);
  CHECK(weft::fold(weft::sum_bytes(large.data(), 1 << 20, 0)) == 0xffff);
  const uint8_t rfc1071[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};  // the example of its section 3
  CHECK(weft::wire16(weft::fold(weft::sum_bytes(rfc1071, 8, 0))) == 0xddf2);
}

void counts() {
  CHECK(weft::segment_count(54, 54, 1000) == 1);
  CHECK(weft::segment_count(55, 54, 1000) == 1);
  CHECK(weft::segment_count(1054, 54, 1000) == 1);
  CHECK(weft::segment_count(1055, 54, 1000) == 2);
  CHECK(weft::segment_count(65535, 54, 1) == 65481);
  CHECK(weft::segment_count(0xffffffff, 0, 1) == 0xffffffff);
  CHECK(weft::segment_count(53, 54, 1000) == 0);
  CHECK(weft::segment_count(1000, 54, 0) == 0);
}

// A DNS-sized datagram between addresses of the documentation ranges, summed by hand.
void golden_checksum() {
  Bytes frame{0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2, 0x08, 0};
  model::append(frame, {0x45, 0, 0, 29, 0, 1, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2});
  model::append(frame, {0x04, 0, 0, 53, 0, 9, 0, 0, 0x61});
  frame[40] = 0x84, frame[41] = 0x1e;  // 192.0.2.1 + 192.0.2.2 + 17 + 9
  Pieces pieces(frame, 42, 1);
  pieces.frame.needs_checksum = true;
  pieces.frame.checksum_start = 34;
  pieces.frame.checksum_offset = 6;
  Rig rig;
  CHECK(rig.finish(pieces.frame) == 1);
  CHECK(rig.frame(0)[40] == 0x16 && rig.frame(0)[41] == 0xa3);  // ~(841e + 0400 + 0035 + 0009 + 6100)
}

void checksum_only() {
  for (int kind = 0; kind < 4; kind++) {
    const Spec spec = plain((kind & 1) != 0, (kind & 2) != 0, 777);
    const Bytes whole = model::super_of(spec);
    Pieces pieces(whole, spec.header_bytes(), 100);
    describe(pieces.frame, spec, 0);
    pieces.frame.gso_type = weft::kGsoNone;
    Rig rig;
    check_segments(rig, rig.finish(pieces.frame), model::segments_of(spec, 65535));
    pieces.frame.needs_checksum = false;  // then it is a copy
    check_segments(rig, rig.finish(pieces.frame), {whole});
  }
}

// A sum of 0 becomes 0xffff in UDP's field and stays in TCP's.
void zero_checksum() {
  for (const bool tcp : {false, true}) {
    for (const uint8_t type : {weft::kGsoNone, tcp ? weft::kGsoTcpV4 : weft::kGsoUdpL4}) {
      Spec spec = plain(false, tcp, 4);
      spec.payload = {0, 0, 0, 0};
      const Bytes first = model::segments_of(spec, 65535)[0];
      const size_t field = spec.l4_at() + spec.checksum_offset();
      spec.payload = {first[field], first[field + 1], 0, 0};  // what is missing to 0xffff
      Pieces pieces(model::super_of(spec), spec.header_bytes(), 2);
      describe(pieces.frame, spec, 1000);
      pieces.frame.gso_type = type;
      Rig rig;
      CHECK(rig.finish(pieces.frame) == 1);
      CHECK(rig.frame(0)[field] == (tcp ? 0 : 0xff) && rig.frame(0)[field + 1] == (tcp ? 0 : 0xff));
    }
  }
}

void field_rules() {
  for (const bool v6 : {false, true}) {
    Spec spec = plain(v6, true, 2500);
    Pieces pieces(model::super_of(spec), spec.header_bytes() + 10, 333);
    describe(pieces.frame, spec, 1000);
    pieces.frame.gso_type |= weft::kGsoEcn;
    Rig rig;
    CHECK(rig.finish(pieces.frame) == 3);
    const uint32_t flags = spec.l4_at() + 13;
    CHECK(rig.frame(0)[flags] == 0x90 && rig.frame(1)[flags] == 0x10 && rig.frame(2)[flags] == 0x19);
    CHECK(weft::read32(rig.out[0].at + spec.l4_at() + 4) == 0xffffff00);
    CHECK(weft::read32(rig.out[1].at + spec.l4_at() + 4) == 0x000002e8);  // wraps
    CHECK(rig.out[0].bytes == spec.header_bytes() + 1000 && rig.out[2].bytes == spec.header_bytes() + 500);
    if (v6) {
      CHECK(weft::read16(rig.out[2].at + 18) == 520);
    } else {
      CHECK(weft::read16(rig.out[1].at + 18) == 0xffff && weft::read16(rig.out[2].at + 18) == 0);  // wraps
      CHECK(weft::read16(rig.out[2].at + 16) == 540);
    }
  }
}

void all_shapes() {
  Random random(2);
  for (int i = 0; i < 400; i++) {
    const Spec spec = model::random_spec(random, 5000);
    const uint16_t gso_size = static_cast<uint16_t>(1 + model::below(random, 2000) + (i % 4 == 0 ? 0 : 50));
    const Bytes whole = model::super_of(spec);
    const size_t head = spec.header_bytes() + model::below(random, static_cast<uint32_t>(spec.payload.size()) + 1);
    const auto expected = model::segments_of(spec, gso_size);
    if (expected.size() > kOutMax) continue;
    for (const size_t piece : {size_t{1}, size_t{7}, size_t{1000}, whole.size()}) {
      Pieces pieces(whole, head, piece);
      describe(pieces.frame, spec, gso_size);
      Rig rig;
      check_segments(rig, rig.finish(pieces.frame), expected);
      pieces.frame.needs_checksum = false;  // a super-frame whose sender named no start is cut as well
      check_segments(rig, rig.finish(pieces.frame), expected);
    }
  }
}

void largest() {
  for (const bool v6 : {false, true}) {
    Spec spec = plain(v6, true, 0);
    spec.tags = {0x88a8, 0x8100};
    spec.payload = Bytes(65535 - (v6 ? 20 : 40), 0xff);
    const Bytes whole = model::super_of(spec);
    CHECK(whole.size() <= weft::kSuperFrameMax);
    Pieces pieces(whole, spec.header_bytes(), 4096);
    describe(pieces.frame, spec, 536);
    Rig rig(weft::kScratchMin);
    check_segments(rig, rig.finish(pieces.frame), model::segments_of(spec, 536));
    describe(pieces.frame, spec, 65535);
    check_segments(rig, rig.finish(pieces.frame), model::segments_of(spec, 65535));
  }
}

// One byte more than an IPv4 length can say, with the length left to us; one more than any super-frame has.
void too_large() {
  Spec spec = plain(false, true, 0);
  for (const size_t over : {0, 1}) {
    spec.payload = Bytes(65535 - 40 + over, 1);
    Bytes whole = model::super_of(spec);
    whole[16] = whole[17] = 0;
    Pieces pieces(whole, spec.header_bytes(), 4096);
    describe(pieces.frame, spec, 1000);
    Rig rig;
    CHECK(rig.finish(pieces.frame) == (over == 0 ? 66 : kBadOffload));
    Pieces plain_copy(Bytes(weft::kSuperFrameMax + over, 1), 192, 4096);
    CHECK(rig.finish(plain_copy.frame) == (over == 0 ? 1 : kBadOffload));
  }
}

// Every head too short for the headers, and every frame cut off, is refused and nothing is written.
void truncations() {
  Random random(3);
  for (int i = 0; i < 60; i++) {
    const Spec spec = model::random_spec(random, 300);
    const Bytes whole = model::super_of(spec);
    for (size_t head = 0; head < spec.header_bytes(); head++) {
      Pieces pieces(whole, head, 64);
      describe(pieces.frame, spec, 100);
      Rig rig(8192);
      CHECK(rig.finish(pieces.frame) == kBadOffload);
      CHECK(rig.finisher.used() == 0);
    }
    for (size_t length = 0; length < whole.size(); length++) {
      Pieces pieces(Bytes(whole.begin(), whole.begin() + static_cast<long>(length)), std::min<size_t>(length, 192), 64);
      describe(pieces.frame, spec, 100);
      Rig rig(8192);
      CHECK(rig.finish(pieces.frame) == kBadOffload);
      CHECK(rig.finisher.used() == 0);
    }
  }
}

template <typename Change>
void refused(const Spec& spec, Change change) {
  Bytes whole = model::super_of(spec);
  Unfinished wanted{};
  describe(wanted, spec, 100);
  wanted.length = static_cast<uint32_t>(whole.size());
  change(wanted, whole);
  Pieces pieces(whole, spec.header_bytes(), 50);
  wanted.head = pieces.frame.head;
  wanted.head_bytes = pieces.frame.head_bytes;
  wanted.tail = pieces.frame.tail;
  wanted.tail_count = wanted.tail_count != 0 ? wanted.tail_count : pieces.frame.tail_count;
  Rig rig;
  CHECK(rig.finish(wanted) == kBadOffload);
  CHECK(rig.finisher.used() == 0);
}

void lies_in_numbers() {
  const Spec spec = plain(false, true, 400);
  refused(spec, [](Unfinished& frame, Bytes&) { frame.gso_size = 0; });
  for (const int type : {2, 3, 4, 5, 6, 0x20, 0x21, 0x41, 0x7f, 0x80, 0x83, 0x84, 0x85, 0xff}) {
    refused(spec, [type](Unfinished& frame, Bytes&) { frame.gso_type = static_cast<uint8_t>(type); });
  }
  refused(spec, [](Unfinished& frame, Bytes&) { frame.length++; });
  refused(spec, [](Unfinished& frame, Bytes&) { frame.length--; });
  refused(spec, [](Unfinished& frame, Bytes&) { frame.length = 10; });
  refused(spec, [](Unfinished& frame, Bytes&) { frame.tail_count = -1; });
  refused(spec, [](Unfinished& frame, Bytes&) { frame.checksum_start++; });
  refused(spec, [](Unfinished& frame, Bytes&) { frame.checksum_offset = 6; });
  const Spec udp = plain(false, false, 400);
  refused(udp, [](Unfinished& frame, Bytes&) { frame.gso_type = weft::kGsoUdp; });
  refused(udp, [](Unfinished& frame, Bytes&) { frame.gso_type = weft::kGsoTcpV4; });
  refused(udp, [](Unfinished& frame, Bytes&) { frame.gso_type = weft::kGsoUdpL4 | weft::kGsoEcn; });
  // Without segments: the field must be in the head, and may not reach into addresses and tags.
  const auto unsegmented = [](uint32_t start, uint32_t offset) {
    return [start, offset](Unfinished& frame, Bytes&) {
      frame.gso_type = weft::kGsoNone;
      frame.checksum_start = static_cast<uint16_t>(start);
      frame.checksum_offset = static_cast<uint16_t>(offset);
    };
  };
  refused(spec, unsegmented(0, 6));
  refused(spec, unsegmented(13, 6));
  refused(spec, unsegmented(34, 19));
  refused(spec, unsegmented(0xffff, 0xffff));
  Spec tagged = spec;
  tagged.tags = {0x88a8, 0x8100};
  refused(tagged, unsegmented(14, 0));
  refused(tagged, unsegmented(21, 0));
}

void lies_in_headers() {
  const Spec v4 = plain(false, true, 400);
  const auto set = [](size_t at, int value) {
    return [at, value](Unfinished&, Bytes& bytes) { bytes[at] = static_cast<uint8_t>(value); };
  };
  refused(v4, set(12, 0x86));                                          // another EtherType
  refused(v4, set(14, 0x65)), refused(v4, set(14, 0x44)), refused(v4, set(14, 0x4f));  // version, header length
  refused(v4, set(17, 0));                                             // total length
  refused(v4, set(20, 0x20)), refused(v4, set(21, 1));                 // a fragment
  refused(v4, set(23, 17));                                            // protocol
  refused(v4, set(34 + 12, 0x40)), refused(v4, set(34 + 12, 0xf0));    // TCP header length
  Spec routed = v4;
  routed.ip_options = {1, 131, 3, 4};
  refused(routed, set(34, 1));
  routed.ip_options = {7, 3, 4, 137};
  refused(routed, set(34, 7));
  Spec v6 = plain(true, true, 400);
  refused(v6, set(14, 0x40)), refused(v6, set(18, 9)), refused(v6, set(20, 17)), refused(v6, set(20, 44));
  refused(v6, set(20, 0));  // TCP read as a hop-by-hop header
  model::add_extension(v6, 43, 2);
  refused(v6, set(57, 1));    // a route with a stop left
  refused(v6, set(55, 255));  // a header beyond the head
  Spec tagged = v4;
  tagged.tags = {0x8100, 0x8100, 0x8100};
  refused(tagged, [](Unfinished&, Bytes&) {});
}

void tolerated() {
  Spec v6 = plain(true, true, 400);
  model::add_extension(v6, 0, 0);
  model::add_extension(v6, 43, 2);
  model::add_extension(v6, 60, 1);
  Pieces pieces(model::super_of(v6), v6.header_bytes(), 50);
  describe(pieces.frame, v6, 100);
  Rig rig;
  check_segments(rig, rig.finish(pieces.frame), model::segments_of(v6, 100));
  Spec v4 = plain(false, true, 400);
  for (const Bytes& options : {Bytes{7, 1, 131, 0}, Bytes{7, 0, 131, 0}, Bytes{1, 1, 1, 7}, Bytes{0, 131, 3, 4}}) {
    v4.ip_options = options;  // broken or ended before what would look like a route
    Pieces odd(model::super_of(v4), v4.header_bytes(), 50);
    describe(odd.frame, v4, 100);
    check_segments(rig, rig.finish(odd.frame), model::segments_of(v4, 100));
  }
  v4.ip_options.clear();
  Bytes bytes = model::super_of(v4);
  bytes[16] = bytes[17] = 0;  // a total length left to the segmenter
  Pieces zero(bytes, v4.header_bytes(), 50);
  describe(zero.frame, v4, 100);
  check_segments(rig, rig.finish(zero.frame), model::segments_of(v4, 100));
}

void scratch_is_all_or_none() {
  const Spec spec = plain(false, true, 1000);
  Pieces pieces(model::super_of(spec), spec.header_bytes(), 100);
  describe(pieces.frame, spec, 100);
  const size_t need = 10 * (kRoom + spec.header_bytes()) + 1000;
  Rig exact(need);
  check_segments(exact, exact.finish(pieces.frame, 10), model::segments_of(spec, 100));
  CHECK(exact.finisher.used() == need && exact.finish(pieces.frame) == kNoScratch && exact.finisher.used() == need);
  exact.finisher.reset();
  CHECK(exact.finish(pieces.frame, 9) == kNoScratch && exact.finish(pieces.frame, 0) == kNoScratch);
  CHECK(exact.finish(pieces.frame, -1) == kNoScratch && exact.finisher.used() == 0);
  Rig small(need - 1);
  CHECK(small.finish(pieces.frame) == kNoScratch && small.finisher.used() == 0);
  for (size_t i = 0; i < need - 1; i++) CHECK(small.scratch[i] == 0xa5);
  pieces.frame.gso_type = weft::kGsoNone;
  CHECK(small.finish(pieces.frame, 0) == kNoScratch);
  CHECK(small.finish(pieces.frame, 1) == 1 && small.finish(pieces.frame, 1) == kNoScratch);
  CHECK(small.finisher.writable(small.out[0]) == small.scratch.get() + kRoom);
}

// Two frames finished in one batch don't touch each other.
void batches() {
  const Spec first = plain(false, true, 3000), second = plain(true, false, 3000);
  Rig rig;
  Pieces a(model::super_of(first), first.header_bytes(), 500), b(model::super_of(second), second.header_bytes(), 500);
  describe(a.frame, first, 900);
  describe(b.frame, second, 900);
  CHECK(rig.finish(a.frame) == 4);
  const std::vector<Range> kept(rig.out.begin(), rig.out.begin() + 4);
  check_segments(rig, rig.finish(b.frame), model::segments_of(second, 900));
  std::copy(kept.begin(), kept.end(), rig.out.begin());
  check_segments(rig, 4, model::segments_of(first, 900));
}

}  // namespace

void run_rules() {
  checksum_equals_naive();
  counts();
  golden_checksum();
  checksum_only();
  zero_checksum();
  field_rules();
  all_shapes();
  largest();
  too_large();
  truncations();
  lies_in_numbers();
  lies_in_headers();
  tolerated();
  scratch_is_all_or_none();
  batches();
}

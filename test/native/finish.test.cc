// Tests of native/finish.h without Node. Arguments: `rules` (default), `fuzz SEED CASES`, `kernel SEED CASES`.
// Exit code 0 passed, 1 failed, 77 skipped with the reason on stdout. Built with ASan and UBSan by finish.test.ts.
#include <cstring>
#include <string_view>

#include "finish-rig.h"

void run_rules();
int run_kernel(uint64_t seed, uint32_t cases);

namespace {

using namespace model;

void mutate(Random& random, Bytes& bytes, Unfinished& frame) {
  for (uint32_t i = below(random, 4); i > 0; i--) {
    const uint32_t limit = std::min<uint32_t>(static_cast<uint32_t>(bytes.size()), 130);
    bytes[below(random, limit)] = static_cast<uint8_t>(random());
  }
  switch (below(random, 16)) {
    case 0: frame.gso_type = static_cast<uint8_t>(random()); break;
    case 1: frame.gso_size = static_cast<uint16_t>(random()); break;
    case 2: frame.checksum_start = static_cast<uint16_t>(random() % (random() % 2 == 0 ? 300 : 65536)); break;
    case 3: frame.checksum_offset = static_cast<uint16_t>(random() % (random() % 2 == 0 ? 60 : 65536)); break;
    case 4: frame.length += static_cast<uint32_t>(random() % 7) - 3; break;
    case 5: frame.length = static_cast<uint32_t>(random()); break;
    case 6: bytes.resize(1 + below(random, static_cast<uint32_t>(bytes.size()))); break;
    case 7: frame.gso_type = weft::kGsoNone; break;
    case 8: frame.needs_checksum = false; break;
    case 9: frame.gso_size = static_cast<uint16_t>(1 + below(random, 3)); break;
    default: break;
  }
}

// Whatever was accepted as a super-frame has the payload of the input, piece by piece in order.
void check_payload(const Rig& rig, int32_t count, const Bytes& input, uint32_t gso_size) {
  size_t total = 0;
  for (int32_t i = 0; i < count; i++) total += rig.out[static_cast<size_t>(i)].bytes;
  const size_t header = count == 1 ? 0 : (total - input.size()) / static_cast<size_t>(count - 1);
  size_t at = header;
  for (int32_t i = 0; i < count && count > 1; i++) {
    const Range& range = rig.out[static_cast<size_t>(i)];
    const size_t piece = range.bytes - header;
    CHECK(i + 1 == count ? piece <= gso_size && piece > 0 : piece == gso_size);
    CHECK(std::memcmp(range.at + header, input.data() + at, piece) == 0);
    at += piece;
  }
  CHECK(count == 1 ? total == input.size() : at == input.size());
}

// With its payload left where it is a super-frame is cut into the same bytes, or refused for the same reason.
void check_in_place(Rig& copied, Rig& in_place, const Bytes& bytes, Unfinished frame) {
  const auto memory = std::make_unique<uint8_t[]>(bytes.size());
  std::memcpy(memory.get(), bytes.data(), bytes.size());
  const Range tail{memory.get() + frame.head_bytes, static_cast<uint32_t>(bytes.size() - frame.head_bytes)};
  frame.head = memory.get();
  frame.tail = &tail;
  frame.tail_count = 1;
  copied.finisher.reset();
  in_place.finisher.reset();
  const int32_t count = copied.finish(frame);
  const int32_t got = in_place.finisher.cut_in_place(frame, kRoom, in_place.out.data(), kOutMax);
  if (frame.gso_type == weft::kGsoNone) CHECK(got == kBadOffload);
  if (frame.gso_type == weft::kGsoNone || count == kNoScratch || got == kNoScratch) return;
  CHECK(got == count);
  for (int32_t i = 0; i < got; i++) {
    const Range& headers = in_place.out[static_cast<size_t>(2 * i)];
    const Range& payload = in_place.out[static_cast<size_t>(2 * i + 1)];
    Bytes segment(headers.at, headers.at + headers.bytes);
    segment.insert(segment.end(), payload.at, payload.at + payload.bytes);
    CHECK(segment == copied.frame(i));
    CHECK(payload.at >= memory.get() && payload.at + payload.bytes <= memory.get() + bytes.size());
    for (uint32_t k = 1; k <= kRoom; k++) CHECK(headers.at[-static_cast<long>(k)] == 0);
  }
}

int run_fuzz(uint64_t seed, uint32_t cases) {
  Random random(seed);
  Rig rig(64 * 1024), copied(256 * 1024), in_place(256 * 1024);
  uint32_t good = 0, bad = 0, full = 0;
  for (uint32_t i = 0; i < cases; i++) {
    const Spec spec = random_spec(random, i % 64 == 0 ? 20000 : 600);
    Bytes bytes = super_of(spec);
    Unfinished frame{};
    describe(frame, spec, static_cast<uint16_t>(1 + below(random, 1500)));
    const size_t before = bytes.size();
    frame.length = static_cast<uint32_t>(before);
    mutate(random, bytes, frame);
    if (frame.length == before) frame.length = static_cast<uint32_t>(bytes.size());
    const size_t head = std::min<size_t>(bytes.size(), below(random, 8) == 0 ? random() % 256 : 256);
    Pieces pieces(bytes, head, 1 + below(random, 700));
    frame.head = pieces.frame.head;
    frame.head_bytes = pieces.frame.head_bytes;
    frame.tail = pieces.frame.tail;
    frame.tail_count = pieces.frame.tail_count;
    if (i % 4 == 0) check_in_place(copied, in_place, bytes, frame);
    if (below(random, 3) != 0) rig.finisher.reset();
    const size_t used = rig.finisher.used();
    const int32_t count = rig.finish(frame);
    CHECK(count > 0 || count == kBadOffload || count == kNoScratch);
    if (count > 0) good++, check_payload(rig, count, bytes, frame.gso_size);
    else CHECK(rig.finisher.used() == used);
    bad += count == kBadOffload;
    full += count == kNoScratch;
  }
  std::printf("fuzz: %u cases, %u finished, %u bad-offload, %u no-scratch\n", cases, good, bad, full);
  CHECK(cases < 1000 || (good > cases / 10 && bad > cases / 10 && full > 0));
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  const std::string_view mode = count > 1 ? arguments[1] : "rules";
  const uint64_t seed = count > 2 ? std::strtoull(arguments[2], nullptr, 10) : 1;
  const uint32_t cases = count > 3 ? static_cast<uint32_t>(std::strtoul(arguments[3], nullptr, 10)) : 1000;
  if (mode == "fuzz") return run_fuzz(seed, cases);
  if (mode == "kernel") return run_kernel(seed, cases);
  run_rules();
  return 0;
}

// What guest-transmit.cc owes a guest that receives: virtio 1.2, sections 2.7 and 5.1.6.3 to 5.1.6.4.
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <thread>

#include "../../native/spin.h"
#include "finish-model.h"
#include "guest-driver.h"
#include "guest-rules.h"

namespace {

using namespace rig;
using namespace weft;

constexpr uint32_t kHeader = kVnetBytes;
constexpr uint64_t kPlain = uint64_t{1} << virtio::kFeatureVersion1;

struct Rig {
  Guest guest;
  Worker worker{make_arena(1)};
  std::unique_ptr<Carrier> carrier;
  explicit Rig(const Options& options = {}) : guest(options), carrier(guest.carrier()) {}
  Sent send(const Bytes& frame) { return worker.transmit(*carrier, {worker.make(frame)}); }
};

Options with(uint64_t features, uint32_t size = 64) {
  Options options;
  options.features = features;
  options.size = size;
  return options;
}

model::Spec super_frame(size_t payload);
int32_t make_super(Worker& worker, const model::Spec& spec, uint16_t gso, int32_t number = 0);

uint16_t buffers_of(const Bytes& got) { return static_cast<uint16_t>(got[10] | got[11] << 8); }
Bytes part(const Bytes& bytes, size_t from, size_t count) {
  return Bytes(bytes.begin() + static_cast<std::ptrdiff_t>(from), bytes.begin() + static_cast<std::ptrdiff_t>(from + count));
}

/// One frame into one chain: header, frame, and nothing behind it; used says exactly how much.
void check_one(const std::vector<uint32_t>& pieces, size_t indirect, size_t length, uint64_t features, size_t header) {
  Rig rig(with(features));
  const auto buffer = rig.guest.offer(pieces, indirect);
  const Bytes frame = pattern(length);
  CHECK(rig.send(frame).sent == 1);
  const auto used = rig.guest.in().collect();
  CHECK(used.size() == 1 && used[0].bytes == header + length);
  const Bytes got = rig.guest.read(buffer);
  CHECK(part(got, header, length) == frame);
  for (size_t k = 0; k < 10; k++) CHECK(got[k] == 0);
  if (header == kVnetBytes) CHECK(buffers_of(got) == 1);
  for (size_t k = header + length; k < got.size(); k++) CHECK(got[k] == 0xa5);
}

void single_buffers() {
  const uint64_t mergeable = kPlain | bit(virtio::kFeatureMergeable);
  for (const size_t length : {14, 60, 63, 64, 65, 256, 257, 1514}) {
    const uint32_t exact = static_cast<uint32_t>(length);
    for (const uint64_t features : {kPlain, mergeable, bit(virtio::kFeatureMergeable), uint64_t{0}}) {
      const uint32_t header = features == 0 ? 10 : kHeader;
      check_one({exact + header}, 0, length, features, header);
      check_one({1600}, 0, length, features, header);
      check_one({header, 1600}, 0, length, features, header);
      check_one({header, exact}, 2, length, features, header);
      check_one({header, 5, 1600}, 2, length, features, header);
      check_one({header + 3, 1, 1, 0, 2000}, 0, length, features, header);
      check_one({1, 1, 1, 1, 40, 2000, 3}, 7, length, features, header);
    }
  }
}

/// Whatever stands where a header goes, list after list, the guest reads the right one.
void headers_that_stand() {
  for (const size_t header : {size_t{10}, size_t{kVnetBytes}}) {
    Rig rig(with(header == 10 ? 0 : kPlain));
    for (int round = 0; round < 300; round++) {
      const auto buffer = rig.guest.offer({200});
      // For a while mostly the right ones, then mostly others, in one byte.
      const bool is_right = round % 7 == 0 ? round % 2 == 0 : round / 100 != 1;
      for (size_t k = 0; k < header; k++) *rig.guest.at(buffer[0].address + k) = k == 10 ? 1 : 0;
      if (!is_right) *rig.guest.at(buffer[0].address + static_cast<size_t>(round) % header) = 3;
      CHECK(rig.send(pattern(60)).sent == 1);
      CHECK(rig.guest.in().collect().size() == 1);
      const Bytes got = rig.guest.read(buffer);
      for (size_t k = 0; k < header; k++) CHECK(got[k] == (k == 10 ? 1 : 0));
      CHECK(part(got, header, 60) == pattern(60));
    }
  }
}

/// A frame with something to say into a buffer where the header of one without stands, and the other way round.
void headers_that_stood_for_others() {
  for (const bool says_first : {false, true}) {
    Rig rig(with(kPlain | bit(virtio::kFeatureMergeable)));
    for (const bool says : {says_first, !says_first}) {
      rig.guest.skip_to(kSecondAt);
      const auto buffer = rig.guest.offer({4000});
      if (says == says_first) {
        for (size_t k = 0; k < kHeader; k++) *rig.guest.at(buffer[0].address + k) = k == 10 ? 1 : 0;
      }
      const int32_t entry = says ? make_super(rig.worker, super_frame(3000), 1448) : rig.worker.make(pattern(60));
      CHECK(rig.worker.transmit(*rig.carrier, {entry}).sent == 1);
      CHECK(rig.guest.in().collect().size() == 1);
      const Bytes got = rig.guest.read(buffer);
      CHECK(buffers_of(got) == 1);
      CHECK((got[1] != 0) == says && (got[4] != 0) == says);
    }
  }
}

/// A header that stands already isn't written: here it can't be.
void headers_left_alone() {
  constexpr uint64_t kPage = 4096;
  Rig rig;
  rig.guest.skip_to(kSecondAt + 4 * kPage - kHeader);
  const auto buffer = rig.guest.offer({200});
  CHECK(buffer[0].address % kPage == kPage - kHeader);
  for (size_t k = 0; k < kHeader; k++) *rig.guest.at(buffer[0].address + k) = k == 10 ? 1 : 0;
  uint32_t bytes = kHeader;
  uint8_t* const page = rig.guest.device->memory.find(buffer[0].address, &bytes) - (kPage - kHeader);
  CHECK(::mprotect(page, kPage, PROT_READ) == 0);
  CHECK(rig.send(pattern(60)).sent == 1);
  CHECK(part(rig.guest.read(buffer), kHeader, 60) == pattern(60));
  ::mprotect(page, kPage, PROT_READ | PROT_WRITE);
}

/// Frames that still lie in a guest's memory: from guest to guest in one copy.
void from_guest_to_guest() {
  for (const bool logs : {false, true}) {
    Rig to(with(kPlain | bit(virtio::kFeatureMergeable)));
    Guest from;
    const auto source = from.carrier();
    if (logs) to.guest.device->log.open(to.guest.file, 512, 0);
    std::vector<std::vector<Piece>> buffers;
    for (int k = 0; k < 12; k++) buffers.push_back(to.guest.offer({1700}));
    for (size_t k = 0; k < 12; k++) from.send(with_header(pattern(40 + 130 * k)), {kHeader + 3, 5, 200, 1});
    const auto listed = to.worker.receive(*source);
    CHECK(to.worker.transmit(*to.carrier, listed).sent == 12);
    CHECK(from.out().collect().empty());
    source->release();
    CHECK(!source->arm());
    CHECK(from.out().collect().size() == 12);
    const auto used = to.guest.in().collect();
    CHECK(used.size() == 12);
    for (size_t k = 0; k < 12; k++) CHECK(part(to.guest.read(buffers[k]), kHeader, 40 + 130 * k) == pattern(40 + 130 * k));
  }
}

/// A frame over as many buffers as it takes, and the number of them in the first.
void mergeable_buffers() {
  for (const size_t length : {100, 1514, 9014, 30000, 65557}) {
    Rig rig(with(kPlain | bit(virtio::kFeatureMergeable), 256));
    std::vector<Piece> all;
    std::vector<uint32_t> sizes;
    for (int k = 0; k < 60; k++) {
      const std::vector<uint32_t> shape = k % 3 == 1 ? std::vector<uint32_t>{700, 0, 900} : std::vector<uint32_t>{1500};
      const auto pieces = rig.guest.offer(shape, k % 5 == 0 ? shape.size() : 0);
      all.insert(all.end(), pieces.begin(), pieces.end());
      sizes.push_back(k % 3 == 1 ? 1600 : 1500);
    }
    const Bytes frame = pattern(length);
    CHECK(rig.send(frame).sent == 1);
    const auto used = rig.guest.in().collect();
    const Bytes got = rig.guest.read(all);
    CHECK(buffers_of(got) == used.size());
    CHECK(part(got, kHeader, length) == frame);
    size_t sum = 0;
    for (size_t k = 0; k < used.size(); k++) {
      CHECK(k + 1 == used.size() ? used[k].bytes <= sizes[k] : used[k].bytes == sizes[k]);
      sum += used[k].bytes;
    }
    CHECK(sum == length + kHeader);
  }
}

/// Too few buffers: the frame is refused as egress-full, and the ring is as it was. The next frame finds all of them.
void too_few_buffers() {
  Rig rig;
  rig.guest.offer({1000});
  rig.guest.offer({1000});
  const Bytes small = pattern(900);
  const Sent sent = rig.worker.transmit(*rig.carrier, {rig.worker.make(pattern(2500), 0), rig.worker.make(small, 1)});
  CHECK(sent.sent == 1 && sent.refused == 1 && sent.reason == kDropEgressFull);
  CHECK(rig.guest.in().collect().size() == 1);
  CHECK(rig.send(small).sent == 1);
  CHECK(rig.send(small).reason == kDropEgressFull);
  CHECK(rig.guest.device->broken.load() == nullptr);
}

/// A buffer that can't be merged with the next and is too small for a frame stays for one that fits.
void not_mergeable() {
  Rig rig(with(kPlain));
  rig.guest.offer({500});
  rig.guest.offer({2000});
  CHECK(rig.send(pattern(1514)).reason == kDropEgressRefused);
  CHECK(rig.guest.in().collect().empty());
  CHECK(rig.send(pattern(488)).sent == 1);
  CHECK(rig.send(pattern(1514)).sent == 1);
}

/// Chains of more pieces than a frame may have are refused frame by frame where others stand before them; they are no broken promise.
void many_pieces() {
  Rig rig(with(kPlain | bit(virtio::kFeatureMergeable), 1024));
  for (int k = 0; k < 260; k++) rig.guest.offer({30, 30, 40});
  CHECK(rig.send(pattern(20000)).reason == kDropEgressRefused);
  CHECK(rig.guest.device->broken.load() == nullptr);
  CHECK(rig.guest.in().collect().empty());
  CHECK(rig.send(pattern(1514)).sent == 1);
  CHECK(rig.guest.in().collect().size() == 16);
}

/// What a guest must not offer for receiving: nothing can follow it, since it would stand there for ever.
void check_broken(void (*spoil)(Guest& guest, virtio::Desc& desc)) {
  Rig rig;
  rig.guest.offer({kHeader, 1600});
  spoil(rig.guest, rig.guest.in().desc[0]);
  CHECK(rig.send(pattern(60)).reason == kDropEgressDown);
  CHECK(rig.guest.device->broken.load() != nullptr);
  CHECK(rig.guest.in().collect().empty());
  CHECK(rig.worker.receive(*rig.carrier).empty());
}

void broken_buffers() {
  using virtio::Desc;
  check_broken([](Guest&, Desc& desc) { desc.address = 0; });
  check_broken([](Guest&, Desc& desc) { desc.address = ~uint64_t{5}; });
  check_broken([](Guest&, Desc& desc) { desc.bytes = ~uint32_t{0}; });
  check_broken([](Guest&, Desc& desc) { desc.flags = virtio::kNext; });
  check_broken([](Guest&, Desc& desc) { desc.next = 0; });
  check_broken([](Guest&, Desc& desc) { desc.next = 64; });
  check_broken([](Guest&, Desc& desc) { desc.bytes = 5, desc.flags = virtio::kWrite; });
  check_broken([](Guest&, Desc& desc) { desc.bytes = 0, desc.flags = virtio::kWrite; });
  check_broken([](Guest& guest, Desc&) { guest.in().avail->ring[0] = 64; });
  check_broken([](Guest& guest, Desc&) { guest.in().avail->index = 65; });
  check_broken([](Guest& guest, Desc&) { guest.in().avail->index = 0xffff; });
}

/// A buffer that begins in one region and ends in the next.
void across_regions() {
  for (const uint32_t before : {uint32_t{1}, kHeader - 1, kHeader, uint32_t{600}}) {
    Rig rig;
    rig.guest.skip_to(kSecondAt - before);
    const auto buffer = rig.guest.offer({1600});
    const Bytes frame = pattern(1514);
    CHECK(rig.send(frame).sent == 1);
    CHECK(part(rig.guest.read(buffer), kHeader, 1514) == frame);
  }
}

model::Spec super_frame(size_t payload) {
  model::Spec spec;
  spec.payload = pattern(payload, 5);
  return spec;
}

int32_t make_super(Worker& worker, const model::Spec& spec, uint16_t gso, int32_t number) {
  const int32_t slot = worker.make(model::super_of(spec), number);
  int32_t* const facts = worker.facts(slot);
  facts[kFactGso] = spec.gso_type() | gso << 16;
  facts[kFactChecksum] = static_cast<int32_t>(spec.l4_at() | static_cast<uint32_t>(spec.checksum_offset()) << 16);
  facts[kFactFlags] = kFlagNeedsChecksum;
  facts[kFactSegments] = static_cast<int32_t>((spec.payload.size() + gso - 1) / gso);
  facts[kFactWireBytes] = static_cast<int32_t>(spec.header_bytes() + gso);
  return slot;
}

/// A guest that takes offloads gets a rebuilt header; one that doesn't, the segments as the model cuts them.
void super_frames() {
  const model::Spec spec = super_frame(5000);
  Rig rig;
  std::vector<Piece> all;
  for (int k = 0; k < 10; k++) {
    const auto pieces = rig.guest.offer({1526});
    all.insert(all.end(), pieces.begin(), pieces.end());
  }
  CHECK(rig.worker.transmit(*rig.carrier, {make_super(rig.worker, spec, 1448)}).sent == 1);
  const auto merged = rig.guest.in().collect();
  CHECK(merged.size() == 4);
  const Bytes got = rig.guest.read(all);
  const uint16_t headers = static_cast<uint16_t>(spec.header_bytes());
  const Bytes header = {1, kGsoTcpV4, static_cast<uint8_t>(headers), static_cast<uint8_t>(headers >> 8), 1448 & 255, 1448 >> 8,
                        static_cast<uint8_t>(spec.l4_at()), 0, 16, 0, 4, 0};
  CHECK(part(got, 0, kHeader) == header);
  CHECK(part(got, kHeader, 5000 + headers) == model::super_of(spec));

  CHECK(rig.worker.transmit(*rig.carrier, {make_super(rig.worker, spec, 1448) | kFinishChecksum | kFinishSegment}).sent == 1);
  const auto segments = model::segments_of(spec, 1448);
  const auto used = rig.guest.in().collect();
  CHECK(used.size() == segments.size() && segments.size() == 4);
  for (size_t k = 0; k < used.size(); k++) {
    const Bytes one = part(got.empty() ? got : rig.guest.read(all), (merged.size() + k) * 1526, used[k].bytes);
    CHECK(buffers_of(one) == 1 && one[0] == 0 && one[1] == 0);
    CHECK(part(one, kHeader, one.size() - kHeader) == segments[k]);
  }
}

/// All segments or none: where the buffers don't suffice for the last one, none is published and the frame is refused.
void all_segments_or_none() {
  Rig rig;
  for (int k = 0; k < 5; k++) rig.guest.offer({1000});
  // Four segments, each in two buffers.
  const int32_t entry = make_super(rig.worker, super_frame(5000), 1448) | kFinishChecksum | kFinishSegment;
  const Sent sent = rig.worker.transmit(*rig.carrier, {entry});
  CHECK(sent.sent == 0 && sent.reason == kDropEgressFull);
  CHECK(rig.guest.in().collect().empty());
  CHECK(rig.send(pattern(4000)).sent == 1);
  CHECK(rig.guest.in().collect().size() == 5);
  // Too many segments for any ring.
  const Sent many = rig.worker.transmit(*rig.carrier, {make_super(rig.worker, super_frame(5000), 1) | kFinishSegment});
  CHECK(many.sent == 0 && many.reason == kDropEgressFull);
  // A description that contradicts its frame.
  const int32_t lie = rig.worker.make(pattern(1000));
  rig.worker.facts(lie)[kFactGso] = kGsoTcpV4 | 100 << 16;
  CHECK(rig.worker.transmit(*rig.carrier, {lie | kFinishSegment}).reason == kDropBadOffload);
}

double ms_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

/// A worker that finds a shared ring taken refuses its list as egress-busy after a while, then at once; with a ring each none does.
void shared_ring() {
  Options options;
  options.workers = 2;
  Rig rig(options);
  const auto other = rig.guest.carrier(1);
  rig.guest.offer({1600});
  rig.guest.device->rings[0].lock.store(1);
  Sent busy;
  const double first = ms_of([&] { busy = rig.worker.transmit(*other, {rig.worker.make(pattern(60))}); });
  CHECK(busy.sent == 0 && busy.reason == kDropEgressBusy);
  CHECK(first * 1e6 >= kHeldNsMax);
  CHECK(rig.send(pattern(60)).reason == kDropEgressBusy);
  double again = first;
  for (int k = 0; k < 20; k++) again = std::min(again, ms_of([&] { rig.worker.transmit(*other, {rig.worker.make(pattern(60))}); }));
  CHECK(again < first / 4);
  rig.guest.device->rings[0].lock.store(0);
  CHECK(rig.send(pattern(60)).sent == 1);
  CHECK(rig.guest.device->rings[0].lock.load() == 0);
  // A worker alone on a ring takes no lock.
  Rig alone;
  alone.guest.offer({1600});
  alone.guest.device->rings[0].lock.store(1);
  CHECK(alone.send(pattern(60)).sent == 1);
}

/// One that holds a shared ring for longer than anybody spins, as if it had lost its CPU: the other one waits.
void shared_ring_held() {
  Options options;
  options.workers = 2;
  Rig rig(options);
  const auto other = rig.guest.carrier(1);
  std::atomic<int32_t>& lock = rig.guest.device->rings[0].lock;
  bool waited = false;
  for (int k = 0; k < 50 && !waited; k++) {
    for (int n = 0; n < 2; n++) rig.guest.offer({1600});
    lock.store(1);
    std::thread holder([&] {
      std::this_thread::sleep_for(std::chrono::nanoseconds(kHeldNsMax / 4));
      lock.store(0);
    });
    Sent sent;
    const double ms = ms_of([&] { sent = rig.worker.transmit(*other, {rig.worker.make(pattern(60))}); });
    // Not if this thread lost its own CPU before it asked, nor if the holder lost it for too long.
    waited = sent.sent == 1 && ms * 1e6 > kHeldNsMax / 10;
    holder.join();
    CHECK(rig.worker.transmit(*other, {rig.worker.make(pattern(60))}).sent == 1);
    rig.guest.in().collect();
  }
  CHECK(waited);
}

}  // namespace

const Rule kTransmitRules[] = {
    {"single buffers", single_buffers},
    {"headers that stand", headers_that_stand},
    {"headers that stood for others", headers_that_stood_for_others},
    {"headers left alone", headers_left_alone},
    {"from guest to guest", from_guest_to_guest},
    {"mergeable buffers", mergeable_buffers},
    {"too few buffers", too_few_buffers},
    {"not mergeable", not_mergeable},
    {"many pieces", many_pieces},
    {"broken buffers", broken_buffers},
    {"across regions", across_regions},
    {"super-frames", super_frames},
    {"all segments or none", all_segments_or_none},
    {"shared ring", shared_ring},
    {"shared ring that is held", shared_ring_held},
    {nullptr, nullptr},
};

// What guest-receive.cc owes a guest that keeps the rules, and one that breaks them: virtio 1.2, sections 2.7 and 5.1.6.2.
#include "guest-driver.h"
#include "guest-rules.h"

namespace {

using namespace rig;
using namespace weft;

constexpr int32_t kPort = 1;
constexpr uint32_t kHeader = kVnetBytes;
constexpr size_t kLegacyBytes = 10;

/// A guest with one worker on its port.
struct Rig {
  Guest guest;
  Worker worker{make_arena(1)};
  std::unique_ptr<Carrier> carrier;
  explicit Rig(const Options& options = {}) : guest(options), carrier(guest.carrier(0, kPort)) {}

  /// The one frame that waits.
  int32_t one() {
    const auto listed = worker.receive(*carrier);
    CHECK(listed.size() == 1);
    return listed[0];
  }
  /// All buffers that the guest sees back, once nothing came for a while.
  auto settle() {
    carrier->release();
    worker.rest(*carrier);
    return guest.out().collect();
  }
  void check_back(size_t count) {
    CHECK(guest.out().collect().empty());
    const auto used = settle();
    CHECK(used.size() == count && guest.out().outstanding() == 0);
    for (const auto& entry : used) CHECK(entry.bytes == 0);
  }
};

void check_frame(const std::vector<uint32_t>& cuts, size_t indirect, size_t length, bool whole, size_t header = kVnetBytes, uint64_t features = 0,
                 uint64_t offload = bit(virtio::kFeatureChecksum)) {
  Options options;
  if (features != 0) options.features = features;
  options.features |= offload;
  const bool offloads = offload != 0;
  Rig rig(options);
  rig.worker.slots.block()[kBlockWhole] = whole ? 1 : 0;
  const Bytes frame = pattern(length);
  Bytes bytes = with_header(frame, header);
  for (size_t k = 0; k < header; k++) bytes[k] = static_cast<uint8_t>(k + 1);
  rig.guest.send(bytes, cuts, indirect);
  const int32_t slot = rig.one();
  CHECK(!rig.worker.is_spoilt(slot));
  CHECK(rig.worker.frame(slot) == frame);
  CHECK(rig.worker.facts(slot)[kFactIngress] == kPort);
  CHECK(rig.worker.is_foreign(slot) == (!whole && length > static_cast<size_t>(kHeadBytes)));
  const bool has_header = (rig.worker.facts(slot)[kFactFlags] & kFlagVnet) != 0;
  const Bytes vnet = rig.worker.vnet(slot);
  if (offloads) {
    // num_buffers means nothing here, and a legacy header has none.
    CHECK(has_header && std::memcmp(vnet.data(), bytes.data(), kLegacyBytes) == 0);
  } else {
    CHECK(!has_header || vnet == Bytes(vnet.size(), 0));
  }
  rig.check_back(1);
  CHECK(rig.guest.device->broken.load() == nullptr);
}

/// Every layout of every length, in a slot's head, with its tail left where it is, and wholly in the arena.
void layouts() {
  const std::vector<std::vector<uint32_t>> cuts = {
      {},                                  // header and frame in one
      {kHeader},                           // the header by itself
      {1, 1, 3, 7},                        // the header in odd pieces
      {5, 20},                             // a piece that holds the end of it and some of the frame
      {kHeader, 1, 1, 1, 7},               // a frame in many
      {kHeader + 13, 0, 0, 1},             // with empty ones among them
  };
  for (const auto& cut : cuts) {
    for (const size_t indirect : {size_t{0}, size_t{1}, size_t{2}, size_t{60}}) {
      for (const size_t length : {14, 60, 63, 64, 65, 255, 256, 257, 1514, 9014, 65557}) check_frame(cut, indirect, length, length % 2 == 0);
    }
  }
  for (const bool whole : {false, true}) check_frame({kHeader}, 0, 1514, whole);
}

/// A guest that agreed to no offload has nothing to say in its header, whatever stands there; with any one of them it has.
void header_without_offloads() {
  for (const bool whole : {false, true}) {
    for (const size_t length : {60, 64, 1514}) {
      for (const auto& cut : {std::vector<uint32_t>{}, {kHeader}, {5, 20}}) check_frame(cut, 0, length, whole, kVnetBytes, 0, 0);
      for (const int feature : {0, 11, 12, 13, 14, 56}) check_frame({}, 0, length, whole, kVnetBytes, 0, bit(feature));
    }
  }
}

/// Without VERSION_1 and mergeable buffers the header has ten bytes; num_buffers reads as 0.
void legacy_header() {
  for (const auto& cut : {std::vector<uint32_t>{}, {10}, {3, 4, 9}}) check_frame(cut, 0, 1514, false, 10, bit(virtio::kFeatureEventIndex));
  check_frame({}, 0, 60, false, 12, bit(virtio::kFeatureMergeable));
}

/// A buffer that begins in one region and ends in the next, which is elsewhere in our memory.
void across_regions() {
  for (const bool whole : {false, true}) {
    for (const uint32_t before : {uint32_t{1}, kHeader, uint32_t{300}, uint32_t{1513}}) {
      Rig rig;
      rig.worker.slots.block()[kBlockWhole] = whole ? 1 : 0;
      const Bytes frame = pattern(1514);
      rig.guest.skip_to(kSecondAt - before);
      rig.guest.send(with_header(frame));
      CHECK(rig.worker.frame(rig.one()) == frame);
      rig.check_back(1);
    }
  }
  // The very last byte of memory; one more is outside.
  for (const uint32_t beyond : {0u, 1u}) {
    Rig rig;
    rig.guest.out().offer({{kSecondAt + kSecondBytes - 100, 100 + beyond}}, false);
    CHECK(rig.worker.is_spoilt(rig.one()) == (beyond == 1));
    rig.check_back(1);
  }
}

/// Frames go back to the guest only when they were sent; these few, when its queue was quiet for a while.
void returns_after_the_turn() {
  Rig rig;
  for (size_t k = 0; k < 20; k++) rig.guest.send(with_header(pattern(60 + 100 * k, static_cast<uint8_t>(k))));
  const auto first = rig.worker.receive(*rig.carrier, 5);
  CHECK(first.size() == 5);
  for (size_t k = 0; k < 5; k++) CHECK(rig.worker.frame(first[k]) == pattern(60 + 100 * k, static_cast<uint8_t>(k)));
  rig.worker.pass(kQuietNs);
  CHECK(rig.guest.out().collect().empty());
  CHECK(rig.worker.receive_more(*rig.carrier, 0).empty());
  CHECK(rig.guest.out().collect().empty());
  rig.carrier->release();
  rig.carrier->release();
  CHECK(rig.guest.out().collect().empty());
  CHECK(rig.worker.receive(*rig.carrier).size() == 15);
  // A worker that dies gives back what it holds.
  rig.carrier.reset();
  CHECK(rig.guest.out().collect().size() == 20);
  CHECK(!rig.guest.device->is_served());
}

/// While frames flow, a guest has to wait for its last few buffers; it has all when its queue was quiet, when the worker sleeps, and when
/// they are much memory.
void keeps_some_back() {
  Options options;
  options.size = 256;
  const auto send = [](Rig& rig, size_t count, size_t length) {
    for (size_t k = 0; k < count; k++) rig.guest.send(with_header(pattern(length)));
    CHECK(rig.worker.receive(*rig.carrier).size() == count);
    rig.carrier->release();
    return rig.guest.out().collect().size();
  };
  Rig rig(options);
  CHECK(send(rig, 32, 60) == 0);
  CHECK(send(rig, 40, 60) == 40);
  rig.worker.pass(kQuietNs / 2);
  CHECK(rig.worker.receive(*rig.carrier).empty());
  CHECK(rig.guest.out().collect().empty());
  rig.worker.rest(*rig.carrier);
  CHECK(rig.guest.out().collect().size() == 32 && rig.guest.out().outstanding() == 0);
  CHECK(send(rig, 10, 60) == 0);
  CHECK(!rig.carrier->arm());
  CHECK(rig.guest.out().collect().size() == 10);
  // Whoever falls quiet after every few frames may have no other buffers: it is not kept waiting any more, for a while.
  Rig small(options);
  size_t back = 0;
  for (int k = 0; k < 5; k++) {
    CHECK(back == 0);
    back = send(small, 8, 60);
    small.worker.rest(*small.carrier);
    small.guest.out().collect();
  }
  CHECK(back == 8 && send(small, 8, 60) == 8);
  small.worker.pass(1e9);
  CHECK(send(small, 8, 60) == 0);
  Rig large(options);
  for (int k = 0; k < 20; k++) send(large, 1, 60000);
  CHECK(large.guest.out().outstanding() <= 4);
}

/// Interrupts follow what the guest sees, not what was written and stays back; across the wrap of the index too.
void calls_for_what_is_seen() {
  for (const uint16_t base : {uint16_t{0}, uint16_t{65500}}) {
    Options options;
    options.size = 256;
    options.features |= bit(virtio::kFeatureEventIndex);
    Rig rig(options);
    Driver& out = rig.guest.out();
    out.begin_at(base);
    rig.guest.device->rings[1].resume(base);
    const auto send = [&](size_t count) {
      for (size_t k = 0; k < count; k++) rig.guest.send(with_header(pattern(60)));
      CHECK(rig.worker.receive(*rig.carrier).size() == count);
      rig.carrier->release();
      return out.collect().size();
    };
    const auto event = [&](int at) { out.used_event() = static_cast<uint16_t>(base + at); };
    event(0);
    CHECK(send(40) == 8 && out.was_called());  // the first is always made
    event(20);
    CHECK(send(12) == 12 && !out.was_called());  // 20 of 52
    CHECK(send(1) == 1 && out.was_called());
    event(50);
    CHECK(send(10) == 10 && !out.was_called());  // 31 of 63
    rig.worker.rest(*rig.carrier);
    CHECK(out.collect().size() == 32 && out.was_called());
    CHECK(out.outstanding() == 0);
  }
}

/// Rings of a few entries keep nothing back.
void small_rings() {
  for (const uint32_t size : {1u, 2u, 4u}) {
    Options options;
    options.size = size;
    Rig rig(options);
    rig.guest.send(with_header(pattern(60)));
    CHECK(rig.worker.receive(*rig.carrier).size() == 1);
    rig.carrier->release();
    CHECK(rig.guest.out().collect().size() == 1);
  }
}

/// A frame that finds no room stays in the ring, in order, and is listed in the next turn.
void no_room() {
  Options options;
  options.size = 256;
  Rig rig(options);
  // 64 frames of 256 pieces take every piece of a turn: another queue's has none left.
  std::vector<uint32_t> cuts(254, 2);
  for (int k = 0; k < 1; k++) rig.guest.send(with_header(pattern(2 * 254 + 700 - kHeader)), cuts);
  Guest other;
  const auto theirs = other.carrier();
  const Bytes frame = pattern(1514, 9);
  other.send(with_header(frame));
  rig.worker.slots.begin_turn();
  rig.worker.slots.begin_receiving();
  const Range piece{rig.worker.slots.arena(), 1};
  std::vector<Range> pieces(256, piece);
  for (int k = 0; k < kPiecesOfTurnMax / 256; k++) {
    const int32_t slot = rig.worker.slots.take();
    CHECK(rig.worker.slots.put_with_tail(slot, 1, 10, 266, 0, pieces.data(), 256));
  }
  CHECK(rig.worker.receive_more(*theirs).empty());
  CHECK(rig.worker.receive_more(*rig.carrier).empty());
  theirs->release();
  CHECK(other.out().collect().empty());
  CHECK(rig.worker.frame(rig.worker.receive(*theirs)[0]) == frame);
  CHECK(rig.one() >= 0);
  // The same where every large buffer is taken.
  rig.worker.slots.block()[kBlockWhole] = 1;
  other.send(with_header(frame));
  rig.worker.slots.begin_turn();
  rig.worker.slots.begin_receiving();
  rig.worker.slots.took(kLargeCount);
  CHECK(rig.worker.receive_more(*theirs).empty());
  CHECK(rig.worker.slots.room() == kReceiveSlots - kLargeCount);
  CHECK(rig.worker.frame(rig.worker.receive(*theirs)[0]) == frame);
}

/// A chain that can't be a frame is one dropped frame, and goes back; the next one is none the worse.
void check_spoilt(void (*spoil)(Guest& guest, virtio::Desc& desc)) {
  Rig rig;
  Bytes frame = pattern(200);
  const uint16_t id = rig.guest.send(with_header(frame), {kHeader});
  spoil(rig.guest, rig.guest.out().desc[id]);
  rig.guest.send(with_header(frame));
  const auto listed = rig.worker.receive(*rig.carrier);
  CHECK(listed.size() == 2);
  CHECK(rig.worker.is_spoilt(listed[0]) && rig.worker.facts(listed[0])[kFactTag] == kDropBadDescriptor);
  CHECK(rig.worker.facts(listed[0])[kFactLength] == 0);
  CHECK(rig.worker.frame(listed[1]) == frame);
  rig.check_back(2);
  CHECK(rig.guest.device->broken.load() == nullptr);
}

void spoilt_chains() {
  using virtio::Desc;
  check_spoilt([](Guest&, Desc& desc) { desc.address = 0; });
  check_spoilt([](Guest&, Desc& desc) { desc.address = ~uint64_t{0}; });
  check_spoilt([](Guest&, Desc& desc) { desc.address = kGuestAt - 1; });
  check_spoilt([](Guest&, Desc& desc) { desc.bytes = ~uint32_t{0}; });
  check_spoilt([](Guest&, Desc& desc) { desc.bytes = 0xfffffff0; });
  check_spoilt([](Guest&, Desc& desc) { desc.bytes = kFrameBytesMax; });
  check_spoilt([](Guest&, Desc& desc) { desc.flags |= virtio::kWrite; });
  check_spoilt([](Guest&, Desc& desc) { desc.flags |= virtio::kIndirect; });
  check_spoilt([](Guest&, Desc& desc) { desc.next = 64; });
  check_spoilt([](Guest&, Desc& desc) { desc.next = 0xffff; });
  check_spoilt([](Guest& guest, Desc& desc) { desc.next = static_cast<uint16_t>(&desc - guest.out().desc); });
  // An end that makes it too short.
  check_spoilt([](Guest&, Desc& desc) { desc.flags = 0; });
}

void check_table(void (*spoil)(Guest& guest, virtio::Desc& desc, virtio::Desc* table), bool spoilt) {
  Rig rig;
  const Bytes frame = pattern(200);
  const uint16_t id = rig.guest.send(with_header(frame), {kHeader, 1}, 3);
  virtio::Desc& desc = rig.guest.out().desc[id];
  CHECK(desc.flags == virtio::kIndirect);
  spoil(rig.guest, desc, reinterpret_cast<virtio::Desc*>(rig.guest.at(desc.address)));
  const int32_t slot = rig.one();
  CHECK(rig.worker.is_spoilt(slot) == spoilt);
  rig.check_back(1);
}

void indirect_tables() {
  using virtio::Desc;
  check_table([](Guest&, Desc&, Desc*) {}, false);
  // The device must ignore the write flag there (section 2.7.5.3.2).
  check_table([](Guest&, Desc& desc, Desc*) { desc.flags |= virtio::kWrite; }, false);
  check_table([](Guest&, Desc& desc, Desc*) { desc.flags |= virtio::kNext; }, true);
  check_table([](Guest&, Desc& desc, Desc*) { desc.bytes = 0; }, true);
  check_table([](Guest&, Desc& desc, Desc*) { desc.bytes -= 1; }, true);
  check_table([](Guest&, Desc& desc, Desc*) { desc.bytes = 16; }, true);
  check_table([](Guest&, Desc& desc, Desc*) { desc.bytes = 0xfffffff0; }, true);
  check_table([](Guest&, Desc& desc, Desc*) { desc.address = kSecondAt - 32; }, true);
  check_table([](Guest&, Desc& desc, Desc*) { desc.address = kSecondAt + kSecondBytes - 40; }, true);
  check_table([](Guest&, Desc&, Desc* table) { table[1].flags |= virtio::kIndirect; }, true);
  check_table([](Guest&, Desc&, Desc* table) { table[1].flags |= virtio::kWrite; }, true);
  check_table([](Guest&, Desc&, Desc* table) { table[1].next = 3; }, true);
  check_table([](Guest&, Desc&, Desc* table) { table[2].flags = virtio::kNext, table[2].next = 0; }, true);
}

/// Empty descriptors cost a turn their reading: a chain of thousands of them is no frame, whether or not it has an end.
void long_chains() {
  Options options;
  options.size = 1024;
  Rig rig(options);
  std::vector<uint32_t> cuts{kHeader};
  cuts.resize(kPiecesOfFrameMax - 1, 0);
  rig.guest.send(with_header(pattern(60)), cuts);
  CHECK(!rig.worker.is_spoilt(rig.one()));
  rig.check_back(1);
  cuts.push_back(0);
  rig.guest.send(with_header(pattern(60)), cuts);
  CHECK(rig.worker.is_spoilt(rig.one()));
  rig.check_back(1);
}

void broken(void (*act)(Guest& guest), const char* what) {
  Rig rig;
  rig.guest.send(with_header(pattern(60)));
  CHECK(rig.worker.receive(*rig.carrier).size() == 1);
  act(rig.guest);
  CHECK(rig.worker.receive(*rig.carrier).empty());
  const char* const reason = rig.guest.device->broken.load();
  CHECK(reason != nullptr && std::strstr(reason, what) != nullptr);
  uint64_t alarms = 0;
  CHECK(::read(rig.guest.device->alarm.get(), &alarms, sizeof alarms) == sizeof alarms);
  CHECK(!rig.carrier->arm());
  const Sent sent = rig.worker.transmit(*rig.carrier, {rig.worker.make(pattern(60))});
  CHECK(sent.sent == 0 && sent.reason == kDropEgressDown);
}

/// Nothing can follow an index or a head out of range.
void broken_promises() {
  broken([](Guest& guest) { guest.out().avail->index = static_cast<uint16_t>(guest.out().next + 65); }, "more entries");
  broken([](Guest& guest) { guest.out().avail->index = static_cast<uint16_t>(guest.out().next - 1); }, "more entries");
  broken([](Guest& guest) { guest.out().push(64); }, "a descriptor that it does not have");
  broken([](Guest& guest) { guest.out().push(0xffff); }, "a descriptor that it does not have");
}

}  // namespace

const Rule kReceiveRules[] = {
    {"layouts", layouts},
    {"legacy header", legacy_header},
    {"across regions", across_regions},
    {"header without offloads", header_without_offloads},
    {"returns after the turn", returns_after_the_turn},
    {"keeps some back", keeps_some_back},
    {"calls for what is seen", calls_for_what_is_seen},
    {"small rings", small_rings},
    {"no room", no_room},
    {"spoilt chains", spoilt_chains},
    {"indirect tables", indirect_tables},
    {"long chains", long_chains},
    {"broken promises", broken_promises},
    {nullptr, nullptr},
};

// A worker without its thread, for the guests' native tests: an arena with slots as the switch has them, and the two halves of a turn
// for one carrier. Stands in for engine.cc and for TypeScript, of which it does as little as can be.
#pragma once

#include <cstring>
#include <sys/mman.h>
#include <vector>

#include "../../native/carrier.h"
#include "../../native/slots.h"
#include "check.h"

namespace rig {

using Bytes = std::vector<uint8_t>;
constexpr int32_t kPageBytes = 4096;
/// A transmit queue that was quiet for so long has all of its buffers back.
constexpr double kQuietNs = 20001;

/// An arena for `workers`, laid out by this test's own reckoning: regions one behind the other, each on a page.
inline std::shared_ptr<weft::Mapping> make_arena(int32_t workers) {
  using namespace weft;
  const struct {
    int32_t word;
    int32_t bytes;
  } regions[] = {
      {kHeaderBlockAt, kPageBytes},
      {kHeaderBatchesAt, kReceiveSlots * kBatchWords * 4},
      {kHeaderReceiveListAt, kReceiveSlots * 4},
      {kHeaderQueuesAt, kPortsMax * kQueueWords * 4},
      {kHeaderDirtyAt, kPortsMax * 4},
      {kHeaderRefusedAt, kRefusedMax * kRefusedWords * 4},
      {kHeaderListsAt, kPortsMax * kListMax * 4},
      {kHeaderFactsAt, kSlots * kFactWords * 4},
      {kHeaderHeadsAt, kSlots * kHeadStride},
      {kHeaderLargeAt, kLargeCount * kLargeStride},
      {kHeaderRemotesAt, (kDestinationsCount - kPortsMax) << kRemoteWordsShift << 2},
  };
  int32_t at = kPageBytes, offsets[std::size(regions)];
  for (size_t k = 0; k < std::size(regions); k++) {
    offsets[k] = at;
    at += (regions[k].bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
  }
  const int32_t stride = at - kPageBytes;
  const size_t bytes = static_cast<size_t>(kPageBytes) + static_cast<size_t>(stride) * static_cast<size_t>(workers);
  void* const memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(memory != MAP_FAILED);
  int32_t* const header = static_cast<int32_t*>(memory);
  header[kHeaderMagic] = kArenaMagic;
  header[kHeaderVersion] = kArenaVersion;
  header[kHeaderBytes] = static_cast<int32_t>(bytes);
  header[kHeaderWorkers] = workers;
  header[kHeaderWorkerStride] = stride;
  for (size_t k = 0; k < std::size(regions); k++) header[regions[k].word] = offsets[k];
  return std::make_shared<Mapping>(memory, bytes);
}

/// What one transmit came to.
struct Sent {
  int32_t sent;
  int32_t refused;
  int32_t reason;  // the last refusal's
};

class Worker {
 public:
  explicit Worker(std::shared_ptr<weft::Mapping> arena, int32_t index = 0) : slots(std::move(arena), index) {
    slots.block()[weft::kBlockReceiveBudget] = weft::kReceiveSlots;
  }

  weft::Slots slots;

  /// Lets time pass on the worker's clock.
  void pass(double ns) {
    reinterpret_cast<double*>(reinterpret_cast<uint8_t*>(slots.block()) + weft::kBlockCellsAt)[weft::kCellNowNs] += ns;
  }

  /// Lets a while pass in which nothing comes: a guest then has all of its buffers back.
  void rest(weft::Carrier& carrier) {
    pass(kQuietNs);
    CHECK(receive(carrier).empty());
  }

  /// The receiving half of a turn: the slots that it listed, in order.
  std::vector<int32_t> receive(weft::Carrier& carrier, int32_t most = weft::kBatchMax) {
    slots.begin_turn();
    slots.begin_receiving();
    return receive_more(carrier, most);
  }
  /// The same for another carrier of the same turn.
  std::vector<int32_t> receive_more(weft::Carrier& carrier, int32_t most = weft::kBatchMax) {
    const int32_t first = slots.listed();
    carrier.receive(slots, std::min(most, slots.room()));
    slots.close_batch(1, first);
    slots.end_receiving();
    std::vector<int32_t> listed(words(weft::kHeaderReceiveListAt) + first, words(weft::kHeaderReceiveListAt) + slots.listed());
    for (const int32_t slot : listed) settle(slot);
    return listed;
  }

  int32_t* facts(int32_t slot) { return slots.fact(slot); }
  bool is_spoilt(int32_t slot) { return (facts(slot)[weft::kFactFlags] & weft::kFlagSpoilt) != 0; }
  bool is_foreign(int32_t slot) { return weft::Slots::is_foreign(facts(slot)); }
  /// The frame of a slot, head and tail.
  Bytes frame(int32_t slot) {
    weft::Range pieces[1 + weft::kPiecesOfFrameMax];
    const int32_t count = slots.pieces(slot, pieces);
    Bytes bytes;
    for (int32_t k = 0; k < count; k++) bytes.insert(bytes.end(), pieces[k].at, pieces[k].at + pieces[k].bytes);
    CHECK(static_cast<int32_t>(bytes.size()) == facts(slot)[weft::kFactLength]);
    return bytes;
  }
  /// The sender's vnet header, before the head.
  Bytes vnet(int32_t slot) {
    const uint8_t* const head = slots.arena() + facts(slot)[weft::kFactHeadAt];
    return Bytes(head - weft::kVnetBytes, head);
  }

  /// A frame of our own in large buffer `number`, under a slot that no receiving uses: its list entry.
  int32_t make(const Bytes& frame, int32_t number = 0) {
    const int32_t slot = weft::kReceiveSlots + number;
    uint8_t* const at = slots.large(number % weft::kLargeCount);
    std::memcpy(at, frame.data(), frame.size());
    int32_t* const to = facts(slot);
    const int32_t length = static_cast<int32_t>(frame.size());
    to[weft::kFactHeadAt] = static_cast<int32_t>(at - slots.arena());
    to[weft::kFactHeadBytes] = std::min(length, weft::kHeadBytes);
    to[weft::kFactLength] = length;
    to[weft::kFactTailAt] = to[weft::kFactHeadAt] + to[weft::kFactHeadBytes];
    to[weft::kFactFlags] = 0;
    settle(slot);
    return slot;
  }

  /// The transmitting half: `entries` to the carrier as `port`. Sent and refused must add up.
  Sent transmit(weft::Carrier& carrier, const std::vector<int32_t>& entries, int32_t port = 1) {
    using namespace weft;
    int32_t* const block = slots.block();
    int32_t* const queue = slots.queue_of(port);
    block[kBlockRefusedCount] = 0;
    queue[kQueueCount] = static_cast<int32_t>(entries.size());
    CHECK(slots.account(queue, entries.data()));
    carrier.transmit(slots, entries.data(), queue[kQueueCount]);
    Sent sent{queue[kQueueSent], 0, 0};
    const int32_t* const refused = words(kHeaderRefusedAt);
    for (int32_t k = 0; k < block[kBlockRefusedCount]; k++) {
      const int32_t* const record = refused + k * kRefusedWords;
      CHECK(record[kRefusedPort] == port && record[kRefusedReason] != 0 && record[kRefusedCount] > 0);
      sent.refused += record[kRefusedCount];
      sent.reason = record[kRefusedReason];
    }
    CHECK(sent.sent + sent.refused == queue[kQueueCount]);
    CHECK(queue[kQueueBytes] >= 0 && (sent.sent > 0 || queue[kQueueBytes] == 0));
    return sent;
  }

 private:
  int32_t* words(int32_t word) {
    const int32_t* const header = reinterpret_cast<const int32_t*>(slots.arena());
    return reinterpret_cast<int32_t*>(slots.arena() + header[word] + header[weft::kHeaderWorkerStride] * slots.worker());
  }
  /// What parsing adds to a frame without offloads.
  void settle(int32_t slot) {
    int32_t* const to = facts(slot);
    to[weft::kFactGso] = to[weft::kFactChecksum] = 0;
    to[weft::kFactSegments] = 1;
    to[weft::kFactWireBytes] = to[weft::kFactLength];
  }
};

}  // namespace rig

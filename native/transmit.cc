// The transmitting half of a turn: each dirty port's list goes to its queue, frame by frame, finishing what the entry says this
// egress can't take. What a device refuses is one entry in the refused list with its reason; the rest of the list goes on.
#include "engine.h"

#include <algorithm>
#include <sys/uio.h>

namespace weft {

namespace {
constexpr uint32_t kSegmentsMax = 256;
// user_data of a write: this bit, the entry's place in its list, the port, the list entry.
constexpr uint64_t kWrite = uint64_t{1} << 62;
constexpr int kPlaceShift = 48;
constexpr int kPortShift = 32;
static_assert(kListMax <= 1 << (62 - kPlaceShift) && kPortsMax <= 1 << (kPlaceShift - kPortShift));

int32_t reason_of(int error) {
  switch (error) {
    case EAGAIN:
    case ENOBUFS:
    case ENOMEM:
      return kDropEgressFull;
    case EIO:
    case EBADFD:
    case ENODEV:
    case ENETDOWN:
      return kDropEgressDown;
    case EINVAL:
    case EMSGSIZE:
      return kDropEgressRefused;
    default:
      return kDropEgressError;
  }
}
}  // namespace

/// The 12-byte virtio_net_hdr (virtio 1.2, section 5.1.6), rebuilt from facts: a sender's own is never passed on.
void Engine::write_vnet(uint8_t* at, const int32_t* facts, bool checksum_done) const {
  uint16_t fields[6] = {0, 0, 0, 0, 0, 0};
  const uint32_t gso = static_cast<uint32_t>(facts[kFactGso]);
  const uint32_t checksum = static_cast<uint32_t>(facts[kFactChecksum]);
  const bool needs = (facts[kFactFlags] & kFlagNeedsChecksum) != 0 && !checksum_done;
  fields[0] = static_cast<uint16_t>((needs ? 1u : 0u) | (gso & 0xff) << 8);
  if (gso != 0) {
    fields[1] = static_cast<uint16_t>(static_cast<uint32_t>(facts[kFactWireBytes]) - (gso >> 16));
    fields[2] = static_cast<uint16_t>(gso >> 16);
  }
  if (needs) {
    fields[3] = static_cast<uint16_t>(checksum);
    fields[4] = static_cast<uint16_t>(checksum >> 16);
  }
  __builtin_memcpy(at, fields, sizeof fields);
}

void Engine::refuse(int32_t port, int32_t entry, int32_t reason) {
  int32_t* const queue = queues_ + port * kQueueWords;
  const int32_t* const facts = fact(entry & kEntrySlotMask);
  queue[kQueueSent]--;
  queue[kQueueBytes] -= facts[kFactLength];
  queue[kQueueSegments] -= facts[kFactSegments];
  const int32_t count = block_[kBlockRefusedCount];
  int32_t* const last = refused_ + (count - 1) * kRefusedWords;
  // A port that is down refuses its whole list: one record. Should they run out after all, a loss is counted at the wrong port rather than nowhere.
  if (count > 0 && ((last[kRefusedPort] == port && last[kRefusedReason] == reason) || count == kRefusedMax)) {
    last[kRefusedCount]++;
    return;
  }
  int32_t* const refused = last + kRefusedWords;
  refused[kRefusedEntry] = entry;
  refused[kRefusedPort] = port;
  refused[kRefusedReason] = reason;
  refused[kRefusedCount] = 1;
  block_[kBlockRefusedCount] = count + 1;
}

/// A write's completion: there is one only where it failed. Several segments of one entry are one refusal.
void Engine::refuse_completion(const io_uring_cqe& done) {
  if (done.res >= 0 || done.user_data == refused_last_) return;
  refused_last_ = done.user_data;
  refuse(static_cast<int32_t>(done.user_data >> kPortShift & 0xffff), static_cast<int32_t>(done.user_data), reason_of(-done.res));
}

void Engine::flush() {
  if (io_ == Io::kUring && uring_.pending() > 0) {
    const int failed = uring_.submit();
    if (failed < 0) broken_ = -failed;
    io_uring_cqe done;
    while (uring_.take(&done)) refuse_completion(done);
  }
  pieces_used_ = 0;
  finisher_.reset();
}

/// False when the frame was refused at once.
bool Engine::send(QueueEnd& end, int32_t entry, const uint8_t* at, uint32_t bytes, bool fixed) {
  if (io_ != Io::kUring) {
    if (uninterrupted([&] { return ::write(end.fd, at, bytes); }) >= 0) return true;
    refuse(end.port, entry, reason_of(errno));
    return false;
  }
  if (uring_.room() == 0) flush();
  io_uring_sqe* const request = uring_.next();
  request->opcode = fixed ? IORING_OP_WRITE_FIXED : IORING_OP_WRITE;
  request->flags = IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS;
  request->fd = static_cast<int32_t>(end.file);
  request->addr = reinterpret_cast<uint64_t>(at);
  request->len = bytes;
  request->off = static_cast<uint64_t>(-1);
  request->rw_flags = RWF_NOWAIT;
  request->user_data = kWrite | list_at_ << kPlaceShift | static_cast<uint64_t>(end.port) << kPortShift | static_cast<uint32_t>(entry);
  return true;
}

/// A frame whose tail lies elsewhere than behind its head goes as two pieces.
void Engine::send_pieces(QueueEnd& end, int32_t entry, const iovec& head, const iovec& tail) {
  if (io_ == Io::kUring && (uring_.room() == 0 || pieces_used_ + 2 > kPiecesMax)) flush();
  iovec* const pieces = pieces_ + pieces_used_;
  pieces[0] = head;
  pieces[1] = tail;
  if (io_ != Io::kUring) {
    if (uninterrupted([&] { return ::writev(end.fd, pieces, 2); }) < 0) refuse(end.port, entry, reason_of(errno));
    return;
  }
  pieces_used_ += 2;
  send(end, entry, reinterpret_cast<const uint8_t*>(pieces), 2, false);
  uring_.last()->opcode = IORING_OP_WRITEV;
}

/// Checksum or segments in scratch, each with a vnet header of zeros before it. All segments or none.
void Engine::put_finished(QueueEnd& end, int32_t entry) {
  const int32_t* const facts = fact(entry & kEntrySlotMask);
  const uint32_t gso = static_cast<uint32_t>(facts[kFactGso]);
  const uint32_t checksum = static_cast<uint32_t>(facts[kFactChecksum]);
  const uint32_t head = static_cast<uint32_t>(facts[kFactHeadBytes]);
  const uint32_t length = static_cast<uint32_t>(facts[kFactLength]);
  const Range tail{arena_ + facts[kFactTailAt], length - head};
  Unfinished frame{};
  frame.head = arena_ + facts[kFactHeadAt];
  frame.head_bytes = head;
  frame.tail = &tail;
  frame.tail_count = length > head ? 1 : 0;
  frame.length = length;
  frame.gso_type = (entry & kFinishSegment) != 0 ? static_cast<uint8_t>(gso) : kGsoNone;
  frame.gso_size = static_cast<uint16_t>(gso >> 16);
  frame.needs_checksum = (facts[kFactFlags] & kFlagNeedsChecksum) != 0;
  frame.checksum_start = static_cast<uint16_t>(checksum);
  frame.checksum_offset = static_cast<uint16_t>(checksum >> 16);
  // Room for every segment beforehand: a flush among them would free scratch that the rest of them lie in.
  if (io_ == Io::kUring && uring_.room() < kSegmentsMax) flush();
  Range finished[kSegmentsMax];
  int32_t count = finisher_.finish(frame, kVnetBytes, finished, kSegmentsMax);
  if (count == kNoScratch) {
    flush();
    count = finisher_.finish(frame, kVnetBytes, finished, kSegmentsMax);
  }
  if (count < 0) {
    refuse(end.port, entry, count == kNoScratch ? kDropEgressFull : kDropBadOffload);
    return;
  }
  for (int32_t k = 0; k < count; k++) {
    if (!send(end, entry, finished[k].at - kVnetBytes, finished[k].bytes + kVnetBytes, false)) return;
  }
}

void Engine::put_frame(QueueEnd& end, int32_t entry) {
  const int32_t* const facts = fact(entry & kEntrySlotMask);
  uint8_t* const at = arena_ + facts[kFactHeadAt] - kVnetBytes;
  write_vnet(at, facts, false);
  const uint32_t head = static_cast<uint32_t>(facts[kFactHeadBytes]);
  const uint32_t length = static_cast<uint32_t>(facts[kFactLength]);
  if (length == head || facts[kFactTailAt] == facts[kFactHeadAt] + facts[kFactHeadBytes]) {
    send(end, entry, at, length + kVnetBytes, true);
  } else {
    send_pieces(end, entry, {at, head + kVnetBytes}, {arena_ + facts[kFactTailAt], length - head});
  }
}

/// Whether an entry names a slot whose facts lie in the arena. Facts are TypeScript's; a mistake there must not become a write to
/// foreign memory. A nanosecond a frame (2.8 to 3.8 ns a refused entry, 2026-11).
bool Engine::is_sound(int32_t entry) const {
  const int32_t slot = entry & kEntrySlotMask;
  if (slot >= kSlots) return false;
  const int32_t* const facts = fact(slot);
  const uint32_t head_at = static_cast<uint32_t>(facts[kFactHeadAt]);
  const uint32_t head = static_cast<uint32_t>(facts[kFactHeadBytes]);
  const uint32_t length = static_cast<uint32_t>(facts[kFactLength]);
  const uint32_t tail_at = static_cast<uint32_t>(facts[kFactTailAt]);
  if (length > static_cast<uint32_t>(kLargeStride) || head > length) return false;
  if (head_at < uint32_t{kVnetBytes} || head_at > arena_bytes_ - head) return false;
  return head == length || tail_at <= arena_bytes_ - (length - head);
}

/// Writes into the queue's record what its list holds; false when the list can't be trusted.
bool Engine::account(int32_t* queue, const int32_t* entries) const {
  const int32_t count = queue[kQueueCount];
  if (count < 0 || count > kListMax) return false;
  int32_t bytes = 0, segments = 0;
  for (int32_t k = 0; k < count; k++) {
    if (!is_sound(entries[k])) return false;
    const int32_t* const facts = fact(entries[k] & kEntrySlotMask);
    bytes += facts[kFactLength];
    segments += facts[kFactSegments];
  }
  queue[kQueueSent] = count;
  queue[kQueueBytes] = bytes;
  queue[kQueueSegments] = segments;
  return true;
}

bool Engine::transmit_queue(int32_t port) {
  int32_t* const queue = queues_ + port * kQueueWords;
  const int32_t* const entries = lists_ + port * kListMax;
  if (!account(queue, entries)) return false;
  QueueEnd* const end = ends_[port].get();
  const int32_t count = queue[kQueueCount];
  for (int32_t k = 0; k < count; k++) {
    const int32_t entry = entries[k];
    list_at_ = static_cast<uint64_t>(k);
    if (end == nullptr) {
      refuse(port, entry, kDropEgressDown);
    } else if ((entry & (kFinishChecksum | kFinishSegment)) != 0) {
      put_finished(*end, entry);
    } else {
      put_frame(*end, entry);
    }
  }
  return true;
}

/// Sends every list. A list that can't be trusted breaks the engine: that is a mistake of ours, not a bad frame.
void Engine::transmit() {
  const int32_t dirty = block_[kBlockDirtyCount];
  if (dirty < 0 || dirty > kPortsMax) broken_ = EFAULT;
  for (int32_t k = 0; k < dirty && broken_ == 0; k++) {
    const int32_t port = dirty_[k];
    if (port < 1 || port >= kPortsMax || !transmit_queue(port)) broken_ = EFAULT;
  }
  // With queues known to be ready, the reads of this turn carry the writes down in the same system call.
  if (ready_.empty()) flush();
}

}  // namespace weft

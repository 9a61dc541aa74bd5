// The transmitting half of a turn: each dirty port's list goes to its queue, frame by frame, finishing what the entry says this
// egress can't take. What a device refuses is one entry in the refused list with its reason; the rest of the list goes on.
#include "engine.h"

#include <algorithm>
#include <sys/uio.h>

namespace weft {

namespace {
constexpr uint32_t kVnetBytes = 12;
constexpr int32_t kSegmentsMax = 256;
// user_data of a write: this bit, the port, the list entry.
constexpr uint64_t kWrite = uint64_t{1} << 62;
constexpr int kPortShift = 32;

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
  if (block_[kBlockRefusedCount] >= kRefusedMax) return;
  int32_t* const refused = refused_ + block_[kBlockRefusedCount]++ * kRefusedWords;
  refused[kRefusedEntry] = entry;
  refused[kRefusedPort] = port;
  refused[kRefusedReason] = reason;
}

/// A write's completion: there is one only where it failed.
void Engine::refuse_completion(const io_uring_cqe& done) {
  if (done.res < 0) refuse(static_cast<int32_t>(done.user_data >> kPortShift & 0xffff), static_cast<int32_t>(done.user_data), reason_of(-done.res));
}

void Engine::flush() {
  if (io_ == Io::kUring && uring_.pending() > 0) {
    uring_.submit(0);
    io_uring_cqe done;
    while (uring_.take(&done)) refuse_completion(done);
  }
  pieces_used_ = 0;
  finisher_.reset();
}

void Engine::send(QueueEnd& end, int32_t entry, const uint8_t* at, uint32_t bytes, bool fixed) {
  if (io_ != Io::kUring) {
    if (uninterrupted([&] { return ::write(end.fd, at, bytes); }) < 0) refuse(end.port, entry, reason_of(errno));
    return;
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
  request->user_data = kWrite | static_cast<uint64_t>(end.port) << kPortShift | static_cast<uint32_t>(entry);
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
  for (int32_t k = 0; k < count; k++) send(end, entry, finished[k].at - kVnetBytes, finished[k].bytes + kVnetBytes, false);
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

void Engine::transmit_queue(int32_t port) {
  int32_t* const queue = queues_ + port * kQueueWords;
  const int32_t* const entries = lists_ + port * kListMax;
  const int32_t count = std::min(queue[kQueueCount], kListMax);
  int32_t bytes = 0, segments = 0;
  for (int32_t k = 0; k < count; k++) {
    const int32_t* const facts = fact(entries[k] & kEntrySlotMask);
    bytes += facts[kFactLength];
    segments += facts[kFactSegments];
  }
  queue[kQueueSent] = count;
  queue[kQueueBytes] = bytes;
  queue[kQueueSegments] = segments;
  QueueEnd* const end = ends_[port].get();
  for (int32_t k = 0; k < count; k++) {
    const int32_t entry = entries[k];
    if (end == nullptr) {
      refuse(port, entry, kDropEgressDown);
    } else if ((entry & (kFinishChecksum | kFinishSegment)) != 0) {
      put_finished(*end, entry);
    } else {
      put_frame(*end, entry);
    }
  }
}

void Engine::transmit() {
  const int32_t dirty = std::min(block_[kBlockDirtyCount], kPortsMax);
  for (int32_t k = 0; k < dirty; k++) {
    const int32_t port = dirty_[k];
    if (port > 0 && port < kPortsMax) transmit_queue(port);
  }
  // With queues known to be ready, the reads of this turn carry the writes down in the same system call.
  if (ready_.empty()) flush();
}

}  // namespace weft

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
}  // namespace

/// A write's completion: there is one only where it failed. Several segments of one entry are one refusal.
void Engine::refuse_completion(const io_uring_cqe& done) {
  if (done.res >= 0 || done.user_data == refused_last_) return;
  refused_last_ = done.user_data;
  slots_.refuse(static_cast<int32_t>(done.user_data >> kPortShift & 0xffff), static_cast<int32_t>(done.user_data), Slots::reason_of(-done.res));
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
  if (!uring_carries()) {
    if (uninterrupted([&] { return ::write(end.fd, at, bytes); }) >= 0) return true;
    slots_.refuse(end.port, entry, Slots::reason_of(errno));
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

/// A frame that lies in several pieces, its vnet header at the start of the first.
void Engine::send_pieces(QueueEnd& end, int32_t entry, const Range* parts, int32_t count) {
  const uint32_t needed = static_cast<uint32_t>(count);
  if (uring_carries() && (uring_.room() == 0 || pieces_used_ + needed > kPiecesMax)) flush();
  iovec* const pieces = pieces_ + pieces_used_;
  for (uint32_t k = 0; k < needed; k++) pieces[k] = {const_cast<uint8_t*>(parts[k].at), parts[k].bytes};
  if (!uring_carries()) {
    if (uninterrupted([&] { return ::writev(end.fd, pieces, count); }) < 0) slots_.refuse(end.port, entry, Slots::reason_of(errno));
    return;
  }
  pieces_used_ += needed;
  send(end, entry, reinterpret_cast<const uint8_t*>(pieces), needed, false);
  uring_.last()->opcode = IORING_OP_WRITEV;
}

/// Checksum or segments in scratch, each with a vnet header of zeros before it. All segments or none.
void Engine::put_finished(QueueEnd& end, int32_t entry) {
  Range tail;
  const Unfinished frame = slots_.unfinished(entry, &tail);
  // Room for every segment beforehand: a flush among them would free scratch that the rest of them lie in.
  if (io_ == Io::kUring && uring_.room() < kSegmentsMax) flush();
  Range finished[kSegmentsMax];
  int32_t count = finisher_.finish(frame, kVnetBytes, finished, kSegmentsMax);
  if (count == kNoScratch) {
    flush();
    count = finisher_.finish(frame, kVnetBytes, finished, kSegmentsMax);
  }
  if (count < 0) {
    slots_.refuse(end.port, entry, count == kNoScratch ? kDropEgressFull : kDropBadOffload);
    return;
  }
  for (int32_t k = 0; k < count; k++) {
    if (!send(end, entry, finished[k].at - kVnetBytes, finished[k].bytes + kVnetBytes, false)) return;
  }
}

void Engine::put_frame(QueueEnd& end, int32_t entry) {
  const int32_t* const facts = slots_.fact(entry & kEntrySlotMask);
  Range pieces[1 + kPiecesOfFrameMax];
  const int32_t count = slots_.pieces(entry, pieces);
  uint8_t* const at = slots_.arena() + facts[kFactHeadAt] - kVnetBytes;
  Slots::vnet_of(facts).write(at);
  pieces[0] = {at, pieces[0].bytes + kVnetBytes};
  if (count == 1) {
    send(end, entry, at, pieces[0].bytes, true);
  } else {
    send_pieces(end, entry, pieces, count);
  }
}

bool Engine::transmit_queue(int32_t port) {
  int32_t* const queue = slots_.queue_of(port);
  const int32_t* const entries = slots_.list_of(port);
  if (!slots_.account(queue, entries)) return false;
  QueueEnd* const end = ends_[port].get();
  const int32_t count = queue[kQueueCount];
  if (end != nullptr && end->carrier != nullptr) {
    end->carrier->transmit(slots_, entries, count);
    return true;
  }
  for (int32_t k = 0; k < count; k++) {
    const int32_t entry = entries[k];
    list_at_ = static_cast<uint64_t>(k);
    if (end == nullptr) {
      slots_.refuse(port, entry, kDropEgressDown);
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
    const int32_t port = slots_.dirty()[k];
    if (port < 1 || port >= kPortsMax || !transmit_queue(port)) broken_ = EFAULT;
  }
  // With queues known to be ready, the reads of this turn carry the writes down in the same system call.
  if (ready_.empty() || lone_) flush();
}

}  // namespace weft

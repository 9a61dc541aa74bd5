// One worker's native half: its queues, its epoll set, its ring, and the turn. Belongs to one thread from open to destruction.
// Knows descriptors and bytes; which frame goes where was decided in TypeScript.
#pragma once
#include <cstdint>
#include <memory>
#include <sys/uio.h>
#include <vector>

#include "abi.h"
#include "carrier.h"
#include "finish.h"
#include "registry.h"
#include "slots.h"
#include "uring.h"

namespace weft {

enum class Io { kNone = 0, kReadWrite = 1, kUring = 2 };

/// What reading one queue in one turn came to.
struct Reading {
  uint32_t asked = 0;
  uint32_t got = 0;
  uint32_t bytes = 0;
  bool dry = false;   // a read found nothing
  bool gone = false;  // the device behind the descriptor is no more
  bool bad = false;   // a frame that the kernel could not hand over; there may be more behind it
};

/// A queue of a device, served by this worker as one port: a TAP's, read and written by the engine, or a carrier's.
struct QueueEnd {
  std::shared_ptr<Device> device;
  std::unique_ptr<Carrier> carrier;
  int fd = -1;                 // a TAP's
  int32_t port = 0;
  uint32_t file = 0;           // slot in the ring's file table
  uint32_t window = 4;         // frames that the next read asks for
  uint32_t mean_bytes = 0;     // of its frames, running
  bool ready = false;          // readable, as far as we know, or worth a try
  bool dry = false;            // its last read found no more
  uint32_t dry_turns = 0;      // reads in a row that found nothing
};

class Engine {
 public:
  Engine(std::shared_ptr<Mapping> mapping, int32_t index);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// Sets up epoll and, unless `want` forbids it, the ring. Answers what will be used; kNone and errno when nothing could be.
  Io open(Io want, int* error);
  int attach(int32_t port, std::shared_ptr<Device> device, int32_t queue);
  int detach(int32_t port);

  /// HOT: transmit, clock, look or wait, receive. Frames received, or −errno for a broken worker.
  int32_t turn();

  /// errno of what kept the ring from being used though it was wanted; 0 when nothing did.
  int ring_error() const { return ring_error_; }

 private:
  // engine.cc
  int attach_tap(QueueEnd& end, const TapDevice& tap, int32_t queue);
  int attach_carrier(QueueEnd& end, int32_t queue);
  void read_clock(int32_t cell);
  int look(int wait_ms);
  int sleep(int wait_ms);
  bool is_lone() const;
  /// Whether this turn's reads and writes of TAPs go through the ring.
  bool uring_carries() const { return io_ == Io::kUring && !lone_; }

  // transmit.cc
  void transmit();
  bool transmit_queue(int32_t port);
  void put_frame(QueueEnd& end, int32_t entry);
  void put_finished(QueueEnd& end, int32_t entry);
  bool send(QueueEnd& end, int32_t entry, const uint8_t* at, uint32_t bytes, bool fixed);
  void send_pieces(QueueEnd& end, int32_t entry, const Range* pieces, int32_t count);
  void flush();
  void refuse_completion(const io_uring_cqe& done);

  // receive.cc
  int32_t receive();
  int32_t receive_uring();
  int32_t receive_limit() const;
  int32_t receive_plain(size_t* looked);
  void receive_some(std::vector<QueueEnd*>& ends);
  void receive_carriers();
  void receive_carrier(QueueEnd& end);
  void release();
  uint8_t* read_at(int32_t slot) const { return slots_.large(slot) - kVnetBytes; }
  int32_t ask();
  int collect(int32_t* results, uint32_t count);
  void take_result(QueueEnd& end, int32_t slot, int32_t result, Reading& reading);
  void close_batch(QueueEnd& end, int32_t first, const Reading& reading);
  void settle_window(QueueEnd& end, const Reading& reading);
  bool lingers() const;

  Slots slots_;
  const int32_t index_;
  int32_t* const block_;

  bool taken_ = false;
  Io io_ = Io::kNone;
  int ring_error_ = 0;
  int broken_ = 0;  // errno that ended this engine: its lists or its ring can't be trusted any more
  Descriptor epoll_;
  int control_ = -1;
  Uring uring_;
  std::unique_ptr<QueueEnd> ends_[kPortsMax];
  std::vector<QueueEnd*> ready_;      // TAPs known to be readable
  std::vector<QueueEnd*> called_;     // carriers that epoll named
  std::vector<QueueEnd*> polled_;     // carriers that every turn looks at
  std::vector<QueueEnd*> holding_;    // carriers whose frames of this turn must be sent before their memory goes back
  std::vector<std::unique_ptr<QueueEnd>> leaving_;  // detached, but their last frames are not sent yet
  std::vector<Reading> readings_;  // of the first queues in ready_, this turn
  std::vector<uint32_t> free_files_;
  bool crowded_ = false;       // a carrier found no room in this turn
  bool yields_ = false;        // TAPs leave room for carriers in the next
  bool called_first_ = false;
  uint32_t looks_skipped_ = 0;
  bool lone_ = false;           // frames come one by one: this turn makes plain calls, and reads TAPs up to the first frame
  uint32_t lone_row_ = 0;       // lone turns in a row that found a frame
  int32_t received_last_ = 0;
  static constexpr uint32_t kPiecesMax = 2048;
  iovec pieces_[kPiecesMax];
  uint32_t pieces_used_ = 0;
  uint64_t list_at_ = 0;        // place in its list of the entry that is being sent
  uint64_t refused_last_ = 0;   // user_data of the write that was refused last
  std::vector<uint8_t> scratch_;
  Finisher finisher_;
};

}  // namespace weft

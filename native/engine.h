// One worker's native half: its queues, its epoll set, its ring, and the turn. Belongs to one thread from open to destruction.
// Knows descriptors and bytes; which frame goes where was decided in TypeScript.
#pragma once
#include <cstdint>
#include <memory>
#include <sys/uio.h>
#include <vector>

#include "abi.h"
#include "finish.h"
#include "registry.h"
#include "uring.h"

namespace weft {

/// A virtio_net_hdr (virtio 1.2, section 5.1.6) before every frame that a TAP gives or takes.
inline constexpr int32_t kVnetBytes = 12;

enum class Io { kNone = 0, kReadWrite = 1, kUring = 2 };

/// What reading one queue in one turn came to.
struct Reading {
  uint32_t asked = 0;
  uint32_t got = 0;
  uint32_t bytes = 0;
  bool dry = false;   // a read found nothing
  bool gone = false;  // the device behind the descriptor is no more
};

/// A queue of a device, served by this worker as one port.
struct QueueEnd {
  std::shared_ptr<Device> device;
  int fd = -1;
  int32_t port = 0;
  uint32_t file = 0;           // slot in the ring's file table
  uint32_t window = 4;         // frames that the next read asks for
  uint32_t mean_bytes = 0;     // of its frames, running
  bool ready = false;          // readable, as far as we know, or worth a try
  bool dry = false;            // its last read found no more
};

class Engine {
 public:
  /// Whether the header in `mapping` describes an arena of ours with worker `index`, all of whose regions lie in the mapping.
  static bool fits(const Mapping& mapping, int32_t index);

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
  uint8_t* region(int32_t word) const;
  int32_t* words(int32_t word) const { return reinterpret_cast<int32_t*>(region(word)); }
  int32_t* fact(int32_t slot) const { return facts_ + slot * kFactWords; }
  void read_clock(int32_t cell);
  int look(int wait_ms);

  // transmit.cc
  void transmit();
  bool transmit_queue(int32_t port);
  bool account(int32_t* queue, const int32_t* entries) const;
  bool is_sound(int32_t entry) const;
  void put_frame(QueueEnd& end, int32_t entry);
  void put_finished(QueueEnd& end, int32_t entry);
  void write_vnet(uint8_t* at, const int32_t* facts, bool checksum_done) const;
  bool send(QueueEnd& end, int32_t entry, const uint8_t* at, uint32_t bytes, bool fixed);
  void send_pieces(QueueEnd& end, int32_t entry, const iovec& head, const iovec& tail);
  void flush();
  void refuse(int32_t port, int32_t entry, int32_t reason);
  void refuse_completion(const io_uring_cqe& done);

  // receive.cc
  int32_t receive();
  int32_t receive_uring();
  int32_t receive_limit() const;
  int32_t receive_plain();
  uint8_t* read_at(int32_t slot) const { return large_ + static_cast<size_t>(slot) * kLargeStride + kHeadroomBytes - kVnetBytes; }
  void accept(QueueEnd& end, int32_t slot, int32_t result);
  int32_t ask();
  int collect(int32_t* results, uint32_t count);
  void take_result(QueueEnd& end, int32_t slot, int32_t result, Reading& reading);
  void close_batch(QueueEnd& end, int32_t first, const Reading& reading);
  void settle_window(QueueEnd& end, const Reading& reading);

  const std::shared_ptr<Mapping> mapping_;
  uint8_t* const arena_;
  const uint32_t arena_bytes_;
  const int32_t index_;
  int32_t* const block_;
  int32_t* const batches_;
  int32_t* const list_;
  int32_t* const queues_;
  int32_t* const dirty_;
  int32_t* const refused_;
  int32_t* const lists_;
  int32_t* const facts_;
  uint8_t* const heads_;
  uint8_t* const large_;

  bool taken_ = false;
  Io io_ = Io::kNone;
  int ring_error_ = 0;
  int broken_ = 0;  // errno that ended this engine: its lists or its ring can't be trusted any more
  Descriptor epoll_;
  int control_ = -1;
  Uring uring_;
  std::unique_ptr<QueueEnd> ends_[kPortsMax];
  std::vector<QueueEnd*> ready_;
  std::vector<Reading> readings_;  // of the first queues in ready_, this turn
  std::vector<uint32_t> free_files_;
  uint32_t looks_skipped_ = 0;
  static constexpr uint32_t kPiecesMax = 1024;
  iovec pieces_[kPiecesMax];
  uint32_t pieces_used_ = 0;
  uint64_t list_at_ = 0;        // place in its list of the entry that is being sent
  uint64_t refused_last_ = 0;   // user_data of the write that was refused last
  std::vector<uint8_t> scratch_;
  Finisher finisher_;
};

}  // namespace weft

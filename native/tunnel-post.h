// Sends a batch: each message to its remote, or to every remote of its set, by as few system calls as go. What is not sent is refused with
// its reason, for each remote by itself. One worker's; control writes remotes' records meanwhile.
#pragma once
#include <atomic>

#include "tunnel-batch.h"
#include "tunnel-troubles.h"

namespace weft {

/// Totals that one worker writes and the main thread reads.
struct TunnelCounts {
  std::atomic<uint64_t> datagrams{0};
  std::atomic<uint64_t> messages{0};
};

class TunnelPost {
 public:
  TunnelPost(const SenderOptions& options, const std::vector<Descriptor>& sockets, TunnelTroubles& troubles, TunnelCounts& counts)
      : options_(options), sockets_(sockets), troubles_(troubles), counts_(counts) {}

  /// HOT: sends or refuses all of it.
  void send(Slots& slots, int32_t port, TunnelBatch& batch);

 private:
  static constexpr uint32_t kItemsMax = 512;

  /// A message, or a part of a super-frame's, to one remote.
  struct Item {
    const TunnelMessage* message;
    uint32_t ordinal;  // of the remote in its set
    uint32_t bytes;
  };

  void put(uint32_t number);
  void put_to(const TunnelMessage& message, uint32_t ordinal, int32_t destination);
  void put_item(const Item& item, const SocketName& name, socklen_t name_bytes, iovec* vectors, uint32_t count);
  socklen_t name_of(int32_t destination, SocketName* name) const;
  void flush();
  int send_some(mmsghdr* messages, uint32_t count);
  void fail(uint32_t number, int error);
  void send_singly(uint32_t number);
  void refuse(const Item& item, int32_t reason);
  void refuse_one(const Item& item, uint32_t frame, int32_t reason);
  void count(const Item& item);

  const SenderOptions& options_;
  const std::vector<Descriptor>& sockets_;
  TunnelTroubles& troubles_;
  TunnelCounts& counts_;

  // While a batch is sent.
  Slots* slots_ = nullptr;
  TunnelBatch* batch_ = nullptr;
  const int32_t* remotes_ = nullptr;
  int32_t port_ = 0;
  int fd_ = -1;
  bool is_full_ = false;
  const TunnelMessage* refused_ = nullptr;  // the super-frame that was refused last,
  uint32_t refused_ordinal_ = 0;            // and to whom
  uint64_t datagrams_ = 0;
  uint64_t messages_sent_ = 0;

  uint32_t items_used_ = 0;
  mmsghdr messages_[kItemsMax] = {};
  SocketName names_[kItemsMax] = {};
  Item items_[kItemsMax] = {};
};

}  // namespace weft

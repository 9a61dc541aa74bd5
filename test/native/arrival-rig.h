// What every native test of tunnels' arrivals uses: datagrams each in memory of its own and exactly as large as it is, so that one byte too
// far is an ASan report, given to a coalescer in an arena as the switch has it; and what was listed, cut and finished again.
#pragma once

#include <memory>

#include "../../native/coalesce.h"
#include "check.h"
#include "finish-rig.h"
#include "guest-worker.h"

namespace rig {

using model::Random;
using model::Spec;

constexpr uint32_t kSender = 0x0a01a8c0;

struct Datagram {
  Bytes bytes;
  weft::Origin origin{{kSender, 0, 0, 0}, 0};
  weft::TunnelKind kind = weft::TunnelKind::kVxlan;
};

inline Bytes vxlan(uint32_t vni) {
  Bytes header{8, 0, 0, 0};
  model::number(header, vni << 8, 4);
  return header;
}

inline Datagram in_vxlan(const Bytes& frame, uint32_t vni = 100) {
  Datagram datagram{vxlan(vni)};
  model::append(datagram.bytes, frame);
  return datagram;
}

struct Listed {
  Bytes frame;
  bool has_vnet;
  Bytes vnet;
  uint32_t address;
  int32_t outer;
  uint32_t header;
  uint32_t key;
  bool foreign;

  uint16_t vnet_word(int index) const { return static_cast<uint16_t>(vnet[2 * static_cast<size_t>(index)] | vnet[2 * static_cast<size_t>(index) + 1] << 8); }
  bool needs_checksum() const { return has_vnet && (vnet[0] & 1) != 0; }
  uint8_t gso_type() const { return has_vnet ? vnet[1] : weft::kGsoNone; }
  uint16_t gso_size() const { return vnet_word(2); }
};

/// A carrier that has its datagrams from a test instead of a socket.
class Feed : public weft::Carrier {
 public:
  int watch(int, uint64_t) override { return 0; }
  void unwatch(int) override {}
  bool is_polled() const override { return false; }
  void transmit(weft::Slots&, const int32_t*, int32_t) override {}
  void release() override {}
  weft::Found receive(weft::Slots& slots, int32_t most) override {
    coalescer.begin(slots, 1, most);
    while (next_ < held_.size() && put(next_)) next_++;
    coalescer.end();
    return weft::Found::kDry;
  }

  void add(const Datagram& datagram) {
    held_.push_back({std::make_unique<uint8_t[]>(datagram.bytes.size()), static_cast<uint32_t>(datagram.bytes.size()), std::make_unique<weft::Origin>(datagram.origin), datagram.kind});
    if (!datagram.bytes.empty()) std::memcpy(held_.back().at.get(), datagram.bytes.data(), datagram.bytes.size());
  }
  bool is_empty() const { return next_ == held_.size(); }
  /// What was listed has been looked at.
  void forget() {
    if (!is_empty()) return;
    held_.clear();
    next_ = 0;
  }
  weft::Coalescer coalescer;

 private:
  struct Held {
    std::unique_ptr<uint8_t[]> at;
    uint32_t bytes;
    std::unique_ptr<weft::Origin> origin;
    weft::TunnelKind kind;
  };
  bool put(size_t index) {
    const Held& held = held_[index];
    const weft::Stripped stripped = weft::strip(held.kind, held.at.get(), held.bytes);
    if ((stripped.flags & weft::kArrivalBad) != 0) return coalescer.put_bad(*held.origin, held.at.get(), held.bytes);
    return coalescer.put({held.origin.get(), stripped, held.at.get() + stripped.header_bytes, held.bytes - stripped.header_bytes});
  }
  std::vector<Held> held_;
  size_t next_ = 0;
};

class Arrivals {
 public:
  Worker worker{make_arena(1)};
  Feed feed;
  model::Rig finisher;

  /// One turn: what it listed.
  std::vector<Listed> turn(int32_t most = weft::kBatchMax) {
    std::vector<Listed> all;
    for (const int32_t slot : worker.receive(feed, most)) all.push_back(look(slot));
    feed.forget();
    return all;
  }
  /// Turns until all of `datagrams` is listed.
  std::vector<Listed> arrive(const std::vector<Datagram>& datagrams, int32_t most = weft::kBatchMax) {
    for (const Datagram& datagram : datagrams) feed.add(datagram);
    std::vector<Listed> all;
    do {
      const auto some = turn(most);
      CHECK(static_cast<int32_t>(some.size()) <= most && (!some.empty() || datagrams.empty()));
      all.insert(all.end(), some.begin(), some.end());
    } while (!feed.is_empty());
    return all;
  }

  /// The frames that an egress without offloads would send of it.
  std::vector<Bytes> finish(const Listed& listed) {
    if (!listed.has_vnet) return {listed.frame};
    weft::Unfinished frame{};
    model::Pieces pieces(listed.frame, std::min<size_t>(listed.frame.size(), weft::kHeadBytes), 1000);
    frame = pieces.frame;
    frame.gso_type = listed.gso_type();
    frame.gso_size = listed.gso_size();
    frame.needs_checksum = listed.needs_checksum();
    frame.checksum_start = listed.vnet_word(3);
    frame.checksum_offset = listed.vnet_word(4);
    finisher.finisher.reset();
    const int32_t count = finisher.finish(frame);
    std::vector<Bytes> all;
    for (int32_t k = 0; k < count; k++) all.push_back(finisher.frame(k));
    return all;
  }

 private:
  Listed look(int32_t slot) {
    CHECK(!worker.is_spoilt(slot));
    const int32_t* const facts = worker.facts(slot);
    CHECK(facts[weft::kFactIngress] == 1 && facts[weft::kFactHeadAt] % 4 == 0);
    const int32_t* const words = reinterpret_cast<const int32_t*>(worker.slots.arena() + facts[weft::kFactHeadAt]);
    return {worker.frame(slot),
            (facts[weft::kFactFlags] & weft::kFlagVnet) != 0,
            worker.vnet(slot),
            static_cast<uint32_t>(words[weft::kArrivalAddress]),
            words[weft::kArrivalOuter],
            static_cast<uint32_t>(words[weft::kArrivalHeader]),
            static_cast<uint32_t>(words[weft::kArrivalKey]),
            worker.is_foreign(slot)};
  }
};

/// IPv4's and TCP's or UDP's checksums anew, by the naive sum; of a frame without IP options or extension headers.
inline void refresh(Bytes& frame, const Spec& spec) {
  const size_t l3 = spec.l3_at(), l4 = spec.l4_at();
  if (!spec.v6) {
    frame[l3 + 10] = frame[l3 + 11] = 0;
    const uint32_t checksum = 65535 - model::naive_sum(Bytes(frame.begin() + static_cast<long>(l3), frame.begin() + static_cast<long>(l4)));
    frame[l3 + 10] = static_cast<uint8_t>(checksum >> 8);
    frame[l3 + 11] = static_cast<uint8_t>(checksum);
  }
  const size_t field = l4 + spec.checksum_offset();
  frame[field] = frame[field + 1] = 0;
  Bytes summed(frame.begin() + static_cast<long>(l3 + (spec.v6 ? 8 : 12)), frame.begin() + static_cast<long>(l3 + (spec.v6 ? 40 : 20)));
  model::number(summed, frame.size() - l4, 4);
  model::number(summed, spec.protocol(), 4);
  summed.insert(summed.end(), frame.begin() + static_cast<long>(l4), frame.end());
  const uint32_t checksum = 65535 - model::naive_sum(summed);
  frame[field] = static_cast<uint8_t>(checksum >> 8);
  frame[field + 1] = static_cast<uint8_t>(checksum);
}

}  // namespace rig

/// arrival-rules.cc, coalesce-rules.cc.
void run_arrival_rules();
void run_coalesce_rules();
/// arrival-fuzz.cc: streams that are merged and cut again; anything at all.
int run_streams(uint64_t seed, uint64_t cases);
int run_garbage(uint64_t seed, uint64_t cases);

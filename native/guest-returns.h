// When a guest's transmit queue gets its buffers back: a few only with later ones while frames flow, all once it was quiet for a while, as a
// network card moderates what it completes. One per queue, of the worker that serves it.
//
// It saves both sides a cache line per batch, and more where guests run DPDK: its driver frees in one go what came back once all but 32 of a
// ring did, more than its caches hold, and then every frame costs it memory that is cold: 10 instead of 15 million frames a second (2026-11).
#pragma once
#include <algorithm>
#include <cstdint>

namespace weft {

class Returns {
 public:
  /// How many chains may stay back of a ring of `size`. An eighth at the most: a driver that stopped its queue wants to be called when three
  /// quarters of what is out came back (virtio-net of Linux, by EVENT_IDX).
  uint32_t kept(uint32_t size) const { return is_hurried_ ? 0 : std::min({kCountMax, size / 8, kBytesMax / std::max(mean_bytes_, 1u)}); }

  /// `count` frames of so many bytes came at this time.
  void heard(double now_ns, uint64_t bytes, int32_t count) {
    mean_bytes_ = (3 * mean_bytes_ + static_cast<uint32_t>(bytes / static_cast<uint32_t>(count))) / 4;
    heard_ns_ = now_ns;
    frames_ += static_cast<uint64_t>(count);
    if (is_hurried_ && now_ns > hurried_until_ns_) is_hurried_ = false;
  }

  /// A look found nothing: whether it was quiet for long enough to return all that stayed back, if anything did. A sender that falls quiet
  /// after every few frames may be waiting for its buffers (a small window, TCP's "small queues"): it gets them at once, for some milliseconds.
  bool quiet(double now_ns, bool keeps) {
    if (!keeps || now_ns - heard_ns_ <= kQuietNs) return false;
    strikes_ = frames_ < kFlowFrames ? strikes_ + 1 : 0;
    frames_ = 0;
    if (strikes_ >= kStrikesMax) {
      strikes_ = kStrikesMax - 1;
      is_hurried_ = true;
      hurried_until_ns_ = now_ns + kHurriedNs;
    }
    return true;
  }

 private:
  static constexpr uint32_t kCountMax = 64;
  static constexpr uint32_t kBytesMax = 128 << 10;
  static constexpr double kQuietNs = 20000;
  static constexpr uint64_t kFlowFrames = 512;
  static constexpr double kHurriedNs = 10e6;
  static constexpr int32_t kStrikesMax = 4;

  uint32_t mean_bytes_ = 0;
  int32_t strikes_ = 0;
  uint64_t frames_ = 0;  // since all were returned
  bool is_hurried_ = false;
  double heard_ns_ = 0;
  double hurried_until_ns_ = 0;
};

}  // namespace weft

// HOT: once per datagram.
#include "decapsulate.h"

#include <cstring>

#include "checksum.h"

namespace weft {

namespace {

constexpr uint32_t kWordBytes = 4;
// RFC 7348, section 5; RFC 8926, section 3.4: both begin with eight bytes, the VNI in the second word.
constexpr uint32_t kUdpTunnelBytes = 8;

// RFC 8926, section 3.5: options of 4 bytes and as many words as the low five bits of their last byte tell.
constexpr uint8_t kOptionWordsMask = 0x3f;
constexpr uint32_t kGeneveFlagsAt = 1;
constexpr uint8_t kGeneveCritical = 0x40;
constexpr uint32_t kOptionTypeAt = 2;
constexpr uint32_t kOptionLengthAt = 3;
constexpr uint8_t kOptionCritical = 0x80;
constexpr uint8_t kOptionLengthMask = 0x1f;

// RFC 2784, section 2.1, and RFC 2890, section 2.1.
constexpr uint32_t kGreBytes = 4;
constexpr uint16_t kGreChecksum = 0x8000;
constexpr uint16_t kGreKey = 0x2000;
constexpr uint16_t kGreSequence = 0x1000;
// The routing bit of RFC 1701, its other bits that a receiver must know, and the version.
constexpr uint16_t kGreForbidden = 0x4c00 | 0x0007;
constexpr uint16_t kTypeBridged = 0x6558;

uint32_t word_at(const uint8_t* at) {
  uint32_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

Stripped bad(uint32_t header, uint32_t key) { return {0, header, key, kArrivalBad}; }

Stripped strip_geneve(const uint8_t* at, uint32_t bytes) {
  const uint32_t header = word_at(at), key = word_at(at + kWordBytes);
  const uint32_t end = kUdpTunnelBytes + (at[0] & kOptionWordsMask) * kWordBytes;
  if (end > bytes) return bad(header, key);
  int32_t flags = (at[kGeneveFlagsAt] & kGeneveCritical) != 0 ? kArrivalCritical : 0;
  for (uint32_t option = kUdpTunnelBytes; option < end;) {
    if ((at[option + kOptionTypeAt] & kOptionCritical) != 0) flags |= kArrivalCritical;
    option += kWordBytes + (at[option + kOptionLengthAt] & kOptionLengthMask) * kWordBytes;
    if (option > end) return bad(header, key);
  }
  return {end, header, key, flags};
}

Stripped strip_gre(const uint8_t* at, uint32_t bytes) {
  if (bytes < kGreBytes) return bad(0, 0);
  const uint32_t header = word_at(at);
  const uint16_t flags = read16(at);
  if ((flags & kGreForbidden) != 0 || read16(at + 2) != kTypeBridged) return bad(header, 0);
  uint32_t end = kGreBytes;
  if ((flags & kGreChecksum) != 0) end += kWordBytes;
  const uint32_t key_at = end;
  if ((flags & kGreKey) != 0) end += kWordBytes;
  if ((flags & kGreSequence) != 0) end += kWordBytes;
  if (end > bytes) return bad(header, 0);
  if ((flags & kGreChecksum) != 0 && fold(sum_bytes(at, bytes, 0)) != 0xffff) return bad(header, 0);
  return {end, header, (flags & kGreKey) != 0 ? word_at(at + key_at) : 0, 0};
}

}  // namespace

Stripped strip(TunnelKind kind, const uint8_t* at, uint32_t bytes) {
  Stripped stripped;
  if (kind == TunnelKind::kGre) {
    stripped = strip_gre(at, bytes);
  } else if (bytes < kUdpTunnelBytes) {
    return bad(bytes >= kWordBytes ? word_at(at) : 0, 0);
  } else if (kind == TunnelKind::kGeneve) {
    stripped = strip_geneve(at, bytes);
  } else {
    stripped = {kUdpTunnelBytes, word_at(at), word_at(at + kWordBytes), 0};
  }
  if (stripped.flags != kArrivalBad && bytes - stripped.header_bytes < kInnerBytesMin) stripped.flags |= kArrivalBad;
  return stripped;
}

}  // namespace weft

// The finisher's answer sheet: frames built byte by byte from a description, with a naive checksum. Every expected
// segment is made from nothing, never by changing a super-frame, so that it shares no method with native/finish.cc.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "../../native/finish.h"

namespace model {

using Bytes = std::vector<uint8_t>;
using Random = std::mt19937_64;

inline uint32_t below(Random& random, uint32_t limit) { return static_cast<uint32_t>(random() % limit); }

inline void number(Bytes& to, uint64_t value, int bytes) {
  for (int i = bytes - 1; i >= 0; i--) to.push_back(static_cast<uint8_t>(value >> (8 * i)));
}

inline void append(Bytes& to, const Bytes& what) { to.insert(to.end(), what.begin(), what.end()); }

// Ones-complement sum as arithmetic modulo 65535, where a multiple of it is 65535 unless everything was zero.
inline uint32_t naive_sum(const Bytes& bytes) {
  uint64_t total = 0;
  for (size_t i = 0; i < bytes.size(); i++) total += i % 2 == 0 ? bytes[i] * 256u : bytes[i];
  if (total == 0) return 0;
  const uint32_t rest = static_cast<uint32_t>(total % 65535);
  return rest == 0 ? 65535 : rest;
}

struct Spec {
  bool v6 = false;
  bool tcp = true;
  std::vector<uint16_t> tags;  // their EtherTypes, outermost first
  Bytes ip_options;            // IPv4
  Bytes extensions;            // IPv6, whole headers; the last one's next header is filled in
  size_t last_extension_at = 0;
  uint8_t first_extension = 0;
  Bytes tcp_options;
  uint8_t flags = 0x10;
  uint16_t id = 0;
  uint32_t sequence = 0;
  uint8_t salt = 0;  // makes addresses and ports differ
  Bytes payload;

  uint8_t protocol() const { return tcp ? 6 : 17; }
  uint32_t l3_at() const { return 14 + 4 * static_cast<uint32_t>(tags.size()); }
  uint32_t l4_at() const {
    return l3_at() + static_cast<uint32_t>(v6 ? 40 + extensions.size() : 20 + ip_options.size());
  }
  uint32_t header_bytes() const { return l4_at() + (tcp ? 20 + static_cast<uint32_t>(tcp_options.size()) : 8); }
  uint16_t checksum_offset() const { return tcp ? 16 : 6; }
  uint8_t gso_type() const { return tcp ? (v6 ? weft::kGsoTcpV6 : weft::kGsoTcpV4) : weft::kGsoUdpL4; }
};

// What one frame of the description is to say; `whole` leaves the sum of the pseudo-header in the checksum field.
struct Part {
  size_t from, to;
  uint32_t sequence;
  uint16_t id;
  uint8_t flags;
  bool unfinished;
};

inline Bytes addresses(const Spec& spec) {
  Bytes out;
  for (int i = 0; i < (spec.v6 ? 32 : 8); i++) out.push_back(static_cast<uint8_t>(spec.salt * 7 + i * 31 + 10));
  return out;
}

inline Bytes l4_of(const Spec& spec, const Part& part, uint32_t field) {
  Bytes out;
  const size_t bytes = spec.header_bytes() - spec.l4_at() + part.to - part.from;
  number(out, 0x3000u + spec.salt, 2);
  number(out, 443, 2);
  if (spec.tcp) {
    number(out, part.sequence, 4);
    number(out, 0x01020304, 4);
    number(out, (5 + spec.tcp_options.size() / 4) << 4, 1);
    number(out, part.flags, 1);
    number(out, 0x7fff, 2);
    number(out, field, 2);
    number(out, 0x0102, 2);
    append(out, spec.tcp_options);
  } else {
    number(out, bytes, 2);
    number(out, field, 2);
  }
  const auto payload = spec.payload.begin();
  out.insert(out.end(), payload + static_cast<long>(part.from), payload + static_cast<long>(part.to));
  return out;
}

inline Bytes pseudo_of(const Spec& spec, size_t l4_bytes) {
  Bytes out = addresses(spec);
  number(out, l4_bytes, spec.v6 ? 4 : 2);
  number(out, spec.protocol(), spec.v6 ? 4 : 2);
  return out;
}

inline Bytes l3_of(const Spec& spec, const Part& part, size_t l4_bytes) {
  Bytes out;
  if (spec.v6) {
    number(out, 0x60012345, 4);
    number(out, spec.extensions.size() + l4_bytes, 2);
    number(out, spec.extensions.empty() ? spec.protocol() : spec.first_extension, 1);
    number(out, 64, 1);
    append(out, addresses(spec));
    append(out, spec.extensions);
    return out;
  }
  number(out, 0x45 + spec.ip_options.size() / 4, 1);
  number(out, 0x02, 1);
  number(out, 20 + spec.ip_options.size() + l4_bytes, 2);
  number(out, part.id, 2);
  number(out, 0x4000, 2);
  number(out, 64, 1);
  number(out, spec.protocol(), 1);
  number(out, 0, 2);
  append(out, addresses(spec));
  append(out, spec.ip_options);
  const uint32_t checksum = 65535 - naive_sum(out);
  out[10] = static_cast<uint8_t>(checksum >> 8);
  out[11] = static_cast<uint8_t>(checksum);
  return out;
}

inline Bytes frame_of(const Spec& spec, const Part& part) {
  const Bytes bare = l4_of(spec, part, 0);
  const Bytes pseudo = pseudo_of(spec, bare.size());
  Bytes summed = pseudo;
  append(summed, bare);
  uint32_t field = part.unfinished ? naive_sum(pseudo) : 65535 - naive_sum(summed);
  if (!part.unfinished && !spec.tcp && field == 0) field = 65535;
  Bytes out{0x02, 0, 0, 0, 0, 0x01, 0x02, 0, 0, 0, 0, 0x02};
  for (const uint16_t tag : spec.tags) {
    number(out, tag, 2);
    number(out, 0x2064, 2);
  }
  number(out, spec.v6 ? 0x86dd : 0x0800, 2);
  append(out, l3_of(spec, part, bare.size()));
  append(out, l4_of(spec, part, field));
  return out;
}

inline Bytes super_of(const Spec& spec) {
  return frame_of(spec, Part{0, spec.payload.size(), spec.sequence, spec.id, spec.flags, true});
}

inline std::vector<Bytes> segments_of(const Spec& spec, size_t gso_size) {
  std::vector<Bytes> out;
  size_t from = 0;
  do {
    const bool last = spec.payload.size() - from <= gso_size;
    const size_t to = last ? spec.payload.size() : from + gso_size;
    uint8_t flags = spec.flags;
    if (!last) flags = static_cast<uint8_t>(flags & 0xf6);
    if (from != 0) flags = static_cast<uint8_t>(flags & 0x7f);
    const uint32_t sequence = static_cast<uint32_t>(spec.sequence + from);
    out.push_back(frame_of(spec, Part{from, to, sequence, static_cast<uint16_t>(spec.id + out.size()), flags, false}));
    from = to;
  } while (from < spec.payload.size());
  return out;
}

inline Bytes random_bytes(Random& random, size_t count) {
  Bytes out(count);
  for (uint8_t& byte : out) byte = static_cast<uint8_t>(random());
  return out;
}

// One extension header of 8 × (1 + units) bytes: padding, or a routing header whose route is done.
inline void add_extension(Spec& spec, uint8_t kind, uint8_t units) {
  if (spec.extensions.empty()) spec.first_extension = kind;
  else spec.extensions[spec.last_extension_at] = kind;
  spec.last_extension_at = spec.extensions.size();
  Bytes header(8 + units * 8u, 0);
  header[0] = spec.protocol();
  header[1] = units;
  header[2] = 1;
  header[3] = static_cast<uint8_t>(kind == 43 ? 0 : 4 + units * 8);
  append(spec.extensions, header);
}

// Headers of every shape that a segmenter must take, with up to `payload_max` − 1 bytes behind them.
inline Spec random_spec(Random& random, size_t payload_max) {
  Spec spec;
  spec.v6 = below(random, 2) == 1;
  spec.tcp = below(random, 3) != 0;
  for (uint32_t i = below(random, 3); i > 0; i--) spec.tags.push_back(below(random, 2) == 0 ? 0x8100 : 0x88a8);
  if (!spec.v6 && below(random, 4) == 0) spec.ip_options = Bytes(4 * (1 + below(random, 10)), 1);
  if (spec.v6 && below(random, 4) == 0) {
    add_extension(spec, 0, static_cast<uint8_t>(below(random, 2)));
    if (below(random, 2) == 0) add_extension(spec, 60, static_cast<uint8_t>(below(random, 3)));
  }
  if (spec.tcp) spec.tcp_options = Bytes(4 * below(random, 11), 1);
  spec.flags = static_cast<uint8_t>(0x10 | (random() & 0xc9));
  spec.id = static_cast<uint16_t>(random());
  spec.sequence = static_cast<uint32_t>(random());
  spec.salt = static_cast<uint8_t>(random());
  spec.payload = random_bytes(random, below(random, static_cast<uint32_t>(payload_max)));
  return spec;
}

}  // namespace model

// The parts of the guests' native tests, each a list of named rules.
#pragma once
#include <cstdint>

struct Rule {
  const char* name;
  void (*run)();
};

/// guest-receive-rules.cc, guest-transmit-rules.cc, guest-ring-rules.cc: lists that end with an empty one.
extern const Rule kReceiveRules[];
extern const Rule kTransmitRules[];
extern const Rule kRingRules[];
/// guest-fault.cc: files that are cut short.
extern const Rule kFaultRules[];
/// guest-fair.cc: an engine with several ports.
extern const Rule kFairRules[];

/// guest-fuzz.cc: `cases` hostile turns; `scribbles`: with a thread that writes into the guest's memory meanwhile.
int run_fuzz(uint64_t seed, uint64_t cases, bool scribbles);

// Tests of native/decapsulate, inner and coalesce without Node and sockets. Arguments: `rules`, `streams SEED CASES`, `garbage SEED CASES`.
// Exit code 0 passed, 1 failed. Built with ASan and UBSan by arrival.test.ts.
#include <cstdlib>
#include <string_view>

#include "arrival-rig.h"

int main(int count, char** arguments) {
  const std::string_view part = count > 1 ? arguments[1] : "rules";
  if (part == "rules") {
    run_arrival_rules();
    run_coalesce_rules();
    return 0;
  }
  if (count < 4) return 2;
  const uint64_t seed = std::strtoull(arguments[2], nullptr, 10), cases = std::strtoull(arguments[3], nullptr, 10);
  return part == "streams" ? run_streams(seed, cases) : run_garbage(seed, cases);
}

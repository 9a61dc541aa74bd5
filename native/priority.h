// How soon a thread gets a CPU that others want too.
#pragma once

namespace weft {

/// This thread comes before its equals (nice −10), and nothing that it starts, threads or processes, inherits that. 0, or −errno: EPERM
/// without CAP_SYS_NICE or a limit (RLIMIT_NICE) that allows it. sched_setattr(2).
int prefer_thread();

}  // namespace weft

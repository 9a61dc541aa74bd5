#include "priority.h"

#include <cerrno>
#include <linux/sched.h>
#include <linux/sched/types.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace weft {

namespace {
constexpr int kNice = -10;
}

int prefer_thread() {
  sched_attr wanted{};
  wanted.size = sizeof wanted;
  wanted.sched_policy = SCHED_NORMAL;
  wanted.sched_flags = SCHED_FLAG_RESET_ON_FORK;
  wanted.sched_nice = kNice;
  return ::syscall(SYS_sched_setattr, 0, &wanted, 0) == 0 ? 0 : -errno;
}

}  // namespace weft

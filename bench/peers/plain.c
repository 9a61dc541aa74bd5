// A patch between two TAPs in plain C: read, write, nothing else. What the same system calls cost when nobody decides anything; the floor
// under every switch that reads and writes TAPs. usage: plain TAP TAP busy|adaptive|interrupt
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { HEADER_BYTES = 12, FRAME_BYTES = 66560, BATCH_COUNT = 64, SPIN_NS = 50000 };

static int open_tap(const char *name) {
  struct ifreq request;
  memset(&request, 0, sizeof request);
  strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK), bytes = HEADER_BYTES;
  if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0 || ioctl(fd, TUNSETVNETHDRSZ, &bytes) < 0 ||
      ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN) < 0) {
    perror(name);
    return -1;
  }
  return fd;
}

static long now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000L + now.tv_nsec;
}

int main(int count, char **words) {
  static unsigned char frame[FRAME_BYTES];
  if (count != 4) return 2;
  const int fds[2] = {open_tap(words[1]), open_tap(words[2])};
  if (fds[0] < 0 || fds[1] < 0) return 1;
  const int busy = strcmp(words[3], "busy") == 0, sleepy = strcmp(words[3], "interrupt") == 0;
  puts("ready");
  fflush(stdout);
  for (long last = now_ns();;) {
    int moved = 0;
    for (int from = 0; from < 2; from++) {
      for (int k = 0; k < BATCH_COUNT; k++) {
        const ssize_t bytes = read(fds[from], frame, sizeof frame);
        if (bytes <= 0) break;
        if (write(fds[1 - from], frame, (size_t)bytes) < 0 && errno == EBADFD) return 0;
        moved++;
      }
    }
    if (moved > 0 || busy) {
      if (moved > 0) last = now_ns();
      continue;
    }
    if (!sleepy && now_ns() - last < SPIN_NS) {
      sched_yield();
      continue;
    }
    struct pollfd ready[2] = {{fds[0], POLLIN, 0}, {fds[1], POLLIN, 0}};
    poll(ready, 2, 250);
    last = now_ns();
  }
}

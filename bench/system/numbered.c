// Numbered frames of 60 bytes at a steady rate, and the one who counts them: more a second than traffic.py could, without spinning.
//   numbered send DEVICE MAC RATE SECONDS   to MAC, from the device's own address; prints what was sent
//   numbered receive DEVICE                 until SIGTERM; prints `listening`, and at the end what came
// Without service: how long nothing came although frames were under way, that is from the last arrival, or from a frame's sending when that
// was later, to its arrival; where frames between are missing, from the last arrival. So a pause of the sender is none, and nor is a queue that
// moves. Arrival is the kernel's time stamp. Kept as the longest of every 10 ms of arrival; those with missing frames once more by themselves.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FRAME_BYTES = 60, BATCH_COUNT = 64, TYPE = 0x88b5, TICK_NS = 250000, SLICES_COUNT = 6000, SLICE_NS = 10000000 };

static volatile sig_atomic_t stopped;

static void stop(int signal) {
  (void)signal;
  stopped = 1;
}

static int64_t wall_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static int open_socket(const char *device, int protocol) {
  const int fd = socket(AF_PACKET, SOCK_RAW, 0);
  struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(protocol)};
  address.sll_ifindex = (int)if_nametoindex(device);
  if (fd < 0 || address.sll_ifindex == 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0) {
    perror(device);
    exit(1);
  }
  return fd;
}

static int send_frames(const char *device, const char *to, long rate, double seconds) {
  const int fd = open_socket(device, 0);
  struct ifreq request = {0};
  strncpy(request.ifr_name, device, IFNAMSIZ - 1);
  static uint8_t frames[BATCH_COUNT][FRAME_BYTES];
  struct mmsghdr batch[BATCH_COUNT] = {0};
  struct iovec pieces[BATCH_COUNT];
  unsigned mac[6];
  if (ioctl(fd, SIOCGIFHWADDR, &request) < 0 || sscanf(to, "%x:%x:%x:%x:%x:%x", mac, mac + 1, mac + 2, mac + 3, mac + 4, mac + 5) != 6)
    return 2;
  for (int k = 0; k < BATCH_COUNT; k++) {
    for (int i = 0; i < 6; i++) frames[k][i] = (uint8_t)mac[i];
    memcpy(frames[k] + 6, request.ifr_hwaddr.sa_data, 6);
    frames[k][12] = TYPE >> 8, frames[k][13] = TYPE & 0xff;
    pieces[k] = (struct iovec){frames[k], FRAME_BYTES};
    batch[k].msg_hdr.msg_iov = &pieces[k], batch[k].msg_hdr.msg_iovlen = 1;
  }
  prctl(PR_SET_TIMERSLACK, 1);
  const int64_t start = wall_ns(), end = start + (int64_t)(seconds * 1e9);
  int64_t now = start, last = start, pause = 0;
  uint32_t sent = 0, refused = 0, skipped = 0;
  for (; now < end; last = now, now = wall_ns()) {
    if (now - last > pause) pause = now - last;
    int64_t due = (int64_t)((double)(now - start) * (double)rate / 1e9) - sent - skipped;
    // Who was not on a CPU for a while goes on from there: a burst would be lost in the next queue, whoever serves it.
    if (due > rate / 100) skipped += (uint32_t)(due - rate / 100), due = rate / 100;
    while (due > 0) {
      const int count = due < BATCH_COUNT ? (int)due : BATCH_COUNT;
      for (int k = 0; k < count; k++) {
        const uint32_t number = htonl(sent + (uint32_t)k);
        const int64_t stamp = wall_ns();
        memcpy(frames[k] + 14, &number, sizeof number);
        memcpy(frames[k] + 18, &stamp, sizeof stamp);
      }
      const int done = sendmmsg(fd, batch, (unsigned)count, 0);
      if (done <= 0) {
        // The device's own queue was full: this one was never on its way, and its number goes to the next.
        if (errno != ENOBUFS) return 1;
        refused++, skipped++, due--;
        continue;
      }
      sent += (uint32_t)done;
      due -= done;
    }
    struct timespec tick = {0, TICK_NS};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &tick, NULL);
  }
  printf("{\"sent\":%u,\"refused\":%u,\"seconds\":%.3f,\"pauseMs\":%.3f}\n", sent, refused, (double)(wall_ns() - start) / 1e9,
         (double)pause / 1e6);
  return 0;
}

struct count {
  int64_t begin, last;
  uint32_t received, disorder, high;
  int64_t slices[SLICES_COUNT], missing[SLICES_COUNT];
};

static void count_frame(struct count *count, const uint8_t *frame, int64_t arrived) {
  uint32_t number;
  int64_t sent;
  memcpy(&number, frame + 14, sizeof number);
  memcpy(&sent, frame + 18, sizeof sent);
  number = ntohl(number);
  if (count->received == 0) count->begin = arrived;
  const int whole = count->received == 0 || number <= count->high + 1;
  const int64_t without = arrived - (whole && sent > count->last ? sent : count->last);
  if (count->received > 0 && number <= count->high) count->disorder++;
  else count->high = number;
  count->received++;
  count->last = arrived;
  const int64_t slice = (arrived - count->begin) / SLICE_NS;
  if (slice < 0 || slice >= SLICES_COUNT) return;
  if (without > count->slices[slice]) count->slices[slice] = without;
  if (!whole && without > count->missing[slice]) count->missing[slice] = without;
}

static void print_slices(const char *name, const int64_t *slices, int64_t count) {
  printf(",\"%s\":[", name);
  for (int64_t k = 0; k < count && k < SLICES_COUNT; k++) printf("%s%.3f", k == 0 ? "" : ",", (double)slices[k] / 1e6);
  printf("]");
}

static int receive_frames(const char *device) {
  const int fd = open_socket(device, TYPE);
  const int bytes = 64 << 20, on = 1;
  struct timeval wait = {0, 100000};
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
  setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  static struct count count;
  static uint8_t frames[BATCH_COUNT][2048], control[BATCH_COUNT][64];
  struct sockaddr_ll from[BATCH_COUNT];
  struct mmsghdr batch[BATCH_COUNT] = {0};
  struct iovec pieces[BATCH_COUNT];
  struct sigaction action = {.sa_handler = stop};
  sigaction(SIGTERM, &action, NULL);
  puts("listening");
  fflush(stdout);
  while (!stopped) {
    for (int k = 0; k < BATCH_COUNT; k++) {
      pieces[k] = (struct iovec){frames[k], sizeof frames[k]};
      batch[k].msg_hdr = (struct msghdr){&from[k], sizeof from[k], &pieces[k], 1, control[k], sizeof control[k], 0};
    }
    const int got = recvmmsg(fd, batch, BATCH_COUNT, MSG_WAITFORONE, NULL);
    for (int k = 0; k < got; k++) {
      struct cmsghdr *head = CMSG_FIRSTHDR(&batch[k].msg_hdr);
      if (batch[k].msg_len < FRAME_BYTES || from[k].sll_pkttype == PACKET_OUTGOING || head == NULL) continue;
      struct timespec stamp;
      memcpy(&stamp, CMSG_DATA(head), sizeof stamp);
      count_frame(&count, frames[k], stamp.tv_sec * 1000000000LL + stamp.tv_nsec);
    }
  }
  struct tpacket_stats lost = {0};
  socklen_t length = sizeof lost;
  getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &lost, &length);
  printf("{\"received\":%u,\"disorder\":%u,\"missed\":%u,\"beginMs\":%.3f", count.received, count.disorder, lost.tp_drops,
         (double)count.begin / 1e6);
  const int64_t slices = count.received == 0 ? 0 : (count.last - count.begin) / SLICE_NS + 1;
  print_slices("withoutMs", count.slices, slices);
  print_slices("missingMs", count.missing, slices);
  puts("}");
  return 0;
}

int main(int count, char **words) {
  if (count == 6 && strcmp(words[1], "send") == 0) return send_frames(words[2], words[3], atol(words[4]), atof(words[5]));
  if (count == 3 && strcmp(words[1], "receive") == 0) return receive_frames(words[2]);
  fputs("usage: numbered send DEVICE MAC RATE SECONDS | numbered receive DEVICE\n", stderr);
  return 2;
}

// One payload to many addresses as plainly as sockets can, and somebody to whom it goes.
//   flood send LOCAL FIRST COUNT BYTES SECONDS   datagrams of BYTES to COUNT addresses from FIRST on, all in each sendmmsg; prints what was sent
//   flood sink PORT                              a socket that takes nothing: its kernel counts what it refused. Until SIGTERM
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PORT = 4789, COUNT_MAX = 1024, BYTES_MAX = 65507, ROUNDS = 16 };

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int open_socket(uint32_t address, int port) {
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  const struct sockaddr_in local = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = address};
  if (fd < 0 || bind(fd, (const struct sockaddr *)&local, sizeof local) < 0) {
    perror("flood");
    exit(1);
  }
  return fd;
}

static int send_all(const char *local, const char *first, int count, int bytes, double seconds) {
  static uint8_t payload[BYTES_MAX];
  static struct sockaddr_in to[COUNT_MAX];
  static struct mmsghdr batch[COUNT_MAX];
  if (count < 1 || count > COUNT_MAX || bytes < 1 || bytes > BYTES_MAX) return 2;
  struct iovec piece = {payload, (size_t)bytes};
  const int fd = open_socket(inet_addr(local), 0);
  const int buffer = 16 << 20;
  setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof buffer);
  memset(payload, 0x55, sizeof payload);
  for (int k = 0; k < count; k++) {
    to[k] = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(ntohl(inet_addr(first)) + (uint32_t)k)};
    batch[k].msg_hdr = (struct msghdr){&to[k], sizeof to[k], &piece, 1, NULL, 0, 0};
  }
  const double start = now();
  double end = start;
  uint64_t sent = 0;
  while (end - start < seconds) {
    for (int k = 0; k < ROUNDS; k++) {
      const int done = sendmmsg(fd, batch, (unsigned)count, 0);
      if (done < 0) {
        perror("sendmmsg");
        return 1;
      }
      sent += (uint64_t)done;
    }
    end = now();
  }
  printf("{\"sent\":%llu,\"seconds\":%.6f}\n", (unsigned long long)sent, end - start);
  return 0;
}

_Noreturn static void sink(int port) {
  const int fd = open_socket(INADDR_ANY, port), least = 1;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &least, sizeof least);
  puts("listening");
  fflush(stdout);
  for (;;) pause();
}

int main(int count, char **words) {
  if (count == 7 && strcmp(words[1], "send") == 0)
    return send_all(words[2], words[3], atoi(words[4]), atoi(words[5]), atof(words[6]));
  if (count == 3 && strcmp(words[1], "sink") == 0) sink(atoi(words[2]));
  fputs("usage: flood send LOCAL FIRST COUNT BYTES SECONDS | flood sink PORT\n", stderr);
  return 2;
}

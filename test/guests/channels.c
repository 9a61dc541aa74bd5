// Sets how many queue pairs a network device uses, as `ethtool -L DEVICE combined COUNT` does: channels DEVICE COUNT. For guests that have
// busybox only; compiled statically by queues.test.ts.
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

int main(int count, char** words) {
  if (count != 3) return 2;
  struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
  struct ifreq request = {0};
  strncpy(request.ifr_name, words[1], IFNAMSIZ - 1);
  request.ifr_data = (char*)&channels;
  const int any = socket(AF_INET, SOCK_DGRAM, 0);
  if (ioctl(any, SIOCETHTOOL, &request) < 0) return perror("ETHTOOL_GCHANNELS"), 1;
  channels.cmd = ETHTOOL_SCHANNELS;
  channels.combined_count = (unsigned)atoi(words[2]);
  if (ioctl(any, SIOCETHTOOL, &request) < 0) return perror("ETHTOOL_SCHANNELS"), 1;
  return 0;
}

// A guest's network device as a process, for the bench of socket switches: floods frames or counts them, over QEMU's `-netdev stream` or over
// vde_switch's datagrams, in the same way. Compiled and started by sockets.ts:
//   socket-guest stream|vde PATH send BYTES BATCH   until it is ended; BATCH frames a system call
//   socket-guest stream|vde PATH count              prints the clock and how many frames came, ten times a second
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

namespace {

constexpr int kBatchMax = 64;
constexpr uint32_t kFrameMax = 65536 + 64;

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) fail("path");
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

int connected(const std::string& path) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  const sockaddr_un to = address_of(path);
  if (fd < 0 || ::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) < 0) fail(path.c_str());
  return fd;
}

/// The handshake of vde_switch's control socket, version 3: who we are and where our data socket is; it answers where its own is.
struct VdeRequest {
  uint32_t magic = 0xfeedface;
  uint32_t version = 3;
  uint32_t type = 0;
  sockaddr_un data{};
  char description[128] = "bench";
} __attribute__((packed));

/// The data socket. The control connection stays open for as long as the port is wanted.
int plugged(const std::string& folder) {
  const int control = connected(folder + "/ctl");
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM, 0);
  const sockaddr_un own = address_of(folder + "/guest." + std::to_string(::getpid()));
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&own), sizeof own) < 0) fail("bind");
  VdeRequest request;
  request.data = own;
  if (::send(control, &request, sizeof request, 0) != static_cast<ssize_t>(sizeof request)) fail("send");
  sockaddr_un theirs{};
  if (::recv(control, &theirs, sizeof theirs, 0) <= 0) fail("recv");
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&theirs), sizeof theirs) < 0) fail("connect");
  return fd;
}

/// Addresses: the counting guest is 02:…:02, the sending one 02:…:01. EtherType 0x88b5.
void write_frame(uint8_t* at, uint32_t bytes, uint8_t to, uint8_t from) {
  std::memset(at, 0x55, bytes);
  const uint8_t header[14] = {2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from, 0x88, 0xb5};
  std::memcpy(at, header, sizeof header);
}

void write_length(uint8_t* at, uint32_t bytes) {
  const uint32_t big = __builtin_bswap32(bytes);
  std::memcpy(at, &big, sizeof big);
}

void send_stream(int fd, uint32_t bytes, int batch, long count, uint8_t to, uint8_t from) {
  std::vector<uint8_t> frames(static_cast<size_t>(batch) * (4 + bytes));
  for (int k = 0; k < batch; k++) {
    uint8_t* const at = frames.data() + static_cast<size_t>(k) * (4 + bytes);
    write_length(at, bytes);
    write_frame(at + 4, bytes, to, from);
  }
  for (long k = 0; k < count; k++) {
    for (size_t at = 0; at < frames.size();) {
      const ssize_t sent = ::send(fd, frames.data() + at, frames.size() - at, MSG_NOSIGNAL);
      if (sent < 0) std::exit(0);
      at += static_cast<size_t>(sent);
    }
  }
}

void send_datagrams(int fd, uint32_t bytes, int batch, long count, uint8_t to, uint8_t from) {
  std::vector<uint8_t> frame(bytes);
  write_frame(frame.data(), bytes, to, from);
  iovec piece{frame.data(), bytes};
  mmsghdr messages[kBatchMax] = {};
  for (auto& message : messages) {
    message.msg_hdr.msg_iov = &piece;
    message.msg_hdr.msg_iovlen = 1;
  }
  for (long k = 0; k < count; k++) {
    for (int done = 0; done < batch;) {
      const int sent = batch == 1 ? (::send(fd, frame.data(), bytes, MSG_NOSIGNAL) < 0 ? -1 : 1)
                                  : ::sendmmsg(fd, messages, static_cast<unsigned>(batch - done), MSG_NOSIGNAL);
      if (sent < 0) {
        // A datagram socket may say so instead of waiting.
        if (errno == ENOBUFS || errno == EAGAIN) continue;
        std::exit(0);
      }
      done += sent;
    }
  }
}

double now() {
  timespec time;
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

/// Frames as they come; ten lines a second.
class Counter {
 public:
  void add(uint64_t frames) {
    frames_ += frames;
    if (++calls_ % 4 != 0) return;
    const double time = now();
    if (time < next_) return;
    std::printf("%.6f %llu\n", time, static_cast<unsigned long long>(frames_));
    std::fflush(stdout);
    next_ = time + 0.1;
  }

 private:
  uint64_t frames_ = 0;
  uint64_t calls_ = 0;
  double next_ = 0;
};

void count_stream(int fd) {
  std::vector<uint8_t> buffer(512 << 10);
  size_t end = 0;
  Counter counter;
  for (;;) {
    const ssize_t got = ::recv(fd, buffer.data() + end, buffer.size() - end, 0);
    if (got <= 0) return;
    end += static_cast<size_t>(got);
    size_t at = 0;
    uint64_t frames = 0;
    while (end - at >= 4) {
      uint32_t length;
      std::memcpy(&length, buffer.data() + at, sizeof length);
      length = __builtin_bswap32(length);
      if (length > kFrameMax) fail("framing");
      if (end - at - 4 < length) break;
      at += 4 + length;
      frames++;
    }
    std::memmove(buffer.data(), buffer.data() + at, end - at);
    end -= at;
    counter.add(frames);
  }
}

void count_datagrams(int fd) {
  static uint8_t buffers[kBatchMax][2048];
  mmsghdr messages[kBatchMax] = {};
  iovec pieces[kBatchMax];
  for (int k = 0; k < kBatchMax; k++) {
    pieces[k] = {buffers[k], sizeof buffers[k]};
    messages[k].msg_hdr.msg_iov = pieces + k;
    messages[k].msg_hdr.msg_iovlen = 1;
  }
  Counter counter;
  for (;;) {
    const int got = ::recvmmsg(fd, messages, kBatchMax, MSG_WAITFORONE, nullptr);
    if (got <= 0) return;
    counter.add(static_cast<uint64_t>(got));
  }
}

}  // namespace

int main(int count, char** words) {
  if (count < 4) return 2;
  const bool is_vde = std::string(words[1]) == "vde";
  const int fd = is_vde ? plugged(words[2]) : connected(words[2]);
  const auto send = is_vde ? send_datagrams : send_stream;
  if (std::string(words[3]) == "count") {
    // Its address is learned. A port that has just come up may miss the first.
    for (int k = 0; k < 5; k++) {
      send(fd, 60, 1, 1, 1, 2);
      ::usleep(50'000);
    }
    (is_vde ? count_datagrams : count_stream)(fd);
    return 0;
  }
  if (count < 6) return 2;
  const int batch = std::atoi(words[5]);
  if (batch < 1 || batch > kBatchMax) return 2;
  send(fd, static_cast<uint32_t>(std::atoi(words[4])), batch, 1L << 60, 2, 1);
  return 0;
}

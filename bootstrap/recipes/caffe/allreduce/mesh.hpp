// Messages between ranks over one connected stream socket per pair of ranks.
//
// Sockets are driven by the thread that calls `progress` or `wait_until`: there is no thread of its own, and
// nothing blocks but `wait_until`. Of a collective, each rank awaits a known number of messages from each
// peer, and reads no byte after them: a peer that is a collective ahead waits in the kernel's buffers.

#ifndef CAFFE_ALLREDUCE_MESH_HPP_
#define CAFFE_ALLREDUCE_MESH_HPP_

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <deque>
#include <stdexcept>
#include <string>
#include <vector>

namespace allreduce {

using Clock = std::chrono::steady_clock;

// What a collective did not complete for, and the peers that are to blame.
struct Lost : std::runtime_error {
  Lost(const std::string& why, std::vector<int> ranks) : std::runtime_error(why), ranks(std::move(ranks)) {}
  std::vector<int> ranks;
};

struct Header {
  uint32_t collective;  // counts the collectives of a group, so that ranks that are out of step are found
  uint32_t kind;
  uint32_t bucket;
  uint32_t bytes;
};

// Receiver of messages. A payload goes to `place`, and `arrived` follows; where `place` returns nullptr, the
// payload is streamed: it is handed over in pieces of whole elements.
class Sink {
 public:
  virtual ~Sink() {}
  virtual char* place(int peer, const Header& header) = 0;
  virtual void piece(int peer, const Header& header, size_t offset, const char* data, size_t bytes) = 0;
  virtual void arrived(int peer, const Header& header) = 0;
};

// Received bytes of a stream are handed on in pieces that stay in the processor's cache.
constexpr size_t kPiece = 128 * 1024;

class Mesh {
 public:
  // Takes the sockets over; that of the own rank is -1.
  Mesh(int rank, const std::vector<int>& sockets, std::chrono::milliseconds timeout)
      : rank_(rank), timeout_(timeout), scratch_(kPiece + kAlignment) {
    for (size_t peer = 0; peer < sockets.size(); ++peer) {
      peers_.emplace_back(static_cast<int>(peer), sockets[peer]);
      if (static_cast<int>(peer) == rank) continue;
      const int one = 1;
      // Fails on sockets that are not TCP's, which have nothing to turn off.
      setsockopt(sockets[peer], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
      fcntl(sockets[peer], F_SETFL, fcntl(sockets[peer], F_GETFL) | O_NONBLOCK);
    }
  }
  ~Mesh() { close(); }
  Mesh(const Mesh&) = delete;
  Mesh& operator=(const Mesh&) = delete;

  int rank() const { return rank_; }
  int size() const { return static_cast<int>(peers_.size()); }

  // Begins a collective, whose messages go to `sink`.
  void begin(Sink* sink) {
    sink_ = sink;
    ++collective_;
    for (auto& peer : peers_) peer.sent = peer.received = 0;
  }

  void await(int peer, size_t messages) { peers_[peer].awaited += messages; }

  // Queues a message. The payload is borrowed until it is sent; without bytes there is none.
  void send(int to, uint32_t kind, uint32_t bucket, const char* payload, size_t bytes) {
    Peer& peer = peers_[to];
    peer.out.push_back({{collective_, kind, bucket, static_cast<uint32_t>(bytes)}, payload, bytes});
  }

  // Sends and receives what is possible at once. Returns whether a byte has moved.
  bool progress() {
    bool moved = false;
    for (auto& peer : peers_) {
      if (peer.fd < 0) continue;
      moved |= push(peer);
      moved |= pull(peer);
    }
    return moved;
  }

  // Drives the sockets until all messages are sent and received.
  void finish() {
    auto last = Clock::now();
    while (true) {
      if (progress()) last = Clock::now();
      polled_.clear();
      bool open = false;
      for (auto& peer : peers_) {
        if (peer.fd < 0 || (peer.out.empty() && !peer.awaited)) continue;
        open = true;
        const short events = (peer.out.empty() ? 0 : POLLOUT) | (readable(peer) ? POLLIN : 0);
        polled_.push_back({peer.fd, events, 0});
      }
      if (!open) return;
      const auto left = timeout_ - std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - last);
      if (left.count() <= 0) throw silent();
      if (poll(polled_.data(), polled_.size(), static_cast<int>(left.count())) < 0 && errno != EINTR) {
        throw Lost(std::string("poll: ") + std::strerror(errno), others());
      }
    }
  }

  void close() {
    for (auto& peer : peers_) {
      if (peer.fd < 0) continue;
      // Peers that wait learn of it at once, also while a child of this process has the socket open.
      shutdown(peer.fd, SHUT_RDWR);
      ::close(peer.fd);
      peer.fd = -1;
    }
  }

 private:
  static constexpr size_t kAlignment = 8;

  struct Message {
    Header header;
    const char* payload;
    size_t bytes;
  };
  struct Peer {
    Peer(int rank, int fd) : rank(rank), fd(fd) {}
    int rank, fd;
    std::deque<Message> out;
    size_t out_done = 0;  // bytes of the first message, header included, that are sent
    size_t awaited = 0;
    Header in{};
    size_t in_done = 0;  // the same of the message that is being received
    char* place = nullptr;
    size_t tail = 0;  // bytes at the start of `kept` that are less than an element
    char kept[kAlignment];
    size_t sent = 0, received = 0;  // bytes in this collective
  };

  bool push(Peer& peer) {
    bool moved = false;
    while (!peer.out.empty()) {
      iovec parts[kBatch];
      int count = 0;
      size_t skipped = peer.out_done;
      for (auto& message : peer.out) {
        if (count + 2 > kBatch) break;
        if (skipped < sizeof(Header)) {
          char* header = reinterpret_cast<char*>(&message.header);
          parts[count++] = {header + skipped, sizeof(Header) - skipped};
          skipped = sizeof(Header);
        }
        const size_t from = skipped - sizeof(Header);
        if (message.bytes > from) {
          parts[count++] = {const_cast<char*>(message.payload) + from, message.bytes - from};
        }
        skipped = 0;
      }
      msghdr batch{};
      batch.msg_iov = parts;
      batch.msg_iovlen = count;
      const ssize_t done = sendmsg(peer.fd, &batch, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (done < 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return moved;
        throw broken(peer);
      }
      moved = true;
      peer.sent += done;
      peer.out_done += done;
      while (!peer.out.empty() && peer.out_done >= sizeof(Header) + peer.out.front().bytes) {
        peer.out_done -= sizeof(Header) + peer.out.front().bytes;
        peer.out.pop_front();
      }
    }
    return moved;
  }

  bool pull(Peer& peer) {
    bool moved = false;
    while (peer.awaited) {
      if (peer.in_done < sizeof(Header)) {
        char* header = reinterpret_cast<char*>(&peer.in);
        const size_t done = take(peer, header + peer.in_done, sizeof(Header) - peer.in_done);
        if (!done) return moved;
        moved = true;
        peer.in_done += done;
        if (peer.in_done < sizeof(Header)) continue;
        if (peer.in.collective != collective_) throw Lost("the ranks are out of step", {peer.rank});
        peer.place = peer.in.bytes ? sink_->place(peer.rank, peer.in) : nullptr;
      }
      const size_t offset = peer.in_done - sizeof(Header);
      if (offset < peer.in.bytes) {
        const size_t done = peer.place ? take(peer, peer.place + offset, peer.in.bytes - offset)
                                       : stream(peer, offset);
        if (!done) return moved;
        moved = true;
        peer.in_done += done;
        if (peer.in_done - sizeof(Header) < peer.in.bytes) continue;
      }
      peer.in_done = 0;
      --peer.awaited;
      sink_->arrived(peer.rank, peer.in);
    }
    return moved;
  }

  // Streams part of a payload: no more than this rank has sent itself, since what both have sent can be
  // reduced in place.
  size_t stream(Peer& peer, size_t offset) {
    const size_t allowed = peer.sent > peer.received ? peer.sent - peer.received : 0;
    const size_t want = std::min({peer.in.bytes - offset, kPiece, allowed});
    if (!want) return 0;
    std::memcpy(scratch_.data(), peer.kept, peer.tail);
    const size_t done = take(peer, scratch_.data() + peer.tail, want);
    if (!done) return 0;
    const size_t have = peer.tail + done, whole = have - have % kAlignment;
    const bool last = offset + done == peer.in.bytes;
    sink_->piece(peer.rank, peer.in, offset - peer.tail, scratch_.data(), last ? have : whole);
    peer.tail = last ? 0 : have - whole;
    std::memcpy(peer.kept, scratch_.data() + whole, peer.tail);
    return done;
  }

  // Receives up to that many bytes; returns 0 when there are none now.
  size_t take(Peer& peer, char* to, size_t bytes) {
    const ssize_t done = recv(peer.fd, to, bytes, MSG_DONTWAIT);
    if (done == 0) throw closed(peer);
    if (done < 0) {
      if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return 0;
      throw broken(peer);
    }
    peer.received += done;
    return done;
  }

  bool readable(const Peer& peer) const {
    if (!peer.awaited) return false;
    const bool streams = peer.in_done >= sizeof(Header) && !peer.place;
    return !streams || peer.sent > peer.received;
  }

  static Lost closed(const Peer& peer) { return Lost("the connection was closed", {peer.rank}); }

  static Lost broken(const Peer& peer) {
    if (errno == EPIPE || errno == ECONNRESET) return closed(peer);
    return Lost(std::strerror(errno), {peer.rank});
  }

  // Names the peers that owe the most: others only wait for those too.
  Lost silent() const {
    size_t most = 0;
    for (const auto& peer : peers_) most = std::max(most, peer.fd < 0 ? 0 : peer.awaited);
    std::vector<int> waiting;
    for (const auto& peer : peers_) {
      if (peer.fd < 0) continue;
      // Where nobody owes anything, somebody does not take what was sent.
      if (most ? peer.awaited == most : !peer.out.empty()) waiting.push_back(peer.rank);
    }
    const double seconds = timeout_.count() / 1000.0;
    char text[64];
    snprintf(text, sizeof text, "nothing for %g s", seconds);
    return Lost(text, waiting);
  }

  std::vector<int> others() const {
    std::vector<int> all;
    for (const auto& peer : peers_) {
      if (peer.rank != rank_) all.push_back(peer.rank);
    }
    return all;
  }

  static constexpr int kBatch = 16;

  const int rank_;
  const std::chrono::milliseconds timeout_;
  std::vector<Peer> peers_;
  std::vector<pollfd> polled_;
  std::vector<char> scratch_;
  Sink* sink_ = nullptr;
  uint32_t collective_ = 0;
};

}  // namespace allreduce

#endif  // CAFFE_ALLREDUCE_MESH_HPP_

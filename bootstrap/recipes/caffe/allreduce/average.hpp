// The average of a buffer over all ranks, bucket by bucket as it is filled.
//
// Two ranks swap their buckets. More ranks split each bucket into a segment per rank: every rank sends each
// other one its share of that one's segment (reduce-scatter), which adds the shares in the order of ranks and
// sends the result to all (all-gather). So the sums are the same bits on every rank and in every run.
//
// A result is W on its way: T itself, or half precision. Ranks on one machine read shares and results from
// each other's memory ("outboxes"), and the messages are headers alone.

#ifndef CAFFE_ALLREDUCE_AVERAGE_HPP_
#define CAFFE_ALLREDUCE_AVERAGE_HPP_

#include <algorithm>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include "half.hpp"
#include "mesh.hpp"

namespace allreduce {

// A range of the buffer that is complete once the backward pass has reached `layer`.
struct Bucket {
  size_t offset, count;
  int layer;
};

// The memory that ranks of one machine share, mapped here: this rank's own, and those of the peers that it
// reads, nullptr elsewhere. Each has room for two collectives in turn: a peer may be one ahead, and no more,
// since it then needs this rank's shares.
struct Outboxes {
  char* own = nullptr;
  std::vector<char*> peers;
  bool shared(int peer) const { return own && peers[peer]; }
};

template <typename T, typename W>
class Average : private Sink {
 public:
  // `data` has all buckets, which stay the same. Buckets are in the order in which they get ready.
  Average(Mesh* mesh, T* data, std::vector<Bucket> buckets, Outboxes outboxes = Outboxes())
      : mesh_(mesh),
        data_(data),
        buckets_(std::move(buckets)),
        outboxes_(std::move(outboxes)),
        rank_(mesh->rank()),
        size_(mesh->size()),
        swaps_(size_ == 2),
        inboxes_(size_),
        arrived_(buckets_.size()) {
    size_t total = 0, mine = 0;
    for (const auto& bucket : buckets_) {
      total = std::max(total, bucket.offset + bucket.count);
      inbox_offsets_.push_back(mine);
      mine += segment(bucket, rank_).count;
    }
    total_ = total;
    if (!outboxes_.own && !std::is_same<T, W>::value) staged_.resize(total);
    for (int peer = 0; peer < size_; ++peer) {
      if (peer != rank_ && !swaps_ && !outboxes_.shared(peer)) inboxes_[peer].resize(mine);
    }
  }

  // Bytes of an outbox for that many elements.
  static size_t outbox(size_t elements) { return 2 * elements * sizeof(W); }

  // Begins a round. With `root`, every rank gets that one's data instead of the average.
  void begin(int root = -1) {
    root_ = root;
    ready_ = 0;
    ++round_;
    std::fill(arrived_.begin(), arrived_.end(), 0);
    mesh_->begin(this);
    for (int peer = 0; peer < size_; ++peer) {
      if (peer == rank_) continue;
      if (root < 0) {
        mesh_->await(peer, buckets_.size() * (swaps_ ? 1 : 2));
      } else if (rank_ != root) {
        mesh_->await(peer, buckets_.size() * (peer == root ? 2 : 1));
      }
    }
  }

  // Sends the buckets before `count`, which are complete in this rank.
  void ready(size_t count) {
    for (; ready_ < count; ++ready_) {
      const Bucket& bucket = buckets_[ready_];
      if (root_ >= 0 && rank_ != root_) continue;
      copy(wire(bucket.offset), data_ + bucket.offset, bucket.count);
      for (int peer = 0; peer < size_; ++peer) {
        if (peer != rank_) send(peer, kShare, ready_, share(bucket, peer));
      }
      arrive(ready_);
    }
  }

  void progress() { mesh_->progress(); }

  // Returns when `data` has the average.
  void finish() {
    ready(buckets_.size());
    mesh_->finish();
  }

 private:
  enum Kind : uint32_t { kShare, kResult };
  struct Range {
    size_t offset, count;
  };

  // The part of a bucket that a rank adds up.
  Range segment(const Bucket& bucket, int rank) const {
    const size_t from = bucket.count * rank / size_, to = bucket.count * (rank + 1) / size_;
    return {bucket.offset + from, to - from};
  }

  // The part of a bucket that a rank needs of each other one.
  Range share(const Bucket& bucket, int rank) const {
    return swaps() ? Range{bucket.offset, bucket.count} : segment(bucket, rank);
  }

  bool swaps() const { return swaps_ && root_ < 0; }

  // Where this rank's values lie as they are sent: in its outbox, in a copy, or in `data` itself.
  W* wire(size_t offset) {
    if (outboxes_.own) return outbox_of(outboxes_.own) + offset;
    return (staged_.empty() ? reinterpret_cast<W*>(data_) : staged_.data()) + offset;
  }

  W* outbox_of(char* outbox) const { return reinterpret_cast<W*>(outbox) + (round_ & 1) * total_; }

  void send(int peer, Kind kind, size_t bucket, Range range) {
    const bool shared = outboxes_.shared(peer);
    const size_t bytes = shared ? 0 : range.count * sizeof(W);
    mesh_->send(peer, kind, bucket, reinterpret_cast<const char*>(wire(range.offset)), bytes);
  }

  char* place(int peer, const Header& header) override {
    const Bucket& bucket = checked(peer, header);
    if (header.kind == kResult) return reinterpret_cast<char*>(wire(segment(bucket, peer).offset));
    if (swaps()) return nullptr;
    // A broadcast among two has no inbox: the segment's own place is free, as nobody else adds to it.
    if (inboxes_[peer].empty()) return reinterpret_cast<char*>(wire(segment(bucket, rank_).offset));
    return reinterpret_cast<char*>(inboxes_[peer].data() + inbox_offsets_[header.bucket]);
  }

  void piece(int, const Header& header, size_t offset, const char* data, size_t bytes) override {
    const size_t at = buckets_[header.bucket].offset + offset / sizeof(W);
    const W* theirs = reinterpret_cast<const W*>(data);
    reduce({at, bytes / sizeof(W)}, {rank_ == 0 ? wire(at) : theirs, rank_ == 0 ? theirs : wire(at)});
  }

  void arrived(int peer, const Header& header) override {
    const Bucket& bucket = checked(peer, header);
    if (header.kind == kResult) {
      const Range range = segment(bucket, peer);
      copy(data_ + range.offset, shared(peer, range.offset), range.count);
    } else if (!swaps() || outboxes_.shared(peer)) {
      arrive(header.bucket);
    }
  }

  // Counts a share, this rank's own among them; adds them up when all are here.
  void arrive(size_t number) {
    if (++arrived_[number] < (root_ < 0 ? size_ : 1)) return;
    const Bucket& bucket = buckets_[number];
    const Range range = share(bucket, rank_);
    if (root_ >= 0) {
      copy_from_root(number, range);
    } else if (!swaps() || outboxes_.shared(1 - rank_)) {
      std::vector<const W*> shares;
      for (int peer = 0; peer < size_; ++peer) shares.push_back(share_of(peer, number, range));
      reduce(range, shares);
    }
    if (swaps()) return;
    if (root_ < 0) {
      // What this rank keeps is what it sends, rounded alike.
      copy(wire(range.offset), data_ + range.offset, range.count);
      if (!std::is_same<T, W>::value) copy(data_ + range.offset, wire(range.offset), range.count);
    }
    for (int peer = 0; peer < size_; ++peer) {
      if (peer != rank_ && peer != root_) send(peer, kResult, number, range);
    }
  }

  void copy_from_root(size_t number, Range range) {
    if (rank_ == root_) return;
    const W* share = share_of(root_, number, range);
    copy(wire(range.offset), share, range.count);
    copy(data_ + range.offset, share, range.count);
  }

  const W* share_of(int peer, size_t number, Range range) {
    if (peer == rank_) return wire(range.offset);
    if (outboxes_.shared(peer)) return shared(peer, range.offset);
    return inboxes_[peer].empty() ? wire(range.offset) : inboxes_[peer].data() + inbox_offsets_[number];
  }

  // Where a peer's values lie when they have come.
  const W* shared(int peer, size_t offset) {
    return outboxes_.shared(peer) ? outbox_of(outboxes_.peers[peer]) + offset : wire(offset);
  }

  // Writes the average of shares, in their order, into a range of `data`.
  void reduce(Range range, const std::vector<const W*>& shares) {
    const T scale = T(1) / static_cast<T>(size_);
    const T nan = std::numeric_limits<T>::quiet_NaN();
    T sum[kBlock], next[kBlock];
    for (size_t done = 0; done < range.count; done += kBlock) {
      const size_t count = std::min(kBlock, range.count - done);
      copy(sum, shares[0] + done, count);
      for (size_t i = 1; i < shares.size(); ++i) {
        const T* term = values(shares[i] + done, next, count);
        for (size_t k = 0; k < count; ++k) sum[k] += term[k];
      }
      T* result = data_ + range.offset + done;
      for (size_t k = 0; k < count; ++k) {
        const T mean = sum[k] * scale;
        // Of two NaNs, a sum has the bits of either, as the compiler has ordered them.
        result[k] = mean == mean ? mean : nan;
      }
    }
  }

  static const T* values(const T* from, T*, size_t) { return from; }
  template <typename V>
  static const T* values(const V* from, T* room, size_t count) {
    copy(room, from, count);
    return room;
  }

  // Requires a message to be one of this collective: a peer with another net would write beyond memory.
  const Bucket& checked(int peer, const Header& header) const {
    if (header.bucket >= buckets_.size() || header.kind > kResult) {
      throw Lost("the ranks are out of step", {peer});
    }
    const Bucket& bucket = buckets_[header.bucket];
    const size_t count = (header.kind == kShare ? share(bucket, rank_) : segment(bucket, peer)).count;
    if (header.bytes != (outboxes_.shared(peer) ? 0 : count * sizeof(W))) {
      throw Lost("the ranks have gradients of other sizes", {peer});
    }
    return bucket;
  }

  static constexpr size_t kBlock = 2048;

  Mesh* const mesh_;
  T* const data_;
  const std::vector<Bucket> buckets_;
  const Outboxes outboxes_;
  const int rank_, size_;
  const bool swaps_;
  size_t total_ = 0;
  std::vector<W> staged_;
  // Shares of this rank's segments, by peer; `inbox_offsets_` are those of each bucket's.
  std::vector<std::vector<W>> inboxes_;
  std::vector<size_t> inbox_offsets_;
  std::vector<int> arrived_;
  int root_ = -1;
  size_t ready_ = 0;
  unsigned round_ = 0;
};

template <typename T, typename W>
constexpr size_t Average<T, W>::kBlock;

}  // namespace allreduce

#endif  // CAFFE_ALLREDUCE_AVERAGE_HPP_

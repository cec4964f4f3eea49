// Gradient averaging for pycaffe solvers over libgloo's TCP transport.
//
// The Python side (caffe_allreduce/__init__.py) exchanges the addresses of the ranks. This file contains the
// mesh of connections, the collectives, and the callbacks in Caffe's solver and net. Collectives release the
// GIL: a rank that waited in C++ while holding it would block its own Python threads, which serve the
// rendezvous.

#include <Python.h>

#include <boost/python.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "caffe/caffe.hpp"

#include "gloo/allreduce.h"
#include "gloo/barrier.h"
#include "gloo/broadcast.h"
#include "gloo/context.h"
#include "gloo/math.h"
#include "gloo/transport/context.h"
#include "gloo/transport/tcp/device.h"

namespace bp = boost::python;
using Clock = std::chrono::steady_clock;
using Lock = std::unique_lock<std::mutex>;

namespace {

// Tags separate the communication thread's gradients from the caller's collectives.
constexpr uint32_t kGradientTag = 1;
constexpr uint32_t kCallerTag = 2;
// Shorter ranges are merged with the next layer's, since each message has a fixed cost.
constexpr size_t kBucketElements = 64 * 1024;
constexpr const char* kStep = "averaging gradients";

// A collective that did not complete. `explain`, borrowed from the group that threw it, creates the Python
// exception from the operation's name and the reason.
struct CollectiveFailed : std::runtime_error {
  CollectiveFailed(const std::string& why, std::string doing, PyObject* explain)
      : std::runtime_error(why), doing(std::move(doing)), explain(explain) {}
  std::string doing;
  PyObject* explain;
};

void raise_in_python(const CollectiveFailed& error) {
  PyObject* exception = PyObject_CallFunction(error.explain, "ss", error.doing.c_str(), error.what());
  if (!exception) return;  // `explain` failed and has set its own error
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception)), exception);
  Py_DECREF(exception);
}

class WithoutGil {
 public:
  WithoutGil() : state_(PyGILState_Check() ? PyEval_SaveThread() : nullptr) {}
  ~WithoutGil() {
    if (state_) PyEval_RestoreThread(state_);
  }
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;

 private:
  PyThreadState* state_;
};

// A gloo::Context that is given every peer's address instead of a key-value store.
class Mesh : public gloo::Context {
 public:
  Mesh(int rank, int size, const std::string& address, std::chrono::milliseconds timeout)
      : gloo::Context(rank, size) {
    gloo::transport::tcp::attr attr(address.c_str());
    device_ = gloo::transport::tcp::CreateDevice(attr);
    transportContext_ = device_->createContext(rank, size);
    transportContext_->setTimeout(timeout);
    setTimeout(timeout);
    for (int peer = 0; peer < size; ++peer) {
      if (peer != rank) transportContext_->createPair(peer);
    }
  }

  const gloo::transport::Address& address_for(int peer) { return getPair(peer)->address(); }

  void connect(int peer, const std::string& address) {
    getPair(peer)->connect(std::vector<char>(address.begin(), address.end()));
  }
};

// A range of the gradient buffer that is complete once the backward pass has reached `layer`.
struct Bucket {
  size_t offset, count;
  int layer;
};

class Group {
 public:
  Group(int rank, int size, const std::string& address, int timeout_ms, const bp::object& explain)
      : rank_(rank), size_(size), explain_(explain) {
    WithoutGil nogil;
    if (size > 1) {
      mesh_ = std::make_shared<Mesh>(rank, size, address, std::chrono::milliseconds(timeout_ms));
    }
  }

  ~Group() { close(); }

  // For each rank, the address bytes with which it connects to this one; empty for this rank itself.
  bp::list addresses() const {
    bp::list all;
    for (int peer = 0; peer < size_; ++peer) {
      std::vector<char> bytes;
      if (peer != rank_) bytes = mesh_->address_for(peer).bytes();
      all.append(bp::object(bp::handle<>(PyBytes_FromStringAndSize(bytes.data(), bytes.size()))));
    }
    return all;
  }

  // The same as "[host]:port", the form in which gloo's errors name peers.
  bp::list names() const {
    bp::list all;
    for (int peer = 0; peer < size_; ++peer) {
      all.append(peer == rank_ ? std::string() : mesh_->address_for(peer).str());
    }
    return all;
  }

  void connect(const bp::list& addresses) {
    std::vector<std::string> bytes(size_);
    for (int peer = 0; peer < size_; ++peer) {
      char* data = nullptr;
      Py_ssize_t length = 0;
      if (PyBytes_AsStringAndSize(bp::object(addresses[peer]).ptr(), &data, &length) != 0) {
        bp::throw_error_already_set();
      }
      bytes[peer].assign(data, length);
    }
    WithoutGil nogil;
    guarded("connecting", [&] {
      for (int peer = 0; peer < size_; ++peer) {
        if (peer != rank_) mesh_->connect(peer, bytes[peer]);
      }
    });
  }

  // Averages a C-contiguous float32 or float64 buffer over all ranks, in place.
  void allreduce_mean(const bp::object& array) {
    Py_buffer view;
    if (PyObject_GetBuffer(array.ptr(), &view, PyBUF_WRITABLE | PyBUF_FORMAT | PyBUF_C_CONTIGUOUS) != 0) {
      bp::throw_error_already_set();
    }
    std::unique_ptr<Py_buffer, void (*)(Py_buffer*)> release(&view, PyBuffer_Release);
    const std::string format = view.format ? view.format : "B";
    const size_t count = view.itemsize ? view.len / view.itemsize : 0;
    if (format != "f" && format != "d") {
      throw std::invalid_argument("allreduce_mean takes float32 or float64, not format " + format);
    }
    WithoutGil nogil;
    guarded("averaging an array", [&] {
      if (format == "f") {
        mean(static_cast<float*>(view.buf), count, kCallerTag);
      } else {
        mean(static_cast<double*>(view.buf), count, kCallerTag);
      }
    });
  }

  void barrier() {
    WithoutGil nogil;
    guarded("waiting at a barrier", [&] {
      if (size_ == 1) return;
      gloo::BarrierOptions options(mesh_);
      options.setTag(kCallerTag);
      gloo::barrier(options);
    });
  }

  // Copies rank 0's parameters to all ranks, bit for bit.
  void broadcast_weights(const bp::object& solver) {
    caffe::Net<float>& net = *solver_of(solver).net();
    WithoutGil nogil;
    guarded("broadcasting weights", [&] {
      if (size_ == 1) return;
      size_t total = 0;
      for (const auto* blob : net.learnable_params()) total += blob->count();
      std::vector<float> weights(total);
      float* at = weights.data();
      for (const auto* blob : net.learnable_params()) {
        std::memcpy(at, blob->cpu_data(), blob->count() * sizeof(float));
        at += blob->count();
      }
      gloo::BroadcastOptions options(mesh_);
      options.setOutput(weights.data(), total);
      options.setRoot(0);
      options.setTag(kCallerTag);
      gloo::broadcast(options);
      at = weights.data();
      for (auto* blob : net.learnable_params()) {
        std::memcpy(blob->mutable_cpu_data(), at, blob->count() * sizeof(float));
        at += blob->count();
      }
    });
  }

  // Averages the solver's gradients in every step. They are moved into one buffer to overlap with the backward
  // pass, and else copied there and back at its end: a GPU's own copies are not to be moved.
  static void attach(const bp::object& self, const bp::object& solver_object, bool overlap) {
    Group& group = bp::extract<Group&>(self);
    caffe::Solver<float>& solver = solver_of(solver_object);
    if (group.hooks_) throw std::invalid_argument("this group has a solver already");
    group.hooks_.reset(new Hooks(&group, &solver));
    group.overlap_ = overlap && group.size_ > 1 && caffe::Caffe::mode() == caffe::Caffe::CPU;
    group.lay_out(*solver.net());
    if (group.overlap_) group.thread_ = std::thread([&group] { group.communicate(); });
    solver.add_callback(group.hooks_.get());
    solver.net()->add_after_backward(group.hooks_.get());
    // Caffe keeps raw pointers to the hooks and the buffer, so the group must outlive the solver.
    PyObject* kept = bp::objects::make_nurse_and_patient(solver_object.ptr(), self.ptr());
    if (!kept) bp::throw_error_already_set();
  }

  double waited() const { return waited_; }
  size_t elements() const { return buffer_.size(); }
  int buckets() const { return static_cast<int>(buckets_.size()); }

  void close() {
    WithoutGil nogil;
    {
      Lock lock(mutex_);
      if (closed_) return;
      closed_ = true;
      if (error_.empty()) error_ = "the group is closed";
    }
    // Fails the collective that the communication thread may be waiting for.
    if (mesh_) mesh_->closeConnections();
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
    mesh_.reset();
  }

 private:
  class Hooks : public caffe::Solver<float>::Callback, public caffe::Net<float>::Callback {
   public:
    Hooks(Group* group, caffe::Solver<float>* solver) : group_(group), solver_(solver) {}

   protected:
    void on_start() override {
      group_->require_usable(kStep);
      pass_ = 0;
    }
    void run(int layer) override {
      // With iter_size > 1 the gradients are complete in the last pass only.
      if (pass_ == solver_->param().iter_size() - 1) group_->passed(layer);
      if (layer == 0) ++pass_;
    }
    void on_gradients_ready() override { group_->finish(); }

   private:
    Group* group_;
    caffe::Solver<float>* solver_;
    int pass_ = 0;
  };

  static caffe::Solver<float>& solver_of(const bp::object& solver) {
    bp::extract<caffe::Solver<float>&> extracted(solver);
    if (!extracted.check()) throw std::invalid_argument("not a pycaffe solver");
    return extracted();
  }

  // Runs a collective. A failed group stays failed, since its ranks are out of step.
  template <typename F>
  void guarded(const char* doing, F&& collective) {
    require_usable(doing);
    try {
      collective();
    } catch (const std::exception& error) {
      fail(error.what());
      require_usable(doing);
    }
  }

  void require_usable(const char* doing) {
    Lock lock(mutex_);
    if (!error_.empty()) throw CollectiveFailed(error_, doing, explain_.ptr());
  }

  void fail(const std::string& why) {
    {
      Lock lock(mutex_);
      if (error_.empty()) error_ = why.empty() ? "unknown failure" : why;
    }
    // Waiting peers fail at once instead of at their time-outs.
    if (mesh_) mesh_->closeConnections();
    changed_.notify_all();
  }

  template <typename T>
  void mean(T* data, size_t count, uint32_t tag) {
    if (size_ == 1 || count == 0) return;
    gloo::AllreduceOptions options(mesh_);
    options.setOutput(data, count);
    options.setReduceFunction(static_cast<void (*)(void*, const void*, const void*, size_t)>(&gloo::sum<T>));
    options.setTag(tag);
    gloo::allreduce(options);
    const T scale = T(1) / size_;
    for (size_t i = 0; i < count; ++i) data[i] *= scale;
  }

  // Lays out the buffer with the last layer first, so that the backward pass fills it from the front.
  void lay_out(const caffe::Net<float>& net) {
    const auto& learnable = net.learnable_params();
    std::vector<int> first_user(learnable.size(), static_cast<int>(net.layers().size()));
    size_t index = 0;
    for (size_t layer = 0; layer < net.layers().size(); ++layer) {
      for (size_t blob = 0; blob < net.layers()[layer]->blobs().size(); ++blob, ++index) {
        const int owner = net.param_owners()[index];
        const auto* own = net.params()[owner < 0 ? index : owner].get();
        const size_t id = std::find(learnable.begin(), learnable.end(), own) - learnable.begin();
        if (id < learnable.size()) first_user[id] = std::min(first_user[id], static_cast<int>(layer));
      }
    }
    std::vector<size_t> order(learnable.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return first_user[a] > first_user[b]; });
    size_t total = 0;
    for (const auto* blob : learnable) total += blob->count();
    buffer_.assign(total, 0.f);
    size_t offset = 0, start = 0;
    for (size_t i = 0; i < order.size(); ++i) {
      caffe::Blob<float>* blob = learnable[order[i]];
      if (overlap_) {
        blob->diff()->set_cpu_data(buffer_.data() + offset);
      } else {
        copied_.push_back(blob);
      }
      offset += blob->count();
      const int layer = first_user[order[i]];
      const bool more = i + 1 < order.size();
      const bool same_layer = more && first_user[order[i + 1]] == layer;
      if (!more || (!same_layer && offset - start >= kBucketElements)) {
        buckets_.push_back({start, offset - start, layer});
        start = offset;
      }
    }
  }

  void passed(int layer) {
    if (!overlap_) return;
    size_t ready = ready_;
    while (ready < buckets_.size() && buckets_[ready].layer >= layer) ++ready;
    if (ready == ready_) return;
    {
      Lock lock(mutex_);
      ready_ = ready;
    }
    changed_.notify_all();
  }

  // Returns when all gradients of the step are averaged.
  void finish() {
    WithoutGil nogil;
    const auto start = Clock::now();
    if (size_ == 1) return;
    if (!overlap_) {
      guarded(kStep, [&] {
        float* at = buffer_.data();
        for (const auto* blob : copied_) at = std::copy_n(blob->cpu_diff(), blob->count(), at);
        mean(buffer_.data(), buffer_.size(), kGradientTag);
        at = buffer_.data();
        for (auto* blob : copied_) {
          std::copy_n(at, blob->count(), blob->mutable_cpu_diff());
          at += blob->count();
        }
      });
    } else {
      passed(-1);
      Lock lock(mutex_);
      changed_.wait(lock, [&] { return done_ == buckets_.size() || !error_.empty(); });
      if (!error_.empty()) throw CollectiveFailed(error_, kStep, explain_.ptr());
      ready_ = done_ = 0;
    }
    waited_ += std::chrono::duration<double>(Clock::now() - start).count();
  }

  // The communication thread: averages the buckets in the same order on every rank.
  void communicate() {
    while (true) {
      Bucket bucket;
      {
        Lock lock(mutex_);
        changed_.wait(lock, [&] { return done_ < ready_ || !error_.empty(); });
        if (!error_.empty()) return;
        bucket = buckets_[done_];
      }
      try {
        mean(buffer_.data() + bucket.offset, bucket.count, kGradientTag);
      } catch (const std::exception& error) {
        fail(error.what());
        return;
      }
      {
        Lock lock(mutex_);
        ++done_;
      }
      changed_.notify_all();
    }
  }

  const int rank_, size_;
  const bp::object explain_;
  std::shared_ptr<Mesh> mesh_;
  std::unique_ptr<Hooks> hooks_;
  std::vector<float> buffer_;
  std::vector<caffe::Blob<float>*> copied_;
  std::vector<Bucket> buckets_;
  bool overlap_ = false;
  double waited_ = 0;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::thread thread_;
  std::string error_;
  bool closed_ = false;
  // Buckets whose gradients are complete in this step, and buckets that have been averaged.
  size_t ready_ = 0, done_ = 0;
};

}  // namespace

BOOST_PYTHON_MODULE(_native) {
  bp::import("caffe._caffe");  // registers the solver's converters
  bp::register_exception_translator<CollectiveFailed>(&raise_in_python);

  bp::class_<Group, boost::noncopyable>("Group", bp::init<int, int, std::string, int, bp::object>())
      .def("addresses", &Group::addresses)
      .def("names", &Group::names)
      .def("connect", &Group::connect)
      .def("allreduce_mean", &Group::allreduce_mean)
      .def("barrier", &Group::barrier)
      .def("broadcast_weights", &Group::broadcast_weights)
      .def("attach", &Group::attach)
      .add_property("waited", &Group::waited)
      .add_property("elements", &Group::elements)
      .add_property("buckets", &Group::buckets)
      .def("close", &Group::close);
}

// Gradient averaging for pycaffe solvers.
//
// The Python side (caffe_allreduce/__init__.py) brings the connections of the ranks. This file has the group
// and its callbacks in Caffe's solver and net: the solver's own thread sends and receives after each layer of
// the backward pass, and waits at its end for what is left. Collectives release the GIL.

#include <Python.h>

#include <boost/python.hpp>
#include <boost/python/stl_iterator.hpp>

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "caffe/caffe.hpp"

#include "average.hpp"
#include "mesh.hpp"

namespace bp = boost::python;

namespace {

using allreduce::Average;
using allreduce::Bucket;
using allreduce::Clock;
using allreduce::Half;
using allreduce::Lost;
using allreduce::Mesh;
using allreduce::Outboxes;

// Shorter ranges are merged with the next layer's, since each message has a fixed cost; longer ones are
// split, so that sums of a part are made while the next one is on its way.
constexpr size_t kLeastElements = 64 * 1024, kMostElements = 1024 * 1024;
constexpr const char* kStep = "averaging gradients";

// A collective that did not complete. `explain`, borrowed from the group that threw it, creates the Python
// exception from the operation's name, the reason and the ranks.
struct CollectiveFailed : std::runtime_error {
  CollectiveFailed(const Lost& lost, std::string doing, PyObject* explain)
      : std::runtime_error(lost.what()), doing(std::move(doing)), ranks(lost.ranks), explain(explain) {}
  std::string doing;
  std::vector<int> ranks;
  PyObject* explain;
};

void raise_in_python(const CollectiveFailed& error) {
  bp::list ranks;
  for (int rank : error.ranks) ranks.append(rank);
  PyObject* exception =
      PyObject_CallFunction(error.explain, "ssO", error.doing.c_str(), error.what(), ranks.ptr());
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

std::vector<int> ints(const bp::object& values) {
  return std::vector<int>(bp::stl_input_iterator<int>(values), bp::stl_input_iterator<int>());
}

// What a step does with its gradients before the update.
class Reduction {
 public:
  virtual ~Reduction() {}
  virtual void begin() = 0;
  virtual void ready(size_t buckets) = 0;
  virtual void finish() = 0;
};

template <typename W>
class Gradients : public Reduction {
 public:
  Gradients(Mesh* mesh, float* data, const std::vector<Bucket>& buckets, const Outboxes& outboxes)
      : average_(mesh, data, buckets, outboxes) {}
  void begin() override { average_.begin(); }
  void ready(size_t buckets) override {
    average_.ready(buckets);
    average_.progress();
  }
  void finish() override { average_.finish(); }

 private:
  Average<float, W> average_;
};

// Waits for all ranks and averages nothing: the cost of communication is what a step takes longer than this.
class Barrier : public Reduction {
 public:
  explicit Barrier(Mesh* mesh) : average_(mesh, &value_, {{0, 1, 0}}) {}
  void begin() override { average_.begin(); }
  void ready(size_t) override {}
  void finish() override { average_.finish(); }

 private:
  double value_ = 0;
  Average<double, double> average_;
};

class Group {
 public:
  Group(int rank, const bp::object& sockets, int timeout_ms, const bp::object& explain)
      : mesh_(rank, ints(sockets), std::chrono::milliseconds(timeout_ms)), explain_(explain) {}
  ~Group() { close(); }

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
        once(static_cast<float*>(view.buf), count);
      } else {
        once(static_cast<double*>(view.buf), count);
      }
    });
  }

  void barrier() {
    WithoutGil nogil;
    guarded("waiting at a barrier", [&] {
      double value = 0;
      once(&value, 1);
    });
  }

  // Copies rank 0's parameters to all ranks, bit for bit.
  void broadcast_weights(const bp::object& solver) {
    caffe::Net<float>& net = *solver_of(solver).net();
    WithoutGil nogil;
    guarded("broadcasting weights", [&] {
      size_t total = 0;
      for (const auto* blob : net.learnable_params()) total += blob->count();
      std::vector<float> weights(total);
      float* at = weights.data();
      for (const auto* blob : net.learnable_params()) at = std::copy_n(blob->cpu_data(), blob->count(), at);
      once(weights.data(), total, 0);
      at = weights.data();
      for (auto* blob : net.learnable_params()) {
        std::copy_n(at, blob->count(), blob->mutable_cpu_data());
        at += blob->count();
      }
    });
  }

  // The elements that `attach` will average: those of parameters that are learnt.
  static size_t elements_of(const bp::object& solver) {
    size_t total = 0;
    for (const auto* blob : learnt(solver_of(solver))) total += blob->count();
    return total;
  }

  // Bytes of the memory that a rank shares with those on its machine.
  static size_t outbox_bytes(size_t elements, bool half) {
    return half ? Average<float, Half>::outbox(elements) : Average<float, float>::outbox(elements);
  }

  // Creates a file in memory, without a name; returns -1 where the machine refuses one. A Python that was built
  // for an older C library, as conda's are, has no os.memfd_create.
  static int memory_file(size_t bytes) {
    constexpr unsigned kCloseOnExec = 1;
    const int file = static_cast<int>(syscall(SYS_memfd_create, "gradients", kCloseOnExec));
    if (file < 0 || ftruncate(file, static_cast<off_t>(bytes)) == 0) return file;
    ::close(file);
    return -1;
  }

  // Averages the solver's gradients in every step. On a CPU they are moved into one buffer, to be sent during
  // the backward pass. A GPU's own copies are not to be moved: they are copied there and back at its end.
  // `outboxes` has a file descriptor by rank, or -1.
  static void attach(const bp::object& self, const bp::object& solver_object, const std::string& way,
                     const bp::object& outboxes) {
    Group& group = bp::extract<Group&>(self);
    caffe::Solver<float>& solver = solver_of(solver_object);
    if (group.hooks_) throw std::invalid_argument("this group has a solver already");
    const bool half = way == "float16", barrier = way == "barrier";
    // Caffe keeps raw pointers to the buffer and the hooks, so the group must outlive the solver.
    PyObject* kept = bp::objects::make_nurse_and_patient(solver_object.ptr(), self.ptr());
    if (!kept) bp::throw_error_already_set();
    group.hooks_.reset(new Hooks(&group, &solver));
    group.overlap_ = !barrier && caffe::Caffe::mode() == caffe::Caffe::CPU;
    group.lay_out(solver);
    const Outboxes mapped = group.map(ints(outboxes), outbox_bytes(group.buffer_.size(), half));
    if (barrier) {
      group.copied_.clear();
      group.reduction_.reset(new Barrier(&group.mesh_));
    } else if (half) {
      group.reduction_.reset(
          new Gradients<Half>(&group.mesh_, group.buffer_.data(), group.buckets_, mapped));
    } else {
      group.reduction_.reset(
          new Gradients<float>(&group.mesh_, group.buffer_.data(), group.buckets_, mapped));
    }
    solver.add_callback(group.hooks_.get());
    solver.net()->add_after_backward(group.hooks_.get());
  }

  // Seconds of the machine's monotonic clock at which each step of this rank had its gradients, and had the
  // average. Empty unless `record` was called.
  void record() { recording_ = true; }
  bp::list steps() const {
    bp::list all;
    for (const auto& step : steps_) all.append(bp::make_tuple(step.first, step.second));
    return all;
  }

  double waited() const { return waited_; }
  size_t elements() const { return buffer_.size(); }
  int buckets() const { return static_cast<int>(buckets_.size()); }

  void close() {
    if (!failed_) failed_.reset(new Lost("the group is closed", {}));
    mesh_.close();
  }

 private:
  class Hooks : public caffe::Solver<float>::Callback, public caffe::Net<float>::Callback {
   public:
    Hooks(Group* group, caffe::Solver<float>* solver) : group_(group), solver_(solver) {}

   protected:
    void on_start() override {
      group_->start();
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

  // Memory of this machine's ranks, mapped until the group ends.
  class Mapping {
   public:
    Mapping(int file, size_t bytes) : bytes_(bytes) {
      memory_ = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
      if (memory_ == MAP_FAILED) throw std::runtime_error("mmap of the gradients of a rank failed");
    }
    ~Mapping() { munmap(memory_, bytes_); }
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;
    char* memory() const { return static_cast<char*>(memory_); }

   private:
    void* memory_;
    size_t bytes_;
  };

  static caffe::Solver<float>& solver_of(const bp::object& solver) {
    bp::extract<caffe::Solver<float>&> extracted(solver);
    if (!extracted.check()) throw std::invalid_argument("not a pycaffe solver");
    return extracted();
  }

  // The parameters whose gradients the update uses. With clip_gradients all do: their norm scales the others.
  static std::vector<caffe::Blob<float>*> learnt(caffe::Solver<float>& solver) {
    const auto& all = solver.net()->learnable_params();
    const bool every = solver.param().clip_gradients() > 0;
    std::vector<caffe::Blob<float>*> found;
    for (size_t i = 0; i < all.size(); ++i) {
      if (every || solver.net()->params_lr()[i] != 0) found.push_back(all[i]);
    }
    return found;
  }

  // Runs a collective. A failed group stays failed, since its ranks are out of step.
  template <typename F>
  void guarded(const char* doing, F&& collective) {
    if (failed_) throw CollectiveFailed(*failed_, doing, explain_.ptr());
    try {
      collective();
    } catch (const Lost& lost) {
      failed_.reset(new Lost(lost));
      // Waiting peers fail at once instead of at their time-outs.
      mesh_.close();
      throw CollectiveFailed(lost, doing, explain_.ptr());
    }
  }

  // Requires that no exception has ended a step before its update, which other ranks may have made.
  void require_whole_steps() const {
    if (stepping_) throw Lost("a step was left in the middle", {});
  }

  template <typename T>
  void once(T* data, size_t count, int root = -1) {
    require_whole_steps();
    Average<T, T> average(&mesh_, data, split(0, count, 0));
    average.begin(root);
    average.finish();
  }

  static std::vector<Bucket> split(size_t offset, size_t count, int layer) {
    std::vector<Bucket> parts;
    const size_t number = (count + kMostElements - 1) / kMostElements;
    for (size_t i = 0; i < number; ++i) {
      const size_t from = count * i / number, to = count * (i + 1) / number;
      parts.push_back({offset + from, to - from, layer});
    }
    return parts;
  }

  // Lays out the buffer with the last layer first, so that the backward pass fills it from the front.
  void lay_out(caffe::Solver<float>& solver) {
    const caffe::Net<float>& net = *solver.net();
    const auto blobs = learnt(solver);
    std::vector<int> first_user(blobs.size(), static_cast<int>(net.layers().size()));
    size_t index = 0;
    for (size_t layer = 0; layer < net.layers().size(); ++layer) {
      for (size_t blob = 0; blob < net.layers()[layer]->blobs().size(); ++blob, ++index) {
        const int owner = net.param_owners()[index];
        const auto* own = net.params()[owner < 0 ? index : owner].get();
        const size_t id = std::find(blobs.begin(), blobs.end(), own) - blobs.begin();
        if (id < blobs.size()) first_user[id] = std::min(first_user[id], static_cast<int>(layer));
      }
    }
    std::vector<size_t> order(blobs.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return first_user[a] > first_user[b]; });
    size_t total = 0;
    for (const auto* blob : blobs) total += blob->count();
    buffer_.assign(total, 0.f);
    size_t offset = 0, start = 0;
    for (size_t i = 0; i < order.size(); ++i) {
      caffe::Blob<float>* blob = blobs[order[i]];
      if (overlap_) {
        blob->diff()->set_cpu_data(buffer_.data() + offset);
      } else {
        copied_.push_back(blob);
      }
      offset += blob->count();
      const int layer = first_user[order[i]];
      const bool more = i + 1 < order.size();
      const bool same_layer = more && first_user[order[i + 1]] == layer;
      if (!more || (!same_layer && offset - start >= kLeastElements)) {
        for (const Bucket& bucket : split(start, offset - start, layer)) buckets_.push_back(bucket);
        start = offset;
      }
    }
  }

  Outboxes map(const std::vector<int>& files, size_t bytes) {
    Outboxes outboxes;
    if (files[mesh_.rank()] < 0 || !bytes) return outboxes;
    for (size_t peer = 0; peer < files.size(); ++peer) {
      if (files[peer] >= 0) mappings_.emplace_back(new Mapping(files[peer], bytes));
      outboxes.peers.push_back(files[peer] < 0 ? nullptr : mappings_.back()->memory());
    }
    outboxes.own = outboxes.peers[mesh_.rank()];
    return outboxes;
  }

  void start() {
    guarded(kStep, [&] {
      require_whole_steps();
      reduction_->begin();
    });
    stepping_ = true;
  }

  void passed(int layer) {
    // A backward pass outside of a step is this rank's own.
    if (!overlap_ || !stepping_) return;
    size_t ready = ready_;
    while (ready < buckets_.size() && buckets_[ready].layer >= layer) ++ready;
    ready_ = ready;
    guarded(kStep, [&] { reduction_->ready(ready); });
  }

  // Returns when all gradients of the step are averaged.
  void finish() {
    WithoutGil nogil;
    const auto start = Clock::now();
    ready_ = 0;
    guarded(kStep, [&] {
      float* at = buffer_.data();
      for (const auto* blob : copied_) at = std::copy_n(blob->cpu_diff(), blob->count(), at);
      reduction_->finish();
      at = buffer_.data();
      for (auto* blob : copied_) {
        std::copy_n(at, blob->count(), blob->mutable_cpu_diff());
        at += blob->count();
      }
      stepping_ = false;
    });
    const auto end = Clock::now();
    waited_ += std::chrono::duration<double>(end - start).count();
    if (recording_) steps_.emplace_back(seconds(start), seconds(end));
  }

  static double seconds(Clock::time_point time) {
    return std::chrono::duration<double>(time.time_since_epoch()).count();
  }

  Mesh mesh_;
  const bp::object explain_;
  std::unique_ptr<Hooks> hooks_;
  std::vector<float> buffer_;
  std::vector<caffe::Blob<float>*> copied_;
  std::vector<Bucket> buckets_;
  std::vector<std::unique_ptr<Mapping>> mappings_;
  std::unique_ptr<Reduction> reduction_;
  std::unique_ptr<Lost> failed_;
  bool overlap_ = false, recording_ = false;
  bool stepping_ = false;  // from a step's start to its average
  // Buckets whose gradients are complete in this step.
  size_t ready_ = 0;
  double waited_ = 0;
  std::vector<std::pair<double, double>> steps_;
};

}  // namespace

BOOST_PYTHON_MODULE(_native) {
  bp::import("caffe._caffe");  // registers the solver's converters
  bp::register_exception_translator<CollectiveFailed>(&raise_in_python);

  bp::class_<Group, boost::noncopyable>("Group", bp::init<int, bp::object, int, bp::object>())
      .def("allreduce_mean", &Group::allreduce_mean)
      .def("barrier", &Group::barrier)
      .def("broadcast_weights", &Group::broadcast_weights)
      .def("attach", &Group::attach)
      .def("elements_of", &Group::elements_of)
      .staticmethod("elements_of")
      .def("outbox_bytes", &Group::outbox_bytes)
      .staticmethod("outbox_bytes")
      .def("memory_file", &Group::memory_file)
      .staticmethod("memory_file")
      .def("record", &Group::record)
      .def("steps", &Group::steps)
      .add_property("waited", &Group::waited)
      .add_property("elements", &Group::elements)
      .add_property("buckets", &Group::buckets)
      .def("close", &Group::close);
}

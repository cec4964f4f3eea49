// Batches for pycaffe nets: read from an LMDB or taken from Python, decoded and transformed by Caffe's own
// code in a thread, ahead of the solver.
//
// The solver's step and every wait release the GIL, so that Python sources read while Caffe computes. What a
// layer cannot take is found here, record by record: Caffe would abort without naming it, or index memory by
// its label.

#include <Python.h>

#include <boost/python.hpp>
#include <boost/python/stl_iterator.hpp>
#include <lmdb.h>
#ifdef USE_OPENCV
#include <opencv2/core/core.hpp>
#include <opencv2/imgproc/imgproc.hpp>
#endif

#include <algorithm>
#include <atomic>
#include <climits>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "caffe/caffe.hpp"
#include "caffe/data_transformer.hpp"
#include "caffe/util/io.hpp"

namespace bp = boost::python;
using Lock = std::unique_lock<std::mutex>;

namespace {

// Batches that wait for the net, besides the one that it uses.
constexpr size_t kAhead = 2;

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

using Fields = std::vector<std::pair<std::string, std::string>>;

// A record that the layer cannot take, or a database that cannot be read.
struct BadRecord : std::runtime_error {
  BadRecord(std::string code, std::string key, Fields fields = {})
      : std::runtime_error(code + ": " + key), code(std::move(code)), fields(std::move(fields)) {
    this->fields.emplace_back("key", std::move(key));
  }
  std::string code;
  Fields fields;
};

// Python's exception of the same name; kept for ever.
PyObject* bad_record_class = nullptr;

void set_bad_record(const bp::object& type) {
  Py_INCREF(type.ptr());
  bad_record_class = type.ptr();
}

void raise_in_python(const BadRecord& error) {
  bp::dict fields;
  for (const auto& field : error.fields) {
    // Keys are bytes of anybody's.
    bp::handle<> text(PyUnicode_DecodeUTF8(field.second.data(), field.second.size(), "backslashreplace"));
    fields[field.first] = bp::object(text);
  }
  bp::object arguments = bp::make_tuple(error.code, fields);
  PyErr_SetObject(bad_record_class, arguments.ptr());
}

std::string sides(const std::vector<int>& shape) {
  std::string text;
  for (int side : shape) text += (text.empty() ? "" : "x") + std::to_string(side);
  return text;
}

// As MurmurHash3 finishes: neighbouring indices give unrelated seeds.
uint32_t mixed(uint64_t seed, uint64_t index) {
  uint64_t value = seed * 0x9e3779b97f4a7c15ull + index;
  value = (value ^ (value >> 33)) * 0xff51afd7ed558ccdull;
  value = (value ^ (value >> 33)) * 0xc4ceb9fe1a85ec53ull;
  return static_cast<uint32_t>(value ^ (value >> 33));
}

// Records of an LMDB in the order of its keys.
class Database {
 public:
  explicit Database(const std::string& path) : path_(path) {
    require(mdb_env_create(&env_));
    mdb_env_set_userctx(env_, &path_);
    mdb_env_set_assert(env_, [](MDB_env* env, const char* words) {
      LOG(ERROR) << *static_cast<std::string*>(mdb_env_get_userctx(env)) << " is damaged: " << words;
    });
    const unsigned flags = MDB_RDONLY | MDB_NOLOCK | MDB_NOTLS;
    MDB_dbi dbi;
    try {
      require(mdb_env_open(env_, path.c_str(), flags, 0));
      require(mdb_txn_begin(env_, nullptr, MDB_RDONLY, &transaction_));
      require(mdb_dbi_open(transaction_, nullptr, 0, &dbi));
      MDB_stat stat;
      require(mdb_stat(transaction_, dbi, &stat));
      total_ = stat.ms_entries;
      if (total_ == 0) throw BadRecord("source-empty", "", {{"uri", path}});
      require(mdb_cursor_open(transaction_, dbi, &cursor_));
      require(mdb_cursor_get(cursor_, &key_, nullptr, MDB_FIRST));
      written_ = written();
    } catch (...) {
      close();
      throw;
    }
  }
  ~Database() { close(); }
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // Without locks, a writer may reuse the pages that are read here.
  void require_unchanged() {
    if (written() != written_) throw BadRecord("source-changed", "");
  }

  // Calls `use` with the key and value at a position, which counts on after the last record.
  template <typename F>
  void at(uint64_t position, F&& use) {
    position %= total_;
    if (position < at_) {
      require(mdb_cursor_get(cursor_, &key_, nullptr, MDB_FIRST));
      at_ = 0;
    }
    // Without a value, pages of those that are passed over stay on disk.
    for (; at_ < position; ++at_) require(mdb_cursor_get(cursor_, &key_, nullptr, MDB_NEXT));
    MDB_val value;
    require(mdb_cursor_get(cursor_, &key_, &value, MDB_GET_CURRENT));
    use(std::string(static_cast<char*>(key_.mv_data), key_.mv_size), value.mv_data, value.mv_size);
  }

 private:
  static void require(int status) {
    if (status != MDB_SUCCESS) throw BadRecord("lmdb-unreadable", "", {{"reason", mdb_strerror(status)}});
  }

  size_t written() {
    MDB_envinfo info;
    require(mdb_env_info(env_, &info));
    return info.me_last_txnid;
  }

  void close() {
    if (cursor_) mdb_cursor_close(cursor_);
    if (transaction_) mdb_txn_abort(transaction_);
    if (env_) mdb_env_close(env_);
    cursor_ = nullptr, transaction_ = nullptr, env_ = nullptr;
  }

  std::string path_;
  size_t written_ = 0;
  MDB_env* env_ = nullptr;
  MDB_txn* transaction_ = nullptr;
  MDB_cursor* cursor_ = nullptr;
  MDB_val key_{0, nullptr};
  uint64_t total_ = 0, at_ = 0;
};

// Records that a data layer takes.
struct Layer {
  explicit Layer(const bp::dict& given)
      : channels(bp::extract<int>(given["channels"])),
        height(bp::extract<int>(given["height"])),
        width(bp::extract<int>(given["width"])),
        classes(bp::extract<int>(given["classes"])),
        ignored(bp::stl_input_iterator<int>(given["ignored"]), bp::stl_input_iterator<int>()),
        mean(bp::stl_input_iterator<int>(given["mean"]), bp::stl_input_iterator<int>()),
        seed(bp::extract<uint64_t>(given["seed"])),
        resize(bp::stl_input_iterator<int>(given["resize"]), bp::stl_input_iterator<int>()),
        transposed(bp::extract<bool>(given["transposed"])),
        values_are_labels(bp::extract<bool>(given["values_are_labels"])) {
    const std::string text = bp::extract<std::string>(given["transform"]);
    if (!transform.ParseFromString(text)) throw std::invalid_argument("transform: not a TransformationParameter");
    phase = bp::extract<bool>(given["train"]) ? caffe::TRAIN : caffe::TEST;
    random = transform.mirror() || (phase == caffe::TRAIN && transform.crop_size());
  }

  size_t count() const { return static_cast<size_t>(channels) * height * width; }

  // Whether an image has to be resized.
  bool other_size(int rows, int columns) const {
    return !resize.empty() && (rows != resize[0] || columns != resize[1]);
  }

  void require(const std::string& key, const std::vector<int>& record, int label) const {
    const int crop = transform.crop_size();
    const bool shaped = crop ? record[0] == channels && std::min(record[1], record[2]) >= crop
                             : record == std::vector<int>{channels, height, width};
    if (!shaped || (!mean.empty() && record != mean)) {
      const std::string least = crop && mean.empty() ? "at least " : "";
      const auto wanted = mean.empty() ? std::vector<int>{channels, height, width} : mean;
      throw BadRecord("record-does-not-fit", key, {{"record", sides(record)}, {"layer", least + sides(wanted)}});
    }
    if (!values_are_labels) require_label(key, label);
  }

  // Caffe's layers read a label as an int, by truncation.
  void require_labels(const std::string& key, const float* values) const {
    if (!values_are_labels) return;
    for (size_t i = 0; i < count(); ++i) {
      const bool finite = values[i] >= INT_MIN && values[i] < -static_cast<float>(INT_MIN);
      if (classes && !finite) refuse_label(key, std::to_string(values[i]));
      require_label(key, finite ? static_cast<int>(values[i]) : 0);
    }
  }

  const int channels, height, width, classes;
  const std::vector<int> ignored, mean;
  const uint64_t seed;
  // Height and width that images are brought to before they are transformed; empty: their own.
  const std::vector<int> resize;
  // A batch is channels x count; each value is checked as a label.
  const bool transposed, values_are_labels;
  caffe::TransformationParameter transform;
  caffe::Phase phase;
  bool random;

 private:
  void require_label(const std::string& key, int label) const {
    const bool known = label >= 0 && label < classes;
    if (classes && !known && std::find(ignored.begin(), ignored.end(), label) == ignored.end()) {
      refuse_label(key, std::to_string(label));
    }
  }

  [[noreturn]] void refuse_label(const std::string& key, const std::string& label) const {
    throw BadRecord("label-out-of-range", key, {{"label", label}, {"classes", std::to_string(classes)}});
  }
};

struct Batch {
  std::vector<float> data, labels;
  std::vector<std::string> keys;
  std::exception_ptr error;
};

// Records wanted: `count` of the database from `first` on, every `stride`th; or those that are given.
struct Job {
  uint64_t first, count, stride;
  std::vector<std::string> keys, values;
};

class Feed {
 public:
  explicit Feed(const bp::dict& layer) : layer_(layer), transformer_(layer_.transform, layer_.phase) {}
  ~Feed() { close(); }

  // Reads an LMDB from now on, where only positions are asked for.
  void open(const std::string& path) {
    WithoutGil nogil;
    database_.reset(new Database(path));
  }

  void request(uint64_t first, uint64_t count, uint64_t stride) { put({first, count, stride, {}, {}}); }

  // Takes serialised Datums with their keys. `first` is the index of the first one, which counts on by stride.
  void give(const bp::list& keys, const bp::list& values, uint64_t first, uint64_t stride) {
    Job job{first, static_cast<uint64_t>(bp::len(keys)), stride, {}, {}};
    for (uint64_t i = 0; i < job.count; ++i) {
      job.keys.push_back(bp::extract<std::string>(keys[i]));
      char* data = nullptr;
      Py_ssize_t length = 0;
      if (PyBytes_AsStringAndSize(bp::object(values[i]).ptr(), &data, &length) != 0) bp::throw_error_already_set();
      job.values.emplace_back(data, length);
    }
    put(std::move(job));
  }

  // Copies the next batch into two float32 arrays of its size, `labels` unless it is None; returns its keys.
  bp::list take(const bp::object& data, const bp::object& labels) {
    {
      WithoutGil nogil;
      advance();
    }
    copy(current_->data, data);
    if (!labels.is_none()) copy(current_->labels, labels);
    bp::list keys;
    for (const auto& key : current_->keys) {
      keys.append(bp::object(bp::handle<>(PyUnicode_DecodeUTF8(key.data(), key.size(), "backslashreplace"))));
    }
    return keys;
  }

  // Gives each forward pass of the solver's net the next batch; its labels too, unless their blob has no name.
  // Several feeds may serve one net, and each of them may run its steps.
  static void attach(const bp::object& self, const bp::object& solver_object, const std::string& data,
                     const std::string& labels) {
    Feed& feed = bp::extract<Feed&>(self);
    bp::extract<caffe::Solver<float>&> solver(solver_object);
    if (!solver.check()) throw std::invalid_argument("not a pycaffe solver");
    if (feed.hook_) throw std::invalid_argument("this feed has a solver already");
    feed.hook_.reset(new Hook(&feed, solver().net().get(), data, labels));
    solver().net()->add_before_forward(feed.hook_.get());
    // Caffe keeps a raw pointer to the hook and to the batch, so the feed must outlive the solver.
    if (!bp::objects::make_nurse_and_patient(solver_object.ptr(), self.ptr())) bp::throw_error_already_set();
  }

  // Runs one iteration with Caffe's random numbers from `seed` on; returns the mean loss of its passes.
  float step(const bp::object& solver_object, unsigned seed) {
    caffe::Solver<float>& solver = bp::extract<caffe::Solver<float>&>(solver_object);
    if (!hook_) throw std::invalid_argument("this feed has no solver");
    // Caffe's Python layers call into Python as if this thread held the GIL.
    bool python = false;
    for (const auto& layer : solver.net()->layers()) python |= std::string(layer->type()) == "Python";
    std::unique_ptr<WithoutGil> nogil(python ? nullptr : new WithoutGil);
    caffe::Caffe::set_random_seed(seed);
    hook_->begin();
    solver.Step(1);
    return hook_->loss();
  }

  void close() {
    WithoutGil nogil;
    {
      Lock lock(mutex_);
      closed_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
    // Not the current batch: the net's blobs refer to it.
    database_.reset();
    jobs_.clear();
    ready_.clear();
    spare_.clear();
  }

 private:
  class Hook : public caffe::Net<float>::Callback {
   public:
    Hook(Feed* feed, caffe::Net<float>* net, const std::string& data, const std::string& labels)
        : feed_(feed), net_(net), data_(blob(data)), labels_(labels.empty() ? nullptr : blob(labels)) {}

    void begin() { passes_ = 0, losses_ = 0; }

    float loss() const { return (losses_ + now()) / passes_; }

   protected:
    void run(int layer) override {
      if (layer != 0) return;
      if (passes_++ > 0) losses_ += now();
      Batch& batch = feed_->advance();
      if (batch.data.size() != static_cast<size_t>(data_->count())) {
        throw std::invalid_argument("a batch has another size than the blob");
      }
      data_->set_cpu_data(batch.data.data());
      if (labels_) labels_->set_cpu_data(batch.labels.data());
    }

   private:
    boost::shared_ptr<caffe::Blob<float>> blob(const std::string& name) const {
      if (!net_->has_blob(name)) throw std::invalid_argument("the net has no blob " + name);
      return net_->blob_by_name(name);
    }

    float now() const {
      float total = 0;
      const auto& weights = net_->blob_loss_weights();
      for (size_t i = 0; i < weights.size() && i < net_->blobs().size(); ++i) {
        if (weights[i] == 0) continue;
        const caffe::Blob<float>& blob = *net_->blobs()[i];
        const float* values = blob.cpu_data();
        for (int j = 0; j < blob.count(); ++j) total += weights[i] * values[j];
      }
      return total;
    }

    Feed* feed_;
    caffe::Net<float>* net_;
    boost::shared_ptr<caffe::Blob<float>> data_, labels_;
    int passes_ = 0;
    float losses_ = 0;
  };

  void put(Job job) {
    WithoutGil nogil;
    {
      Lock lock(mutex_);
      if (closed_) throw std::runtime_error("the feed is closed");
      jobs_.push_back(std::move(job));
      // After the fork of a Python worker, and only where there is something to do.
      if (!thread_.joinable()) thread_ = std::thread([this] { work(); });
    }
    changed_.notify_all();
  }

  // Makes the next batch the current one; throws what went wrong with it.
  Batch& advance() {
    Lock lock(mutex_);
    changed_.wait(lock, [&] { return closed_ || !ready_.empty() || (jobs_.empty() && !working_); });
    if (closed_ || ready_.empty()) throw std::runtime_error(closed_ ? "the feed is closed" : "no batch was asked for");
    if (ready_.front()->error) std::rethrow_exception(ready_.front()->error);
    if (current_) spare_.push_back(std::move(current_));
    current_ = std::move(ready_.front());
    ready_.pop_front();
    lock.unlock();
    changed_.notify_all();
    return *current_;
  }

  void work() {
    while (true) {
      Job job;
      std::unique_ptr<Batch> batch;
      {
        Lock lock(mutex_);
        changed_.wait(lock, [&] { return closed_ || (!jobs_.empty() && ready_.size() < kAhead); });
        if (closed_) return;
        job = std::move(jobs_.front());
        jobs_.pop_front();
        working_ = true;
        if (spare_.empty()) {
          batch.reset(new Batch);
        } else {
          batch = std::move(spare_.back());
          spare_.pop_back();
        }
      }
      try {
        make(job, batch.get());
      } catch (...) {
        batch->error = std::current_exception();
      }
      {
        Lock lock(mutex_);
        working_ = false;
        ready_.push_back(std::move(batch));
      }
      changed_.notify_all();
    }
  }

  void make(const Job& job, Batch* batch) {
    batch->data.resize(job.count * layer_.count());
    batch->labels.resize(job.count);
    batch->keys.clear();
    column_.resize(layer_.transposed ? layer_.count() : 0);
    if (job.values.empty() && database_) database_->require_unchanged();
    for (uint64_t i = 0; i < job.count; ++i) {
      if (closed_) return;
      const uint64_t index = job.first + i * job.stride;
      float* to = layer_.transposed ? column_.data() : batch->data.data() + i * layer_.count();
      float* label = batch->labels.data() + i;
      if (!job.values.empty()) {
        record(job.keys[i], job.values[i].data(), job.values[i].size(), index, to, label);
        batch->keys.push_back(job.keys[i]);
      } else {
        if (!database_) throw std::runtime_error("the feed has no database");
        database_->at(index, [&](std::string key, const void* value, size_t size) {
          record(key, value, size, index, to, label);
          batch->keys.push_back(std::move(key));
        });
      }
      for (size_t row = 0; row < column_.size(); ++row) batch->data[row * job.count + i] = column_[row];
    }
  }

  void record(const std::string& key, const void* value, size_t size, uint64_t index, float* to, float* label) {
    if (size > INT_MAX || !datum_.ParseFromArray(value, static_cast<int>(size))) {
      throw BadRecord("record-unreadable", key, {{"reason", "it is not a Datum"}});
    }
    if (layer_.random) {
      caffe::Caffe::set_random_seed(mixed(layer_.seed, index));
      transformer_.InitRand();
    }
    into_.Reshape(1, layer_.channels, layer_.height, layer_.width);
    into_.set_cpu_data(to);
    *label = datum_.label();
    if (datum_.encoded()) {
      encoded(key);
    } else {
      plain(key);
    }
    layer_.require_labels(key, to);
  }

  void plain(const std::string& key) {
    const std::vector<int> shape{datum_.channels(), datum_.height(), datum_.width()};
    const uint64_t values = datum_.data().empty() ? datum_.float_data_size() : datum_.data().size();
    // By division: a product of hostile sides may wrap around to any number.
    const bool sized = *std::min_element(shape.begin(), shape.end()) >= 1 && values <= INT_MAX &&
                       values % shape[0] == 0 && values / shape[0] % shape[1] == 0 &&
                       values / shape[0] / shape[1] == static_cast<uint64_t>(shape[2]);
    if (!sized) {
      throw BadRecord("record-size-invalid", key, {{"values", std::to_string(values)}, {"shape", sides(shape)}});
    }
#ifdef USE_OPENCV
    if (layer_.other_size(shape[1], shape[2]) && !datum_.data().empty() && shape[0] <= CV_CN_MAX) {
      cv::Mat image(shape[1], shape[2], CV_8UC(shape[0]));
      for (uint64_t at = 0; at < values; ++at) {
        const uint64_t area = values / shape[0];
        image.data[at % area * shape[0] + at / area] = datum_.data()[at];
      }
      transform(key, image);
      return;
    }
#endif
    layer_.require(key, shape, datum_.label());
    transformer_.Transform(datum_, &into_);
  }

  void encoded(const std::string& key) {
#ifdef USE_OPENCV
    const bool forced = layer_.transform.force_color() || layer_.transform.force_gray();
    const std::string& bytes = datum_.data();
    // OpenCV fills the rest of a JPEG that was cut off with grey. Coded data has no such marker by chance.
    if (bytes.compare(0, 2, "\xff\xd8") == 0 && bytes.rfind("\xff\xda") != std::string::npos &&
        (bytes.rfind("\xff\xd9") == std::string::npos || bytes.rfind("\xff\xd9") < bytes.rfind("\xff\xda"))) {
      throw BadRecord("record-unreadable", key, {{"reason", "its JPEG ends before the image does"}});
    }
    cv::Mat image;
    if (!bytes.empty()) {
      image = forced ? caffe::DecodeDatumToCVMat(datum_, layer_.transform.force_color())
                     : caffe::DecodeDatumToCVMatNative(datum_);
    }
    if (!image.data) throw BadRecord("record-unreadable", key, {{"reason", "it is not an image that OpenCV decodes"}});
    if (image.depth() != CV_8U) {
      throw BadRecord("record-unreadable", key, {{"reason", "its image does not have 8 bits a channel"}});
    }
    transform(key, image);
#else
    throw BadRecord("record-encoded", key);
#endif
  }

#ifdef USE_OPENCV
  void transform(const std::string& key, const cv::Mat& image) {
    cv::Mat fitting = image;
    if (layer_.other_size(image.rows, image.cols)) {
      cv::resize(image, fitting, cv::Size(layer_.resize[1], layer_.resize[0]));
    }
    layer_.require(key, {fitting.channels(), fitting.rows, fitting.cols}, datum_.label());
    transformer_.Transform(fitting, &into_);
  }
#endif

  static void copy(const std::vector<float>& from, const bp::object& array) {
    Py_buffer view;
    if (PyObject_GetBuffer(array.ptr(), &view, PyBUF_WRITABLE | PyBUF_FORMAT | PyBUF_C_CONTIGUOUS) != 0) {
      bp::throw_error_already_set();
    }
    std::unique_ptr<Py_buffer, void (*)(Py_buffer*)> release(&view, PyBuffer_Release);
    if (std::string(view.format ? view.format : "B") != "f" ||
        static_cast<size_t>(view.len) != from.size() * sizeof(float)) {
      throw std::invalid_argument("an array has another size than the batch, or is not float32");
    }
    std::memcpy(view.buf, from.data(), view.len);
  }

  const Layer layer_;
  caffe::DataTransformer<float> transformer_;  // of the thread, once there is one
  std::unique_ptr<Database> database_;
  std::unique_ptr<Hook> hook_;
  std::unique_ptr<Batch> current_;

  // Of the thread.
  caffe::Datum datum_;
  caffe::Blob<float> into_;
  std::vector<float> column_;
  std::thread thread_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> jobs_;
  std::deque<std::unique_ptr<Batch>> ready_;
  std::vector<std::unique_ptr<Batch>> spare_;
  bool working_ = false;
  std::atomic<bool> closed_{false};
};

}  // namespace

BOOST_PYTHON_MODULE(_native) {
  bp::import("caffe._caffe");  // registers the solver's converters
  bp::register_exception_translator<BadRecord>(&raise_in_python);
  bp::def("set_bad_record", &set_bad_record);

  bp::class_<Feed, boost::noncopyable>("Feed", bp::init<bp::dict>())
      .def("open", &Feed::open)
      .def("request", &Feed::request)
      .def("give", &Feed::give)
      .def("take", &Feed::take)
      .def("attach", &Feed::attach)
      .def("step", &Feed::step)
      .def("close", &Feed::close);
}

"""The framework is whole: it imports, parses CaffeOnSpark's fields and runs a net forward."""

import sys
import tempfile
from pathlib import Path

import caffe
import caffe_allreduce
import caffe_feed
import numpy as np
from caffe.proto import caffe_pb2
from google.protobuf import text_format

NET = """
name: "check"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 1 dim: 28 dim: 28 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 5 weight_filler { type: "constant" value: 0.04 } } }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
"""
COS = """
layer { name: "data" type: "MemoryData" top: "data" top: "label" include { phase: TRAIN }
  source_class: "com.yahoo.ml.caffe.LMDB"
  memory_data_param { source: "hdfs:///data/x" batch_size: 64 channels: 1 height: 28 width: 28
    share_in_parallel: false image_encoded: true dataframe_format: "parquet" dataframe_column_select: "id" } }
layer { name: "cos" type: "CoSData" top: "a" cos_data_param { source: "x" batch_size: 4
    top { name: "a" type: INT_ARRAY channels: 3 sample_num_axes: 1 transpose: true } } }
"""

net_parameter = text_format.Parse(COS, caffe_pb2.NetParameter())
assert net_parameter.layer[0].memory_data_param.share_in_parallel is False
assert net_parameter.layer[1].cos_data_param.top[0].transpose is True

caffe.set_mode_cpu()
with tempfile.TemporaryDirectory() as folder:
    file = Path(folder, "net.prototxt")
    file.write_text(NET)
    net = caffe.Net(str(file), caffe.TEST)
net.blobs["data"].data[...] = 1
result = net.forward()["pool"]
assert result.shape == (2, 4, 12, 12), result.shape
assert np.allclose(result, 1.0), result
assert caffe_allreduce.Group(0, [None]).allreduce_mean([1.0, 2.0]).tolist() == [1, 2]
layer = {
    "channels": 1,
    "height": 2,
    "width": 2,
    "train": False,
    "mean": [],
    "classes": 4,
    "ignored": [],
    "seed": 0,
    "resize": [],
    "transposed": False,
    "values_are_labels": False,
    "transform": caffe_pb2.TransformationParameter(scale=0.5).SerializeToString(),
}
feed = caffe_feed.Feed(layer)
datum = caffe_pb2.Datum(channels=1, height=2, width=2, data=bytes([0, 2, 4, 6]), label=3)
feed.give(["key"], [datum.SerializeToString()], 0, 1)
pixels, labels = np.zeros((1, 1, 2, 2), np.float32), np.zeros(1, np.float32)
assert feed.take(pixels, labels) == ["key"]
assert (pixels.ravel().tolist(), labels.tolist()) == ([0, 1, 2, 3], [3])
feed.give(["key"], [b"no datum"], 0, 1)
try:
    raise AssertionError(feed.take(pixels, labels))
except caffe_feed.BadRecord as error:
    assert (error.code, error.fields["key"]) == ("record-unreadable", "key"), error
feed.close()
# Sequences of two steps, whose values are labels: a batch has a row for each step.
feed = caffe_feed.Feed(dict(layer, height=1, channels=2, width=1, transposed=True, values_are_labels=True))
texts = [
    caffe_pb2.Datum(channels=2, height=1, width=1, float_data=values).SerializeToString()
    for values in ([0, 2], [4, 6], [0, 8])
]
feed.give(["a", "b"], texts[:2], 0, 1)
steps = np.zeros((2, 2), np.float32)
assert feed.take(steps, None) == ["a", "b"]
assert steps.tolist() == [[0, 2], [1, 3]], steps
feed.give(["c"], texts[2:], 2, 1)
try:
    raise AssertionError(feed.take(steps[:, :1].copy(), None))
except caffe_feed.BadRecord as error:
    assert (error.code, error.fields["label"]) == ("label-out-of-range", "4"), error
feed.close()
feed = caffe_feed.Feed(dict(layer, channels=2, height=1, width=1, resize=[1, 1]))
try:
    pixels = np.zeros((1, 2, 1, 1), np.float32)
    large = caffe_pb2.Datum(channels=2, height=2, width=2, data=bytes([0, 4, 4, 8, 20, 20, 20, 20]))
    feed.give(["large"], [large.SerializeToString()], 0, 1)
    assert feed.take(pixels, labels) == ["large"]
    assert pixels.ravel().tolist() == [2, 10], pixels
except caffe_feed.BadRecord as error:  # without OpenCV, it stays as large as it is
    assert error.code == "record-does-not-fit", error
feed.close()
assert "skimage" not in sys.modules, "importing caffe must stay cheap"
print("forward: ok")

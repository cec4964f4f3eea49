"""What was compiled with CUDA also works where there is no GPU, in CPU mode, prefetching threads included.

The head has none, and it is where this runs; what the GPU's code computes is not looked at here.
"""

import struct
import subprocess
import tempfile
from pathlib import Path

import caffe
import numpy as np

NET = """
layer {{ name: "data" type: "Data" top: "data" top: "label"
  data_param {{ source: "{source}" batch_size: 4 backend: LMDB }} }}
layer {{ name: "sums" type: "Reduction" bottom: "data" top: "sums"
  reduction_param {{ operation: SUM axis: 1 }} }}
"""

assert caffe.has_nccl(), "compiled without NCCL"
# Its size; zeros are among its bytes.
assert len(caffe.NCCL.new_uid()) == 128, caffe.NCCL.new_uid()

images = np.arange(8 * 28 * 28).reshape(8, 28, 28) % 251
convert = Path(caffe.__file__).parents[2] / "bin" / "convert_mnist_data"
caffe.set_mode_cpu()
with tempfile.TemporaryDirectory() as folder:
    # MNIST's own format: a magic number, the shape, the bytes.
    Path(folder, "images").write_bytes(
        struct.pack(">4i", 2051, 8, 28, 28) + images.astype(np.uint8).tobytes()
    )
    Path(folder, "labels").write_bytes(struct.pack(">2i", 2049, 8) + bytes(range(8)))
    subprocess.run([str(convert), "images", "labels", "lmdb"], cwd=folder, check=True)
    Path(folder, "net").write_text(NET.format(source=Path(folder, "lmdb")))
    net = caffe.Net(str(Path(folder, "net")), caffe.TEST)
    blobs = net.forward()
assert blobs["label"].tolist() == [0, 1, 2, 3], blobs["label"]
assert blobs["sums"].tolist() == images[:4].sum((1, 2)).tolist(), blobs["sums"]
print("without a GPU: ok")

"""jobs/specs/cifar10_quick.yaml with Caffe itself, on a small set; skipped where Caffe does not run."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

from jobs.datasets import cifar10
from jobs.datasets.on_head.cifar10 import convert
from jobs.spec_file import read_spec
from tests.jobs.datasets.test_cifar10 import TRAIN, archive, small_set
from tests.jobs.specs import SPECS
from tests.jobs.trainer.artefact import Caffe

__all__ = ["archive"]

STEP = """
import json, sys
from pathlib import Path
import numpy as np
from jobs.trainer.caffe import native
from jobs.trainer.caffe.feed import Feed
from jobs.trainer.caffe.prototxt import load
from jobs.trainer.sources.lmdb import Lmdb
from jobs.trainer.sources.shards import Request

folder = Path(sys.argv[1])
pb = native.protos()
job = load(folder / "cifar10_quick_solver.prototxt", pb, {"batch": "20"})
trainer = native.Trainer(job, 0, folder)
feed = Feed(job.train, Lmdb(folder / "train_lmdb", pb.Datum))
feed.ask([Request(0, 20, 1)] * 2)
trainer.start(feed)
loss = trainer.step(1)
net = trainer.solver.net
expected = np.load(str(folder / "expected.npy"))
off = float(np.abs(np.array(net.blobs["data"].data).reshape(expected.shape) - expected).max())
shapes = {name: list(blobs[0].data.shape) for name, blobs in net.params.items()}
print(json.dumps({"loss": loss, "off": off, "shapes": shapes}))
feed.close()
"""


def test_the_published_net_trains_on_the_converted_set_less_its_mean(
    caffe: Caffe, archive: Path, tmp_path: Path
) -> None:
    spec = read_spec(SPECS / "cifar10_quick.yaml")
    cifar10.ensure_mean()
    folder = tmp_path / "job"
    convert(archive, folder)
    for file in spec.shipped:
        (folder / file.name).write_bytes(file.read_bytes())

    images = np.concatenate([small_set()[name] for name in TRAIN])[:, 1:].astype(np.float32)
    np.save(folder / "expected.npy", images - images.mean(axis=0))

    found = json.loads(caffe.result(STEP, str(folder)))

    assert found["shapes"] == {
        "conv1": [32, 3, 5, 5],
        "conv2": [32, 32, 5, 5],
        "conv3": [64, 32, 5, 5],
        "ip1": [64, 1024],
        "ip2": [10, 64],
    }
    assert math.isclose(found["loss"], math.log(10), rel_tol=0.01)
    assert found["off"] < 1e-3

"""The probe's subprocess."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from jobs.trainer.caffe.probe import Nets, Probe
from jobs.trainer.caffe.prototxt import load
from jobs.trainer.errors import Refused

PYCAFFE = '''
"""Stand-in for pycaffe: nets of Input and Reshape layers; dims of a Reshape are in the layer's name."""

import os, sys
from math import prod
from types import SimpleNamespace
from google.protobuf import text_format
from tests.jobs.trainer.messages import build

TRAIN, TEST = 0, 1


def set_mode_cpu():
    pass


class Blob:
    def reshape(self, *shape):
        self.shape = shape


class Net:
    def __init__(self, file, phase):
        pb = build()
        self._net = text_format.Parse(open(file).read(), pb.NetParameter())
        self.blobs, self.layers, self._layer_names = {}, [], []
        for top, shape in zip(self._net.layer[0].top, self._net.layer[0].input_param.shape):
            self.blobs[top] = Blob()
            self.blobs[top].reshape(*shape.dim)
        self.outputs = [self._net.layer[-1].top[0]] if self._net.layer[-1].top else []
        self.reshape()

    def reshape(self):
        for layer in self._net.layer:
            if layer.type != "Reshape":
                continue
            count = prod(self.blobs[layer.bottom[0]].shape)
            dims = [int(word) for word in layer.name.split()[1:]]
            if -1 in dims:
                dims[dims.index(-1)] = count // -prod(dims)
            if prod(dims) != count:
                words = "Check failed: output count must match input count"
                sys.stderr.write("F1130 12:00:00.000000 1 reshape_layer.cpp:87] " + words + "\\n")
                sys.stderr.flush()
                os.abort()
            self.blobs.setdefault(layer.top[0], Blob()).reshape(*dims)
'''
SOLVER = 'net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 1 test_iter: 1 test_interval: 1'
DATA = """
layer {{
  name: "data" type: "MemoryData" top: "data" top: "label" source_class: "com.yahoo.ml.caffe.LMDB"
  memory_data_param {{ source: "file:/none" batch_size: {batch} channels: 6 height: 1 width: 1 }}
  include {{ phase: {phase} }}
}}
"""


@pytest.fixture
def probed(tmp_path: Path, pb: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Nets]:
    """Probe a net that reshapes 6 values of each of 4 samples to be scored, over a stand-in for pycaffe."""
    package = tmp_path / "python" / "caffe"
    (package / "proto").mkdir(parents=True)
    (package / "__init__.py").write_text(PYCAFFE)
    (package / "proto" / "__init__.py").write_text("")
    (package / "proto" / "caffe_pb2.py").write_text(
        "import sys\nfrom tests.jobs.trainer.messages import build\nsys.modules[__name__] = build()\n"
    )
    monkeypatch.syspath_prepend(str(package.parent))

    def probe(dims: str, smaller: int) -> Nets:
        layers = [DATA.format(phase=phase, batch=batch) for phase, batch in (("TRAIN", 2), ("TEST", 4))]
        shaped = 'layer {{ name: "reshape {}" type: "Reshape" bottom: "data" top: "shaped" {} }}'
        layers.append(shaped.format(dims, "include { phase: TEST }"))
        (tmp_path / "net.prototxt").write_text("".join(layers))
        (tmp_path / "solver.prototxt").write_text(SOLVER)
        with closing(Probe(load(tmp_path / "solver.prototxt", pb), tmp_path, (0,), smaller)) as running:
            return running.result()

    return probe


@pytest.mark.parametrize(
    ("dims", "smaller", "fixed"),
    [
        ("-1 6", 1, ""),
        ("4 6", 1, "Check failed: output count must match input count"),
        ("4 6", 3, "Check failed: output count must match input count"),
        ("4 6", 4, ""),
        ("4 6", 0, ""),
        ("4 -1", 1, "Check failed: output count must match input count"),
        # Caffe takes this one, with half a sample in each row.
        ("4 -1", 2, 'its blob "shaped" becomes 4x3'),
        # Rows of two samples each.
        ("-1 12", 1, "Check failed: output count must match input count"),
        ("-1 12", 2, ""),
        # Not the batch, but two parts of it.
        ("2 -1", 2, ""),
    ],
)
def test_a_net_that_is_scored_is_tried_with_a_smaller_batch(
    probed: Callable[..., Nets], dims: str, smaller: int, fixed: str
) -> None:
    found = probed(dims, smaller)

    assert found.fixed == fixed
    assert found.outputs == ("shaped",), "what a full batch has is known all the same"
    assert found.blobs["data"] == (4, 6, 1, 1)


def test_a_net_that_is_refused_at_its_own_batch_is_not_one_of_a_fixed_batch(
    probed: Callable[..., Nets],
) -> None:
    with pytest.raises(Refused, match="the net: Caffe refuses it: Check failed: output count must match"):
        probed("5 6", 1)


def test_a_probe_that_nobody_waits_for_ends_with_its_job(
    prototxts: Path, pb: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endless = tmp_path / "python"
    endless.write_text("#!/bin/sh\nexec sleep 600\n")
    endless.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(endless))
    probe = Probe(load(prototxts, pb), tmp_path)
    number = probe._process.pid

    began = time.monotonic()
    probe.close()

    assert time.monotonic() - began < 60
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)

"""Weights to start from, in both of Caffe's formats, with Caffe itself; skipped where Caffe does not run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.trainer.artefact import Caffe
from tests.jobs.trainer.caffe.test_with_caffe import write

LOAD = """
import json, sys
from pathlib import Path
import numpy as np
from jobs.trainer.caffe import native
from jobs.trainer.caffe.prototxt import load
from jobs.trainer.errors import Refused

folder, saved, renamed = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])


def trainer(name):
    (folder / name).mkdir()
    return native.Trainer(load(folder / "solver.prototxt", native.protos()), 0, folder / name)


first = trainer("first")
for blobs in first.solver.net.params.values():
    for blob in blobs:
        blob.data[...] = np.arange(blob.count).reshape(blob.data.shape)
wanted = {name: bytes(blobs[0].data) for name, blobs in first.solver.net.params.items()}
file = folder / saved
(first.solver.net.save_hdf5 if saved.endswith(".h5") else first.solver.net.save)(str(file))
net = folder / "net.prototxt"
for before, after in renamed.items():
    net.write_text(net.read_text().replace('"%s"' % before, '"%s"' % after))
second = trainer("second")
try:
    second.load_weights([file])
    params = second.solver.net.params
    same = [name for name in params if bytes(params[name][0].data) == wanted.get(name)]
except Refused as error:
    same = error.code
print(json.dumps([same, native.is_cpu_build(), native.has_nccl()]))
"""


@pytest.fixture
def loaded(caffe: Caffe, tmp_path: Path) -> Any:
    """Return the layers that a saved file has given weights, or the refusal, for a net with other names."""

    def run(file: str, **renamed: str) -> Any:
        write(tmp_path, solver="solver_mode: CPU")
        same, cpu, nccl = json.loads(caffe.result(LOAD, str(tmp_path), file, json.dumps(renamed)))
        assert (cpu, nccl) == (True, False), "a framework for CPUs"
        return same

    return run


FORMATS = pytest.mark.parametrize("file", ["w.caffemodel", "w.caffemodel.h5"])


@FORMATS
def test_weights_are_copied_by_the_names_of_layers(loaded: Any, file: str) -> None:
    assert loaded(file) == ["ip1", "ip2"]


@FORMATS
def test_a_layer_that_the_file_does_not_have_keeps_its_own(loaded: Any, file: str) -> None:
    assert loaded(file, ip2="new") == ["ip1"]


@FORMATS
def test_weights_of_another_net_are_refused(loaded: Any, file: str) -> None:
    assert loaded(file, ip1="one", ip2="two") == "weights-match-no-layer"

"""The probe's subprocess."""

from __future__ import annotations

import io
import json
import os
import shlex
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.trainer.caffe import native
from jobs.trainer.caffe.blobs import Blob, Top
from jobs.trainer.caffe.datalayer import TOLD
from jobs.trainer.caffe.labels import Labels
from jobs.trainer.caffe.probe import Nets, Probe, main
from jobs.trainer.caffe.prototxt import TrainingJob, load
from jobs.trainer.errors import Refused
from jobs.trainer.sources.columns import Column
from jobs.trainer.sources.transform import Transform

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


@pytest.fixture
def job(prototxts: Path, pb: Any) -> TrainingJob:
    return load(prototxts, pb)


Result = Callable[..., Nets]


@pytest.fixture
def result(job: TrainingJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Result:
    """Return what a probe makes of a process's words and status."""

    def made(out: str, err: str = "", status: int = 0) -> Nets:
        python = tmp_path / "python"
        words = f"printf %s {shlex.quote(out)}; printf %s {shlex.quote(err)} >&2; exit {status}"
        python.write_text(f"#!/bin/sh\n{words}\n")
        python.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(python))
        probe = Probe(job, tmp_path)
        try:
            return probe.result()
        finally:
            probe.close()

    return made


FOUND = {
    "blobs": {"data": [100, 1, 28, 28]},
    "outputs": ["accuracy"],
    "twice": [],
    "labels": [[[0, []], [10, [255]]], []],
    "axes": [{"data": 0}],
    "merged": [{"accuracy": [5]}],
}


def test_the_last_line_describes_the_nets(result: Result) -> None:
    found = result("I am a library\n" + json.dumps({"found": FOUND}) + "\n")

    assert found == Nets(
        {"data": (100, 1, 28, 28)},
        ("accuracy",),
        ((Labels(), Labels(10, (255,))), ()),
        ({"data": 0},),
        ({"accuracy": (5,)},),
    )


def test_layers_of_one_name_are_named(result: Result) -> None:
    with pytest.raises(Refused, match="ip1, ip2"):
        result(json.dumps({"found": {**FOUND, "twice": ["ip1", "ip2"]}}))


FATAL = "F0131 12:00:00.000001 77 a.cpp:7] "


@pytest.mark.parametrize(("length", "end"), [(239, "x"), (240, "x"), (241, "…")])
def test_caffes_words_are_told_up_to_a_length(result: Result, length: int, end: str) -> None:
    with pytest.raises(Refused) as refused:
        result("", FATAL + "x" * length, 134)

    assert refused.value.code == "net-refused"
    assert refused.value.fields["reason"] == "x" * min(length, 240) + end.strip("x")


@pytest.mark.parametrize(
    ("out", "code"),
    [
        ('{"reshaped": 0}\n', "net-of-fixed-batch"),
        ('a line\n{"reshaped": 0}', "net-of-fixed-batch"),
        ('{"reshaped": 0}\na line', "net-of-fixed-batch"),
        ("a line", "net-refused"),
        ("", "net-refused"),
    ],
)
def test_a_net_that_was_built_and_takes_no_other_batch_is_told_so(
    result: Result, out: str, code: str
) -> None:
    with pytest.raises(Refused, match="Check failed") as refused:
        result(out, FATAL + "Check failed: a == b", 134)

    assert refused.value.code == code
    assert refused.value.fields.get("batch") in {100, None}


def test_a_net_is_built_where_its_shape_is_known_and_reshaped_where_it_is_evaluated(
    job: TrainingJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/true")
    blob = Blob("w", (5, 1, 1), Transform(), axes=1, transposed=True)
    words = Top(Column("w", "INT_ARRAY", (5, 1, 1)), blob)
    test = job.tests[0]
    tests = (
        replace(test, data=replace(test.data, shape=TOLD)),
        replace(test, data=replace(test.data, batch=7, columns=(words,))),
        replace(test, data=replace(test.data, batch=8, columns=(words,))),
    )

    def written(evaluated: Any) -> list[str]:
        folder = tmp_path / str(evaluated)
        folder.mkdir()
        Probe(replace(job, tests=tests), folder, evaluated).close()
        return sorted(file.name for file in folder.iterdir())

    nets = ["test1.prototxt", "test2.prototxt", "train.prototxt"]
    assert written({0, 2}) == sorted([*nets, "test2.json"])
    assert written(None) == sorted([*nets, "test1.json", "test2.json"])
    assert written(()) == nets
    larger = json.loads((tmp_path / "None" / "test1.json").read_text())
    assert larger == {"batch": 7, "dims": {"w": [5, 8]}}


@pytest.mark.parametrize(
    ("smaller", "batch"), [((), None), ((0,), None), ((1,), 1), ((99,), 99), ((100,), None)]
)
def test_a_smaller_batch_is_tried_where_it_is_asked_for(
    job: TrainingJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, smaller: tuple[int, ...], batch: Any
) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{tmp_path}/words\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    probe = Probe(job, tmp_path, (0,), *smaller)
    probe._process.wait(60)
    probe.close()

    asked = json.loads((tmp_path / "words").read_text().splitlines()[-1])
    dims = {"data": [batch, 1, 28, 28], "label": [batch]}
    assert asked == (batch and {"batch": 100, "dims": dims})


# ---- the subprocess's program


class Net:
    """A net of pycaffe with sequences; `said` has what was printed before it is reshaped."""

    outputs = ("merged", "words")

    def __init__(self, phase: str, log: io.BytesIO) -> None:
        self.phase, self.log, self.said = phase, log, b""
        self._layer_names = ["data", "ip", "ip", "act", "act", "loss"]
        self.layers = [SimpleNamespace(blobs=[1] * count) for count in (0, 2, 1, 0, 0, 0)]
        self.blobs = {"data": Shaped(3, 4), "label": Shaped(3), "fixed": Shaped(7)}
        self._shape()

    def _shape(self) -> None:
        batch = self.blobs["data"].shape[0]
        self.blobs.update(ip=Shaped(batch, 10), words=Shaped(5, batch), merged=Shaped(5 * batch))
        self.blobs.update(inside=Shaped(2 * batch))

    def reshape(self) -> None:
        self.said = self.log.getvalue()
        self._shape()


class Shaped:
    def __init__(self, *shape: int) -> None:
        self.shape = shape

    def reshape(self, *shape: int) -> None:
        self.shape = shape


TEXT = """
layer { name: "data" type: "Input" top: "data" top: "label" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""


@pytest.fixture
def log() -> io.BytesIO:
    """What reaches the driver of what is printed."""
    return io.BytesIO()


@pytest.fixture
def nets(log: io.BytesIO, pb: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, Net]:
    """Nets by their files, as they are built."""
    made: dict[str, Net] = {}

    def net(file: str, phase: str) -> Net:
        made[Path(file).name] = Net(phase, log)
        return made[Path(file).name]

    monkeypatch.setattr(native, "load", lambda: SimpleNamespace(Net=net, TRAIN="train", TEST="test"))
    monkeypatch.setattr(native, "protos", lambda: pb)
    return made


def test_what_is_known_is_printed_before_a_smaller_batch_is_tried(
    tmp_path: Path, log: io.BytesIO, nets: dict[str, Net], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(log))
    for name in ("train", "test0"):
        (tmp_path / f"{name}.prototxt").write_text(TEXT)

    main(tmp_path, 1, {"batch": 3, "dims": {"data": [2, 4], "label": [2]}})

    sys.stdout.flush()
    assert b"found" in nets["test0.prototxt"].said, "Caffe may abort then"
    assert json.loads(log.getvalue().splitlines()[-1]) == {"kept": {}}


def test_the_program_describes_the_nets_that_there_are(
    tmp_path: Path, log: io.BytesIO, nets: dict[str, Net], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(log))
    for name in ("train", "test0", "test2"):
        (tmp_path / f"{name}.prototxt").write_text(TEXT)
    larger = {"batch": 3, "dims": {"data": [4, 4], "label": [4]}}
    (tmp_path / "test2.json").write_text(json.dumps(larger))

    main(tmp_path, 3, None)

    sys.stdout.flush()
    said: dict[str, Any] = {}
    for line in log.getvalue().decode().splitlines():
        said.update(json.loads(line))
    found = said["found"]
    assert {name: net.phase for name, net in nets.items()} == {
        "train.prototxt": "train",
        "test0.prototxt": "test",
        "test2.prototxt": "test",
    }
    assert (found["blobs"]["words"], found["outputs"], found["twice"]) == (
        [5, 3],
        ["merged", "words"],
        ["ip"],
    )
    known = [[0, []], [10, []]]
    assert found["labels"] == [known, known, [], known]
    axes = {"data": 0, "label": 0, "ip": 0, "words": 1, "merged": -1, "inside": -1}
    assert found["axes"] == [{}, {}, axes]
    assert found["merged"] == [{}, {}, {"merged": [15]}]
    assert said["reshaped"] == 2
    assert b"reshaped" in nets["test2.prototxt"].said, "Caffe may abort then"
    assert "kept" not in said

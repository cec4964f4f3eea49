"""The trainer over a stand-in for pycaffe: statistics, weights, snapshots and scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

from jobs.trainer.caffe import native
from jobs.trainer.caffe.axes import NO_AXIS
from jobs.trainer.caffe.prototxt import TrainingJob, load
from jobs.trainer.errors import Refused


def blob(*shape: int) -> Any:
    return SimpleNamespace(data=np.zeros(shape, np.float32), count=int(np.prod(shape)), shape=shape)


class Net:
    """A net with a BatchNorm and an inner product."""

    def __init__(self) -> None:
        self.blobs = {"data": blob(2, 1, 1, 1), "label": blob(2), "loss": blob()}
        self.blob_loss_weights = {"data": 0.0, "label": 0.0, "loss": 1.0}
        self._layer_names = ["data", "bn", "ip"]
        self.layers = [SimpleNamespace(type=kind) for kind in ("Input", "BatchNorm", "InnerProduct")]
        self.params = {"bn": [blob(3), blob(3), blob(1)], "ip": [blob(2, 3), blob(2)]}
        self.copied: list[str] = []

    def copy_from(self, file: str) -> None:
        self.copied.append(Path(file).name)


class Caffe:
    """A module `caffe` with one solver."""

    def __init__(self) -> None:
        self.net, self.iter = Net(), 0

    def get_solver(self, _: str) -> Caffe:
        return self

    def restore(self, state: str) -> None:
        # As in an HDF5 snapshot, which names its weights without a folder.
        self.restored = Path(state).name, Path("net_iter_4.caffemodel.h5").read_text()


@pytest.fixture
def trainer(prototxts: Path, pb: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> native.Trainer:
    caffe = Caffe()
    monkeypatch.setattr(native, "load", lambda: caffe)
    monkeypatch.setattr(native, "protos", lambda: pb)
    job: TrainingJob = load(prototxts, pb)
    return native.Trainer(job, 0, tmp_path)


def test_statistics_of_layers_are_averaged_and_weights_are_not_touched(trainer: native.Trainer) -> None:
    net = trainer.solver.net
    for number, blob in enumerate((*net.params["bn"], *net.params["ip"])):
        blob.data[...] = number + 1
    given: list[np.ndarray] = []

    def mean(values: np.ndarray) -> np.ndarray:
        given.append(values.copy())
        return values / 2

    trainer.average_statistics(mean)

    assert [one.tolist() for one in given] == [[1, 1, 1, 2, 2, 2, 3]]
    assert given[0].dtype == np.float64
    assert [blob.data.ravel()[0] for blob in net.params["bn"]] == [0.5, 1, 1.5]
    assert [blob.data.ravel()[0] for blob in net.params["ip"]] == [4, 5]


def test_without_statistics_no_rank_waits_for_the_others(trainer: native.Trainer) -> None:
    trainer._statistics.clear()

    trainer.average_statistics(lambda _: pytest.fail("asked the other ranks"))


def test_an_hdf5_snapshot_finds_its_weights_though_both_arrive_under_other_names(
    trainer: native.Trainer, tmp_path: Path
) -> None:
    state, weights = tmp_path / "1-net_iter_4.solverstate.h5", tmp_path / "2-net_iter_4.caffemodel.h5"
    state.write_bytes(b"\x89HDF\r\n\x1a\n")
    weights.write_text("weights")

    trainer.restore(state, "net_iter_4.solverstate.h5", [weights])

    assert trainer.solver.restored == (state.name, "weights")
    assert trainer.solver.net.copied == [weights.name]


@pytest.mark.parametrize(
    ("maps", "cpu"), [("/lib/libcublas.so.12\n", False), ("/lib/libopenblas.so\n", True)]
)
def test_a_build_with_cuda_has_its_libraries_in_memory(
    monkeypatch: pytest.MonkeyPatch, maps: str, cpu: bool
) -> None:
    monkeypatch.setattr(native, "load", lambda: None)
    monkeypatch.setattr(native, "Path", lambda _: SimpleNamespace(read_text=lambda: maps))

    assert native.is_cpu_build() is cpu


def weights(pb: Any, **layers: list[int]) -> bytes:
    made = pb.NetParameter(name="n")
    for name, shape in layers.items():
        made.layer.add(name=name).blobs.add().shape.dim.extend(shape)
    return bytes(made.SerializeToString())


def test_models_give_their_weights_in_their_order(trainer: native.Trainer, pb: Any, tmp_path: Path) -> None:
    for name in ("first", "second"):
        made = pb.NetParameter.FromString(weights(pb, ip=[2, 3]))
        made.layer[0].blobs.add().shape.dim.extend([2])
        (tmp_path / name).write_bytes(made.SerializeToString())

    trainer.load_weights([tmp_path / "first", tmp_path / "second"])

    assert trainer.solver.net.copied == ["first", "second"]


def test_weights_of_another_shape_are_refused_before_caffe_aborts(
    trainer: native.Trainer, pb: Any, tmp_path: Path
) -> None:
    (tmp_path / "other").write_bytes(weights(pb, ip=[5, 5]))

    with pytest.raises(Refused, match="its layer 'ip' has the shapes 5x5"):
        trainer.load_weights([tmp_path / "other"])
    assert trainer.solver.net.copied == []


@pytest.mark.parametrize("matches", [True, False])
def test_an_hdf5_model_is_judged_by_its_effect(
    trainer: native.Trainer, tmp_path: Path, matches: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "m.h5").write_bytes(b"\x89HDF\r\n\x1a\n...")
    net = trainer.solver.net

    def copy(_: str) -> None:
        net.params["ip"][0].data[...] = 1 if matches else 0

    monkeypatch.setattr(net, "copy_from", copy)

    if matches:
        trainer.load_weights([tmp_path / "m.h5"])
        return
    with pytest.raises(Refused, match=r"m\.h5.*weights for no layer of the net \(bn, ip\)"):
        trainer.load_weights([tmp_path / "m.h5"])


# ---- scoring


class Blob:
    def __init__(self, *shape: int) -> None:
        self.reshape(*shape)

    def reshape(self, *shape: int) -> None:
        self.shape, self.count = shape, int(np.prod(shape))
        self.data = np.zeros(shape, np.float32)


class ScoredNet:
    """A TEST net of four layers, whose outputs follow from the first value of each sample."""

    outputs = ("accuracy",)
    layers = tuple(SimpleNamespace(type=kind) for kind in ("Input", "InnerProduct", "Accuracy", "Silence"))
    _layer_names = ("data", "ip", "accuracy", "rest")
    top_names: ClassVar[dict[str, list[str]]] = {
        "data": ["data", "label"],
        "ip": ["ip"],
        "accuracy": ["accuracy", "classes"],
        "rest": [],
    }

    def __init__(self) -> None:
        self.blobs = {"data": Blob(3, 1, 1, 1), "label": Blob(3)}
        self.shaped = 0
        self.reshape()

    def reshape(self) -> None:
        batch = self.blobs["data"].shape[0]
        shapes = {
            "ip": (batch, 2),
            "accuracy": (),
            "classes": (6,),
            "maps": (batch, 2, 2),
            "words": (4, batch),
            "odd": (2 * batch,),
        }
        self.blobs.update({name: Blob(*shape) for name, shape in shapes.items()})
        self.shaped += 1

    def _forward(self, first: int, last: int) -> float:
        assert (first, last) == (0, 3)
        values = self.blobs["data"].data[:, 0, 0, 0]
        self.blobs["ip"].data[...] = values[:, None] + [0.5, 0.25]
        self.blobs["maps"].data[...] = values[:, None, None]
        self.blobs["words"].data[...] = values + 10 * np.arange(4)[:, None]
        self.blobs["accuracy"].data[...] = values.mean()
        self.blobs["classes"].data[...] = range(6)
        return 7.5


class Batches:
    """A feed of batches of these sizes, whose records count on."""

    def __init__(self, *sizes: int) -> None:
        self.sizes, self.next = list(sizes), 0

    def upcoming(self) -> int:
        return self.sizes[0]

    def take(self, data: np.ndarray, labels: np.ndarray) -> list[str]:
        assert len(data) == len(labels) == self.sizes.pop(0)
        data[:, 0, 0, 0] = range(self.next, self.next + len(data))
        self.next += len(data)
        return [str(int(value)) for value in data[:, 0, 0, 0]]


@pytest.fixture
def scorer(prototxts: Path, pb: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., native.Scorer]:
    test = load(prototxts, pb).tests[0]

    def make(**axes: int) -> native.Scorer:
        caffe = SimpleNamespace(Net=lambda *_: ScoredNet(), TEST=1)
        monkeypatch.setattr(native, "load", lambda: caffe)
        data = replace(test.data, batch=3, shape=(1, 1, 1))
        return native.Scorer(replace(test, data=data, axes=axes), Path("net.prototxt"))

    return make


def test_each_sample_has_its_values_and_those_of_its_batch(scorer: Callable[..., native.Scorer]) -> None:
    made, feed = scorer(), Batches(3, 3, 1)

    assert [made.length(name) for name in ("ip", "accuracy", "maps", "classes")] == [2, 1, 4, 6]
    ids, values = made.run(feed, ["ip", "accuracy", "classes"])  # type: ignore[arg-type]
    assert ids == ["0", "1", "2"]
    assert values["ip"].tolist() == [[0.5, 0.25], [1.5, 1.25], [2.5, 2.25]]
    assert values["accuracy"].tolist() == [[1], [1], [1]]
    assert values["classes"].tolist() == [[0, 1, 2, 3, 4, 5]] * 3
    assert made.loss() == 7.5


def test_a_net_is_reshaped_for_a_batch_of_another_size_alone(scorer: Callable[..., native.Scorer]) -> None:
    made, feed = scorer(), Batches(3, 3, 1)
    shaped = [made.net.shaped]

    for _ in range(3):
        _, values = made.run(feed, ["ip", "maps"])  # type: ignore[arg-type]
        shaped.append(made.net.shaped)

    assert shaped == [1, 1, 1, 2]
    assert values["ip"].tolist() == [[6.5, 6.25]]
    assert values["maps"].tolist() == [[6] * 4]


def test_values_are_by_the_axis_that_is_the_batchs(scorer: Callable[..., native.Scorer]) -> None:
    made, feed = scorer(data=0, ip=0, words=1, odd=NO_AXIS), Batches(3, 3)

    assert [made.length(name) for name in ("ip", "words", "accuracy", "maps")] == [2, 4, 1, 12]
    _, values = made.run(feed, ["words", "ip", "accuracy"])  # type: ignore[arg-type]
    assert values["words"].tolist() == [[0, 10, 20, 30], [1, 11, 21, 31], [2, 12, 22, 32]]
    assert values["ip"].tolist() == [[0.5, 0.25], [1.5, 1.25], [2.5, 2.25]]
    assert values["accuracy"].tolist() == [[1]] * 3
    with pytest.raises(Refused, match="odd"):
        made.run(feed, ["odd"])  # type: ignore[arg-type]

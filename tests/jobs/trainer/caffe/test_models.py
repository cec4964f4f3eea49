"""Kinds of model files, and weights that fit a net."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jobs.trainer.caffe import models
from jobs.trainer.errors import Refused

SHAPES: dict[str, list[tuple[int, ...]]] = {"ip1": [(10, 4), (10,)], "ip2": [(2, 10)]}
HDF5 = b"\x89HDF\r\n\x1a\n"


def model(pb: Any, **layers: list[list[int]]) -> Any:
    made = pb.NetParameter(name="net")
    for name, shapes in layers.items():
        layer = made.layer.add(name=name)
        for shape in shapes:
            layer.blobs.add().shape.dim.extend(shape)
    return made


def test_each_kind_is_known_by_its_first_bytes(tmp_path: Path, pb: Any) -> None:
    nameless = pb.NetParameter()
    nameless.layer.add(name="ip1")
    kinds = {
        model(pb, ip1=[[1]]).SerializeToString(): models.WEIGHTS,
        nameless.SerializeToString(): models.WEIGHTS,
        pb.SolverState(iter=5, learned_net="x").SerializeToString(): models.STATE,
        HDF5 + b"...": models.HDF5,
        b"base_lr: 0.1": models.OTHER,
        b"": models.OTHER,
    }
    for number, (content, kind) in enumerate(kinds.items()):
        file = tmp_path / str(number)
        file.write_bytes(content)
        assert models.kind_of(file) == kind


@pytest.mark.parametrize(
    ("option", "uri", "head", "words"),
    [
        ("-snapshot", "m.caffemodel", b"\x0a\x05LeNet", "it takes a .solverstate file, and this is weights"),
        ("-weights", "m.solverstate", b"\x08\x64", "it takes a .caffemodel file, and this is solver state"),
        ("-weights", "solver.prototxt", b'net: "n"', "this is another kind of file"),
        ("-snapshot", "m_iter_9.caffemodel.h5", HDF5, "it takes a .solverstate file, and this is weights"),
        (
            "-weights",
            "m_iter_9.solverstate.h5",
            HDF5,
            "it takes a .caffemodel file, and this is solver state",
        ),
        ("-snapshot", "last.h5", HDF5, "under another name than it was written with"),
    ],
)
def test_a_file_in_the_others_place_is_refused_with_what_was_meant(
    option: str, uri: str, head: bytes, words: str
) -> None:
    with pytest.raises(Refused) as refused:
        models.require_kind(option, uri, head)

    assert words in str(refused.value)
    assert f"{option} {uri}" in str(refused.value)


@pytest.mark.parametrize(
    ("option", "uri", "head"),
    [
        ("-weights", "mnist.model", b"\x0a\x05LeNet"),
        ("-weights", "mnist.h5", HDF5),
        ("-snapshot", "anything", b"\x08\x64"),
        ("-snapshot", "m_iter_9.solverstate.h5", HDF5),
    ],
)
def test_a_file_in_its_place_passes_whatever_its_name(option: str, uri: str, head: bytes) -> None:
    models.require_kind(option, uri, head)


def test_weights_of_some_layers_are_enough(pb: Any) -> None:
    models.require_fit(model(pb, ip1=[[10, 4], [10]], other=[[7]]), SHAPES, "m")


def test_old_shapes_have_ones_before(pb: Any) -> None:
    old = pb.NetParameter()
    blobs = old.layer.add(name="ip1").blobs
    blobs.add(num=1, channels=1, height=10, width=4)
    blobs.add(num=1, channels=1, height=1, width=10)

    models.require_fit(old, SHAPES, "m")


@pytest.mark.parametrize(("name", "fits"), [("ip1", True), ("conv1", False)])
def test_layers_of_the_old_format_give_weights_by_their_names(pb: Any, name: str, fits: bool) -> None:
    old = pb.NetParameter()
    old.layers.add(name="data")
    old.layers.add(name=name)

    if fits:
        models.require_fit(old, SHAPES, "m")
        return
    with pytest.raises(Refused, match="it has weights for no layer of the net"):
        models.require_fit(old, SHAPES, "m")


@pytest.mark.parametrize("shapes", [[[10, 5], [10]], [[10, 4]], [[40], [10]]])
def test_weights_of_another_shape_are_refused_by_layer(pb: Any, shapes: list[list[int]]) -> None:
    with pytest.raises(Refused, match=r"its layer 'ip1' has the shapes .*, and the net's has 10x4, 10"):
        models.require_fit(model(pb, ip1=shapes), SHAPES, "m")


def test_weights_for_no_layer_of_the_net_are_refused(pb: Any) -> None:
    with pytest.raises(Refused, match=r"it has weights for no layer of the net \(ip1, ip2\)"):
        models.require_fit(model(pb, conv1=[[10, 4], [10]]), SHAPES, "m")

"""Solvers and nets: validation, and the texts for pycaffe."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import text_format

from jobs.trainer.caffe.prototxt import load, native_solver
from jobs.trainer.errors import Refused

NET = "lenet_memory_train_test.prototxt"


def edit(solver: Path, file: str, old: str, new: str) -> None:
    path = solver.parent / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def native_net(job: Any, pb: Any) -> Any:
    return text_format.Parse(job.net, pb.NetParameter())


def test_the_projects_own_prototxts_are_the_published_lenet(prototxts: Path, pb: Any) -> None:
    job = load(prototxts, pb)

    assert (job.max_iter, job.test_iter, job.test_interval, job.snapshot, job.display) == (
        2000,
        10,
        100,
        5000,
        100,
    )
    assert (job.train.batch, job.test.batch, job.train.shape) == (64, 100, (1, 28, 28))
    assert job.train.transform.scale == job.test.transform.scale == 1 / 256
    assert job.rate.base == pytest.approx(0.01)
    assert job.rate.policy == "inv"
    assert job.snapshot_prefix == "mnist_lenet"
    assert job.train.tops == ("data", "label")


def test_data_layers_become_inputs_that_can_be_reshaped(prototxts: Path, pb: Any) -> None:
    layers = list(native_net(load(prototxts, pb), pb).layer)

    assert [layer.type for layer in layers[:2]] == ["Input", "Input"]
    shapes = [[list(shape.dim) for shape in layer.input_param.shape] for layer in layers[:2]]
    assert shapes == [[[64, 1, 28, 28], [64]], [[100, 1, 28, 28], [100]]]
    assert [layer.include[0].phase for layer in layers[:2]] == [pb.TRAIN, pb.TEST]
    assert not layers[0].HasField("transform_param")
    assert not layers[0].HasField("memory_data_param")
    assert not layers[0].source_class
    assert [layer.name for layer in layers[2:4]] == ["conv1", "pool1"]


def test_the_native_solver_neither_tests_nor_snapshots_nor_displays(prototxts: Path, pb: Any) -> None:
    solver = text_format.Parse(load(prototxts, pb).solver, pb.SolverParameter())

    assert (list(solver.test_iter), solver.test_interval, solver.snapshot, solver.display) == ([], 0, 0, 0)
    assert solver.momentum == pytest.approx(0.9)


def test_each_rank_has_a_seed_of_its_own_when_the_solver_has_one(prototxts: Path, pb: Any) -> None:
    edit(prototxts, prototxts.name, "max_iter", "random_seed: 7 max_iter")
    job = load(prototxts, pb)

    texts = [native_solver(job, pb, net=Path("/n"), prefix=Path("/p"), rank=rank) for rank in range(3)]

    assert [int(re.search(r"random_seed: (\d+)", text)[1]) for text in texts] == [7, 8, 9]  # type: ignore[index]
    assert 'net: "/n"' in texts[0]
    assert 'snapshot_prefix: "/p"' in texts[0]


def test_a_configuration_sets_values_over_the_prototxts(prototxts: Path, pb: Any) -> None:
    over = {"max_iter": "50", "batch": "16", "train_source": "s3a://b/train", "test_source": ""}

    job = load(prototxts, pb, over)

    assert (job.max_iter, job.rate.max_iter, job.train.batch, job.test.batch) == (50, 50, 16, 100)
    assert (job.train.uri, job.test.uri) == ("s3a://b/train", "hdfs:///data/mnist/test_lmdb")


def test_the_net_is_found_beside_the_solver_whatever_folder_it_names(prototxts: Path, pb: Any) -> None:
    edit(prototxts, prototxts.name, NET, f"some/where/else/{NET}")

    assert load(prototxts, pb).train.batch == 64


def test_validation_is_off_when_either_number_is_zero(prototxts: Path, pb: Any) -> None:
    edit(prototxts, prototxts.name, "test_iter: 10", "test_iter: 0")

    job = load(prototxts, pb)

    assert (job.test_iter, job.test_interval) == (0, 0)


def test_hdf5_snapshots_have_their_suffix(prototxts: Path, pb: Any) -> None:
    edit(prototxts, prototxts.name, "snapshot: 5000", "snapshot: 5000 snapshot_format: HDF5")

    assert load(prototxts, pb).suffix == ".h5"


def test_a_solver_without_prefix_names_snapshots_after_itself(prototxts: Path, pb: Any) -> None:
    edit(prototxts, prototxts.name, 'snapshot_prefix: "mnist_lenet"', "")

    assert load(prototxts, pb).snapshot_prefix == "lenet_memory_solver"


SOLVER = "lenet_memory_solver.prototxt"
TEST_PHASE = "include { phase: TEST }\n  source_class"
REFUSED = [
    (SOLVER, "max_iter: 2000", "max_iter: 0", "max_iter is 0"),
    (SOLVER, "max_iter: 2000", "max_iter: many", "it does not parse at"),
    (SOLVER, "max_iter: 2000", "max_itre: 2000", 'no field named "max_itre"'),
    (SOLVER, "max_iter: 2000", "max_iter: 2000 }", "it does not parse at"),
    (SOLVER, f'net: "{NET}"', "", "it has no `net:`"),
    (SOLVER, f'net: "{NET}"', f'train_net: "{NET}"', "it has no `net:` (it has train_net)"),
    (SOLVER, NET, "nowhere.prototxt", "there is no such file in the working folder or beside the solver"),
    (SOLVER, "test_iter: 10", "", "it has test_interval and no test_iter"),
    (SOLVER, "test_iter: 10", "test_iter: 10 test_iter: 5", "it has 2 test_iter"),
    (SOLVER, "test_iter: 10", "test_iter: -1", "test_iter or test_interval is negative"),
    (SOLVER, 'lr_policy: "inv"', 'lr_policy: "wild"', "lr_policy is 'wild'"),
    (SOLVER, 'lr_policy: "inv"', 'lr_policy: "step"', "lr_policy step needs stepsize"),
    (SOLVER, 'lr_policy: "inv"', 'lr_policy: "multistep"', "lr_policy multistep needs stepvalue"),
    (SOLVER, "base_lr: 0.01", "base_lr: 0", "base_lr is 0"),
    (SOLVER, "snapshot: 5000", "snapshot: -5", "snapshot or display is negative"),
    (NET, "include { phase: TRAIN }", "", "it has no TRAIN data layer"),
    (NET, TEST_PHASE, "source_class", "it has no TEST data layer"),
    (NET, 'source_class: "com.yahoo.ml.caffe.LMDB"', "", "source_class must be defined"),
    (
        NET,
        "com.yahoo.ml.caffe.LMDB",
        "com.yahoo.ml.caffe.SeqImageDataSource",
        "this source is not supported yet",
    ),
    (
        NET,
        "com.yahoo.ml.caffe.LMDB",
        "com.yahoo.ml.caffe.DataFrameSource",
        "this source is not supported yet",
    ),
    (NET, "com.yahoo.ml.caffe.LMDB", "org.example.Source", "there is no such source"),
    (NET, "batch_size: 64", "batch_size: 0", "batch_size is 0"),
    (NET, "batch_size: 64", "", "batch_size is 0"),
    (NET, "height: 28", "", "height is 0"),
    (NET, 'type: "MemoryData"', 'type: "Data"', "an LMDB source needs type MemoryData, not Data"),
    (NET, 'source: "hdfs:///data/mnist/train_lmdb"', "", "memory_data_param has no source"),
    (NET, 'top: "label"', "", "it has 1 tops"),
    (NET, "scale: 0.00390625", "crop_size: 24", "crop_size is 24, height and width are 28 and 28"),
    (NET, "scale: 0.00390625", "force_gray: true", "need encoded images"),
    (NET, "scale: 0.00390625", 'mean_file: "no.binaryproto"', "there is no such file"),
    (NET, "scale: 0.00390625", 'mean_file: "m" mean_value: 3', "both mean_file and mean_value"),
    (NET, 'name: "LeNet"', 'layer { name: "early" type: "DummyData" top: "x" }', "has 'early' before it"),
    (NET, 'name: "LeNet"', 'layers { name: "old" }', "old `layers` format"),
]


@pytest.mark.parametrize("case", REFUSED)
def test_what_caffe_would_choke_on_is_refused_in_one_line(
    prototxts: Path, pb: Any, case: tuple[str, str, str, str]
) -> None:
    file, old, new, words = case
    edit(prototxts, file, old, new)

    with pytest.raises(Refused) as refused:
        load(prototxts, pb)

    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_solver_is_named(tmp_path: Path, pb: Any) -> None:
    with pytest.raises(Refused, match=r"none\.prototxt: it cannot be read"):
        load(tmp_path / "none.prototxt", pb)


def test_a_model_given_as_solver_is_no_text(tmp_path: Path, pb: Any) -> None:
    (tmp_path / "x").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(Refused, match="it is not text"):
        load(tmp_path / "x", pb)


def test_a_mean_file_is_read_with_its_shape(prototxts: Path, pb: Any) -> None:
    blob = pb.BlobProto(num=1, channels=1, height=28, width=28, data=[2.5] * 784)
    (prototxts.parent / "mean.binaryproto").write_bytes(blob.SerializeToString())
    edit(prototxts, NET, "scale: 0.00390625", 'mean_file: "mean.binaryproto"')

    mean = load(prototxts, pb).train.transform.mean

    assert mean is not None
    assert mean.shape == (1, 28, 28)
    assert np.all(mean == 2.5)


def test_a_layer_with_a_stage_still_belongs_to_its_phase(prototxts: Path, pb: Any) -> None:
    edit(prototxts, NET, "include { phase: TRAIN }", 'include { phase: TRAIN stage: "x" }')

    assert load(prototxts, pb).train.batch == 64

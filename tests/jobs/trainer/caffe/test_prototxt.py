"""Solvers and nets: validation, and the texts for pycaffe."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import text_format

from jobs.trainer.caffe import solver
from jobs.trainer.caffe.nets import declared_net
from jobs.trainer.caffe.prototxt import load, native_solver, seed_of
from jobs.trainer.errors import Refused
from jobs.trainer.sources.frame import Reading
from tests.jobs.trainer import messages

NET = "lenet_memory_train_test.prototxt"


def edit(solver: Path, file: str, old: str, new: str) -> None:
    path = solver.parent / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def native_net(text: str, pb: Any) -> Any:
    return text_format.Parse(text, pb.NetParameter())


def test_the_projects_own_prototxts_are_the_published_lenet(prototxts: Path, pb: Any) -> None:
    job = load(prototxts, pb)

    assert (job.max_iter, job.tests[0].test_iter, job.test_interval, job.snapshot, job.display) == (
        2000,
        10,
        100,
        5000,
        100,
    )
    assert (job.train.batch, job.tests[0].data.batch, job.train.shape) == (64, 100, (1, 28, 28))
    assert job.train.transform.scale == job.tests[0].data.transform.scale == 1 / 256
    assert job.rate.base == pytest.approx(0.01)
    assert job.rate.policy == "inv"
    assert job.snapshot_prefix == "mnist_lenet"
    assert job.train.tops == ("data", "label")


def test_data_layers_become_inputs_that_can_be_reshaped(prototxts: Path, pb: Any) -> None:
    job = load(prototxts, pb)
    train, test = (list(native_net(text, pb).layer) for text in (job.train_net, job.tests[0].net))

    shapes = [[list(shape.dim) for shape in layers[0].input_param.shape] for layers in (train, test)]
    assert shapes == [[[64, 1, 28, 28], [64]], [[100, 1, 28, 28], [100]]]
    for layers in (train, test):
        assert layers[0].type == "Input"
        assert not layers[0].HasField("transform_param")
        assert not layers[0].HasField("memory_data_param")
        assert not layers[0].source_class
        assert list(layers[0].top) == ["data", "label"]
        assert [layer.name for layer in layers[1:3]] == ["conv1", "pool1"]
        assert "Silence" not in {layer.type for layer in layers}
        assert not any(layer.include or layer.exclude for layer in layers)
    assert [layer.name for layer in test if layer.type == "Accuracy"] == ["accuracy"]
    assert not [layer for layer in train if layer.type == "Accuracy"]


@pytest.mark.parametrize("given", ["", "layer_wise_reduce: true"])
def test_the_native_solver_averages_gradients_once_a_step(prototxts: Path, pb: Any, given: str) -> None:
    prototxts.write_text(prototxts.read_text() + given)
    solver = text_format.Parse(load(prototxts, pb).solver, pb.SolverParameter())

    # With it, which is Caffe's default, NCCL's callback leaves the averaging to one of each layer.
    assert not solver.layer_wise_reduce


def test_the_native_solver_neither_tests_nor_snapshots_nor_displays(prototxts: Path, pb: Any) -> None:
    solver = text_format.Parse(load(prototxts, pb).solver, pb.SolverParameter())

    assert (list(solver.test_iter), solver.test_interval, solver.snapshot, solver.display) == ([], 0, 0, 0)
    assert solver.momentum == pytest.approx(0.9)


def test_no_rank_has_a_seed_when_the_solver_has_none(prototxts: Path, pb: Any) -> None:
    job = load(prototxts, pb)

    assert job.seed == -1
    assert "random_seed" not in native_solver(job, pb, net=Path("/n"), prefix=Path("/p"), rank=1)


def test_a_seed_of_zero_is_one(prototxts: Path, pb: Any) -> None:
    edit(prototxts, prototxts.name, "max_iter", "random_seed: 0 max_iter")
    job = load(prototxts, pb)

    assert job.seed == 0
    assert "random_seed: 1" in native_solver(job, pb, net=Path("/n"), prefix=Path("/p"), rank=1)


def test_each_rank_has_a_seed_of_its_own_when_the_solver_has_one(prototxts: Path, pb: Any) -> None:
    edit(prototxts, prototxts.name, "max_iter", "random_seed: 7 max_iter")
    job = load(prototxts, pb)

    texts = [native_solver(job, pb, net=Path("/n"), prefix=Path("/p"), rank=rank) for rank in range(3)]

    assert [int(re.search(r"random_seed: (\d+)", text)[1]) for text in texts] == [7, 8, 9]  # type: ignore[index]
    assert 'train_net: "/n"' in texts[0]
    assert 'snapshot_prefix: "/p"' in texts[0]


def test_a_configuration_sets_values_over_the_prototxts(prototxts: Path, pb: Any) -> None:
    over = {"max_iter": "50", "batch": "16", "train_source": "s3a://b/train", "test_source": ""}

    job = load(prototxts, pb, over)

    assert (job.max_iter, job.rate.max_iter, job.train.batch, job.tests[0].data.batch) == (50, 50, 16, 100)
    assert (job.train.uri, job.tests[0].data.uri) == ("s3a://b/train", "hdfs:///data/mnist/test_lmdb")


def test_the_net_is_found_beside_the_solver_whatever_folder_it_names(prototxts: Path, pb: Any) -> None:
    edit(prototxts, prototxts.name, NET, f"some/where/else/{NET}")

    assert load(prototxts, pb).train.batch == 64


def test_validation_is_off_when_either_number_is_zero(prototxts: Path, pb: Any) -> None:
    edit(prototxts, prototxts.name, "test_iter: 10", "test_iter: 0")

    job = load(prototxts, pb)

    assert (job.tests[0].test_iter, job.test_interval) == (0, 0)


@pytest.mark.parametrize(
    ("iters", "interval", "judged"),
    [
        ((10,), 1, ((10,), 1)),
        ((1,), 5, ((1,), 5)),
        ((0, 5), 1, ((0, 5), 1)),
        ((0, 0), 1, ((0, 0), 0)),
        ((3,), 0, ((0,), 0)),
        ((), 0, ((), 0)),
    ],
)
def test_rounds_need_an_interval_and_batches(
    pb: Any, iters: tuple[int, ...], interval: int, judged: tuple[Any, ...]
) -> None:
    given = pb.SolverParameter(base_lr=0.1, lr_policy="fixed", max_iter=1)
    given.test_iter.extend(iters)
    given.test_interval = interval

    assert solver.judge(Path("s"), given, pb) == judged


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
    (SOLVER, f'net: "{NET}"', f'test_net: "{NET}"', "it has no `net:` (it has test_net)"),
    (SOLVER, f'net: "{NET}"', f'train_net: "{NET}"', "it has train_net and no test_net"),
    (SOLVER, f'net: "{NET}"', f'net: "{NET}" train_net: "{NET}"', "its TRAIN net is in net, train_net"),
    (SOLVER, "max_iter", f'test_net: "{NET}" test_net: "{NET}" max_iter', "test_iter is given 1 times"),
    (SOLVER, "max_iter", "test_state {} test_state {} max_iter", "given 2 times for 1 TEST nets"),
    (SOLVER, "max_iter", "train_state { phase: TEST } max_iter", "sets another phase"),
    (SOLVER, "max_iter", "debug_info: true max_iter", "debug_info in"),
    (SOLVER, "max_iter", "iter_size: 0 max_iter", "iter_size is 0. Give at least 1"),
    (SOLVER, "max_iter", "average_loss: 0 max_iter", "average_loss is 0. Give at least 1"),
    (SOLVER, "max_iter", 'type: "sgd" max_iter', "Valid types: SGD, Nesterov,"),
    (SOLVER, "max_iter", 'type: "Adam" solver_type: ADAM max_iter', "both type and solver_type"),
    (SOLVER, "max_iter", 'type: "AdaGrad" max_iter', "momentum is 0.9, and AdaGrad has none"),
    (SOLVER, "max_iter", "solver_type: RMSPROP max_iter", "momentum is 0.9, and RMSProp has none"),
    (SOLVER, "momentum: 0.9", 'type: "RMSProp" rms_decay: 1', "rms_decay is 1"),
    (SOLVER, "max_iter", 'regularization_type: "L3" max_iter', "Valid types: L1, L2"),
    (SOLVER, 'snapshot_prefix: "', 'snapshot_prefix: "hdfs:///a/', "snapshots go beside -model"),
    (SOLVER, "display: 100", "display: -1", "display is -1. Give at least 0"),
    (SOLVER, NET, "nowhere.prototxt", "there is no such file in the working folder or beside the solver"),
    (SOLVER, "test_iter: 10", "", "it has test_interval and no test_iter"),
    (
        SOLVER,
        f'net: "{NET}"',
        f'train_net: "{NET}" test_net: "{NET}" test_iter: 2',
        "test_iter is given 2 times, and test_net and test_net_param name 1 TEST nets",
    ),
    (SOLVER, "test_iter: 10", "test_iter: -1", "test_iter or test_interval is negative"),
    (SOLVER, 'lr_policy: "inv"', 'lr_policy: "wild"', "lr_policy is 'wild'"),
    (SOLVER, 'lr_policy: "inv"', 'lr_policy: "step"', "lr_policy step needs stepsize"),
    (SOLVER, 'lr_policy: "inv"', 'lr_policy: "multistep"', "lr_policy multistep needs stepvalue"),
    (SOLVER, "base_lr: 0.01", "base_lr: -1", "base_lr is -1"),
    (SOLVER, "snapshot: 5000", "snapshot: -5", "snapshot is -5. Give at least 0"),
    (NET, "include { phase: TRAIN }", "include { phase: TEST }", "it has no TRAIN data layer"),
    (NET, "include { phase: TRAIN }", 'include { phase: TRAIN stage: "x" }', "it has no TRAIN data layer"),
    (NET, TEST_PHASE, "include { phase: TRAIN }\n  source_class", "TRAIN net has several data layers"),
    (
        NET,
        "include { phase: TRAIN }",
        "include { phase: TRAIN } exclude {}",
        "both include and exclude rules",
    ),
    (NET, 'name: "LeNet"', "state { phase: TEST }", "sets another phase"),
    (
        NET,
        'name: "LeNet"',
        'layer { name: "more" type: "HDF5Data" top: "more" include { phase: TRAIN } }',
        'several data layers (HDF5Data "more", MemoryData "data")',
    ),
    (NET, 'source_class: "com.yahoo.ml.caffe.LMDB"', "", "source_class must be defined"),
    (
        NET,
        "com.yahoo.ml.caffe.LMDB",
        "com.yahoo.ml.caffe.DataFrameSource",
        "CoSData and com.yahoo.ml.caffe.DataFrameSource go together",
    ),
    (
        NET,
        "com.yahoo.ml.caffe.LMDB",
        "org.example.Source",
        "nor a class that can be imported (No module named 'org')",
    ),
    (NET, "batch_size: 64", "batch_size: 0", "batch_size is 0"),
    (NET, "batch_size: 64", "", "batch_size is 0"),
    (NET, "height: 28", "", "height is 0"),
    (NET, 'type: "MemoryData"', 'type: "Data"', "data_param has no backend, which is LEVELDB in Caffe"),
    (NET, 'type: "MemoryData"', 'type: "Data" data_param { backend: LMDB }', "batch_size is 0"),
    (
        NET,
        'type: "MemoryData"',
        'type: "Data" data_param { batch_size: 1 backend: LMDB }',
        "it has no source",
    ),
    (
        NET,
        'type: "MemoryData"',
        'type: "Data" data_param { batch_size: 1 source: "s" backend: LEVELDB }',
        "backend: LEVELDB of TRAIN layer",
    ),
    *(
        (NET, 'type: "MemoryData"', f'type: "{kind}"', f"not those of {kind}. Write its records to an LMDB")
        for kind in ("DummyData", "HDF5Data", "ImageData", "Input", "WindowData")
    ),
    (NET, 'source: "hdfs:///data/mnist/train_lmdb"', "", "it has no source"),
    (NET, 'top: "label"', "", "it has 1 tops"),
    (NET, "scale: 0.00390625", "crop_size: 24", "crop_size is 24, height and width are 28 and 28"),
    (NET, "scale: 0.00390625", "force_gray: true force_color: true", "both force_color and"),
    (NET, "scale: 0.00390625", 'mean_file: "no.binaryproto"', "there is no such file"),
    (NET, "scale: 0.00390625", 'mean_file: "m" mean_value: 3', "both mean_file and mean_value"),
    (NET, 'name: "LeNet"', 'layer { name: "early" type: "DummyData" top: "x" }', "has 'early' before it"),
    (NET, 'name: "LeNet"', 'layers { name: "old" }', "it has both `layer` and `layers`"),
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


def test_all_faults_of_a_solver_and_its_net_are_in_one_refusal(prototxts: Path, pb: Any) -> None:
    edit(prototxts, SOLVER, "max_iter: 2000", "max_iter: 0 debug_info: true")
    edit(prototxts, NET, "batch_size: 64", "")

    with pytest.raises(Refused) as refused:
        load(prototxts, pb)

    said = str(refused.value)
    assert "it has 2 faults" in said
    assert all(words in said for words in ("max_iter is 0", "debug_info in", "batch_size is 0"))


def test_a_rate_of_zero_is_one(prototxts: Path, pb: Any) -> None:
    edit(prototxts, SOLVER, "base_lr: 0.01", "base_lr: 0")

    assert load(prototxts, pb).rate.at(5) == 0


def test_every_field_of_a_solver_is_judged(pb: Any) -> None:
    fields = set(pb.SolverParameter.DESCRIPTOR.fields_by_name)

    assert fields == solver.HONOURED | set(solver.REFUSED)
    assert not solver.HONOURED & set(solver.REFUSED)


def test_the_nets_may_be_in_files_of_their_own(prototxts: Path, pb: Any) -> None:
    text = (prototxts.parent / NET).read_text()
    (prototxts.parent / "test.prototxt").write_text(text.replace("batch_size: 100", "batch_size: 50"))
    edit(prototxts, SOLVER, "max_iter", 'test_net: "test.prototxt" max_iter')

    job = load(prototxts, pb)

    assert (job.train.batch, job.tests[0].data.batch) == (64, 50)


def test_the_nets_may_be_in_the_solver(prototxts: Path, pb: Any) -> None:
    net = (prototxts.parent / NET).read_text()
    edit(prototxts, SOLVER, f'net: "{NET}"', f"net_param {{ {net} }}")

    job = load(prototxts, pb)

    assert (job.train.batch, job.tests[0].data.batch) == (64, 100)
    assert "net_param" not in job.solver


@pytest.mark.parametrize(("state", "chosen"), [("", "plain"), ('test_state { stage: "five" }', "top5")])
def test_stages_select_layers_as_in_caffe(prototxts: Path, pb: Any, state: str, chosen: str) -> None:
    rules = {"plain": 'phase: TEST not_stage: "five"', "top5": 'phase: TEST stage: "five"'}
    layers = "".join(
        f'layer {{ name: "{name}" type: "Accuracy" bottom: "ip2" bottom: "label" top: "accuracy" '
        f"include {{ {rule} }} }}\n"
        for name, rule in rules.items()
    )
    edit(prototxts, SOLVER, "max_iter", f"{state} max_iter")
    with (prototxts.parent / NET).open("a") as net:
        net.write(layers)

    names = [layer.name for layer in native_net(load(prototxts, pb).tests[0].net, pb).layer]

    assert [name for name in names if name in rules] == [chosen]


@pytest.mark.parametrize(("level", "kept"), [(0, False), (1, True), (2, True), (3, False)])
def test_levels_select_layers_as_in_caffe(prototxts: Path, pb: Any, level: int, kept: bool) -> None:
    edit(prototxts, SOLVER, "max_iter", f"train_state {{ level: {level} }} max_iter")
    with (prototxts.parent / NET).open("a") as net:
        net.write('layer { name: "x" type: "Silence" bottom: "ip2" include { min_level: 1 max_level: 2 } }')

    names = [layer.name for layer in native_net(load(prototxts, pb).train_net, pb).layer]

    assert ("x" in names) == kept


@pytest.mark.parametrize(
    "comment",
    ["# \u6a21\u578b".encode("gbk"), b"# \xff\xfe", "# caf\u00e9".encode()],
    ids=["GBK", "no encoding", "UTF-8"],
)
def test_comments_may_be_of_any_encoding(prototxts: Path, pb: Any, comment: bytes) -> None:
    prototxts.write_bytes(comment + b"\n" + prototxts.read_bytes())

    assert load(prototxts, pb).max_iter == 2000


def test_a_byte_order_mark_is_no_text(prototxts: Path, pb: Any) -> None:
    prototxts.write_bytes(b"\xef\xbb\xbf" + prototxts.read_bytes())

    assert load(prototxts, pb).max_iter == 2000


def test_a_hash_in_a_string_is_no_comment(prototxts: Path, pb: Any) -> None:
    edit(prototxts, SOLVER, "mnist_lenet", "mnist#1")
    prototxts.write_bytes(b"# \xff\n" + prototxts.read_bytes())

    assert load(prototxts, pb).snapshot_prefix == "mnist#1"


def test_a_seed_near_the_largest_is_one_of_32_bits(prototxts: Path, pb: Any) -> None:
    edit(prototxts, SOLVER, "max_iter", f"random_seed: {2**32 - 1} max_iter")
    job = load(prototxts, pb)

    assert [seed_of(job, rank) for rank in (0, 1)] == [2**32 - 1, 0]
    assert "random_seed: 0" in native_solver(job, pb, net=Path("/n"), prefix=Path("/p"), rank=1)


def test_further_test_iters_are_further_test_nets(prototxts: Path, pb: Any) -> None:
    text = (prototxts.parent / NET).read_text()
    (prototxts.parent / "test.prototxt").write_text(text.replace("batch_size: 100", "batch_size: 50"))
    edit(prototxts, SOLVER, "test_iter: 10", 'test_net: "test.prototxt" test_iter: 3 test_iter: 7')

    job = load(prototxts, pb)

    assert [(test.data.batch, test.test_iter) for test in job.tests] == [(50, 3), (100, 7)]
    assert [job.numbered("loss", number) for number in (0, 1)] == ["loss#0", "loss#1"]


def test_test_nets_come_in_caffes_order_each_with_its_state(prototxts: Path, pb: Any) -> None:
    text = (prototxts.parent / NET).read_text()
    text += 'layer { name: "b" type: "Silence" bottom: "ip2" include { stage: "b" } }\n'
    (prototxts.parent / NET).write_text(text)
    (prototxts.parent / "file.prototxt").write_text(text.replace("batch_size: 100", "batch_size: 20"))
    inline = text.replace("batch_size: 100", "batch_size: 10")
    solver = f'test_net: "file.prototxt" test_net_param {{ {inline} }} '
    solver += "test_iter: 1 test_iter: 2 test_iter: 3 "
    solver += 'test_state {} test_state { stage: "b" } test_state { stage: "a" }'
    edit(prototxts, SOLVER, "test_iter: 10", solver)

    job = load(prototxts, pb)

    assert [test.data.batch for test in job.tests] == [10, 20, 100]
    has_b = [any(layer.name == "b" for layer in native_net(test.net, pb).layer) for test in job.tests]
    assert has_b == [False, True, False]


def test_a_dataframe_is_read_as_its_layer_says(prototxts: Path, pb: Any) -> None:
    edit(prototxts, NET, "com.yahoo.ml.caffe.LMDB", "com.yahoo.ml.caffe.ImageDataFrame")
    selected = 'dataframe_column_select: "sampleId as id" dataframe_column_select: "abs(l) as label"'
    edit(prototxts, NET, "batch_size: 64", f"batch_size: 64 image_encoded: true {selected}")

    job = load(prototxts, pb)

    assert job.train.source_class == "com.yahoo.ml.caffe.ImageDataFrame"
    assert job.train.reading == Reading(("sampleId as id", "abs(l) as label"), "parquet", encoded=True)
    assert job.tests[0].data.reading == Reading()


STAGES = """layer {{ name: "data" type: "MemoryData" source_class: "com.yahoo.ml.caffe.LMDB"
  top: "data" top: "label" include {{ phase: TEST stage: "{stage}" }}
  memory_data_param {{ source: "{source}" batch_size: 10 channels: 1 height: 28 width: 28 }} }}
"""


def on_two_sources(prototxts: Path, first: str, second: str) -> None:
    """Two TEST nets by stages, as in Caffe's own autoencoder of MNIST."""
    edit(prototxts, SOLVER, "test_iter: 10", "test_iter: 1 test_iter: 2")
    edit(prototxts, SOLVER, "max_iter", 'test_state { stage: "one" } test_state { stage: "two" } max_iter')
    edit(prototxts, NET, TEST_PHASE, 'include { phase: TEST stage: "none" }\n  source_class')
    layers = STAGES.format(stage="one", source=first) + STAGES.format(stage="two", source=second)
    edit(prototxts, NET, 'name: "LeNet"', layers)


TRAIN_SOURCE = "hdfs:///data/mnist/train_lmdb"


def test_a_test_net_on_the_training_source_goes_on_reading_it_where_that_is_overridden(
    prototxts: Path, pb: Any
) -> None:
    on_two_sources(prototxts, TRAIN_SOURCE, "hdfs:///data/mnist/test_lmdb")

    job = load(prototxts, pb, {"train_source": "s3a://b/train", "test_source": "s3a://b/test"})

    assert [test.data.uri for test in job.tests] == ["s3a://b/train", "s3a://b/test"]
    assert load(prototxts, pb).tests[0].data.uri == TRAIN_SOURCE


def test_a_final_validation_is_asked_for_outside_of_the_solver(prototxts: Path, pb: Any) -> None:
    assert [load(prototxts, pb, {"final_validation": word}).final_validation for word in ("", "0", "1")] == [
        False,
        False,
        True,
    ]


def test_a_final_validation_of_a_solver_without_rounds_is_refused(prototxts: Path, pb: Any) -> None:
    prototxts.write_text(prototxts.read_text().replace("test_interval: 100", "test_interval: 0"))

    with pytest.raises(Refused, match=r"final_validation: .*validates at no iteration"):
        load(prototxts, pb, {"final_validation": "1"})


def test_one_override_for_several_test_sources_is_refused(prototxts: Path, pb: Any) -> None:
    on_two_sources(prototxts, "hdfs:///a", "hdfs:///b")

    with pytest.raises(Refused, match=r"CAFFE_SPARK_OVERRIDE_TEST_SOURCE: .* \(hdfs:///a, hdfs:///b\)"):
        load(prototxts, pb, {"test_source": "s3a://b/test"})


def test_a_solver_names_weights_to_start_from(prototxts: Path, pb: Any) -> None:
    edit(prototxts, SOLVER, "max_iter", 'weights: "a.caffemodel, hdfs:///b.h5" weights: "c" max_iter')

    job = load(prototxts, pb)

    assert job.weights == ("a.caffemodel", "hdfs:///b.h5", "c")
    assert not text_format.Parse(job.solver, pb.SolverParameter()).weights


@pytest.mark.parametrize(
    ("given", "at"),
    [
        ({}, [100, 200]),
        ({"test_initialization": True}, [0, 100, 200]),
        ({"final_validation": True}, [100, 200, 300]),
        ({"max_iter": 250, "final_validation": True}, [100, 200, 250]),
        ({"test_interval": 0, "final_validation": True}, []),
        ({"test_interval": 1, "max_iter": 3}, [1, 2]),
    ],
)
def test_validations_are_between_the_first_iteration_and_the_last_unless_asked_for(
    prototxts: Path, pb: Any, given: dict[str, Any], at: list[int]
) -> None:
    job = replace(load(prototxts, pb), **{"max_iter": 300, **given})

    assert [iteration for iteration in range(job.max_iter + 1) if job.validates(iteration)] == at


@pytest.mark.parametrize("name", ["snapshot_after_train", "test_initialization"])
@pytest.mark.parametrize(("value", "asked"), [("", False), ("{}: false", False), ("{}: true", True)])
def test_what_caffe_does_by_default_is_done_where_it_is_asked_for(
    prototxts: Path, pb: Any, name: str, value: str, asked: bool
) -> None:
    edit(prototxts, SOLVER, "max_iter", f"{value.format(name)} max_iter")

    assert getattr(load(prototxts, pb), name) is asked


def test_a_net_without_test_iter_is_scored_and_not_validated(prototxts: Path, pb: Any) -> None:
    edit(prototxts, SOLVER, "test_iter: 10", "")
    edit(prototxts, SOLVER, "test_interval: 100", "")

    job = load(prototxts, pb)

    assert [test.test_iter for test in job.tests] == [0]
    assert not any(job.validates(iteration) for iteration in range(job.max_iter + 1))


def test_the_only_test_net_keeps_its_source_where_that_of_training_is_overridden(
    prototxts: Path, pb: Any
) -> None:
    edit(prototxts, NET, "hdfs:///data/mnist/test_lmdb", TRAIN_SOURCE)

    job = load(prototxts, pb, {"train_source": "s3a://b/train"})

    assert (job.train.uri, job.tests[0].data.uri) == ("s3a://b/train", TRAIN_SOURCE)


def test_nets_of_one_phase_each_need_no_net_of_both(prototxts: Path, pb: Any) -> None:
    edit(prototxts, SOLVER, f'net: "{NET}"', f'train_net: "{NET}" test_net: "{NET}"')

    job = load(prototxts, pb)

    assert (job.train.batch, [test.test_iter for test in job.tests]) == (64, [10])


def test_the_net_that_a_solver_declares_has_the_layers_of_all_phases(prototxts: Path, pb: Any) -> None:
    solver = text_format.Parse(prototxts.read_text(), pb.SolverParameter())

    net = declared_net(solver, prototxts, pb)

    assert net.name == "LeNet"
    assert [layer.name for layer in net.layer if layer.type == "MemoryData"] == ["data", "data"]


def test_a_field_of_a_newer_solver_is_refused_by_name(
    prototxts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = [*messages.MESSAGES["SolverParameter"], ("newest", 5000, "bool")]
    monkeypatch.setitem(messages.MESSAGES, "SolverParameter", more)
    edit(prototxts, SOLVER, "max_iter", "newest: true max_iter")

    with pytest.raises(Refused, match="newest"):
        load(prototxts, messages.build())


def test_the_only_test_net_has_no_number(prototxts: Path, pb: Any) -> None:
    assert load(prototxts, pb).numbered("loss", 0) == "loss"


@pytest.mark.parametrize(("mode", "gpu"), [("CPU", False), ("GPU", True)])
def test_the_solver_says_what_computes(prototxts: Path, pb: Any, mode: str, gpu: bool) -> None:
    text = re.sub("solver_mode: [CG]PU", "", prototxts.read_text())
    prototxts.write_text(f"{text} solver_mode: {mode}")
    assert load(prototxts, pb).gpu is gpu


@pytest.mark.parametrize("decay", [0, 0.98])
def test_rms_decay_is_below_one(pb: Any, decay: float) -> None:
    given = pb.SolverParameter(base_lr=0.1, lr_policy="fixed", max_iter=1, type="RMSProp", rms_decay=decay)

    assert solver.judge(Path("s"), given, pb).test_interval == 0

"""Checks of the driver before a stage runs."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jobs.trainer import checks
from jobs.trainer.caffe.axes import NO_AXIS
from jobs.trainer.caffe.datalayer import TOLD
from jobs.trainer.caffe.probe import Nets
from jobs.trainer.caffe.prototxt import TrainingJob, load
from jobs.trainer.cli import parse
from jobs.trainer.errors import Refused

TRAIN = parse(
    shlex.split("-train -features accuracy -label label -conf s -model m -clusterSize 3 -connection ethernet")
)
NETS = Nets({"accuracy": (), "label": (100,), "x_split_0": (100,)}, ("accuracy",))


@pytest.fixture
def job(prototxts: Path, pb: Any) -> TrainingJob:
    return load(prototxts, pb)


@pytest.mark.parametrize(
    ("conf", "size"),
    [
        ({"spark.master": "spark://head:7077"}, 3),
        ({"spark.master": "spark://head:7077", "spark.executor.instances": "7"}, 3),
        ({"spark.master": "yarn", "spark.executor.instances": "7"}, 7),
        ({"spark.master": "yarn"}, 1),
        (
            {
                "spark.dynamicAllocation.enabled": "true",
                "spark.dynamicAllocation.minExecutors": "4",
                "spark.dynamicAllocation.maxExecutors": "4",
            },
            4,
        ),
    ],
)
def test_the_cluster_size_is_decided_as_in_caffeonspark(conf: dict[str, str], size: int) -> None:
    assert checks.cluster_size(TRAIN, conf) == size


def test_training_does_not_start_on_an_allocation_that_may_change() -> None:
    conf = {"spark.dynamicAllocation.enabled": "true", "spark.dynamicAllocation.minExecutors": "2"}

    with pytest.raises(Refused, match=r"of 2 to any number of executors: .*must be identical"):
        checks.cluster_size(TRAIN, conf)
    conf["spark.dynamicAllocation.maxExecutors"] = "5"
    with pytest.raises(Refused, match="of 2 to 5 executors"):
        checks.cluster_size(TRAIN, conf)


@pytest.mark.parametrize("given", ["", "-connection infiniband", "-connection RDMA"])
def test_several_executors_train_over_ethernet_alone(given: str) -> None:
    options = parse(shlex.split("-train -conf s -model m " + given))

    checks.connection(options, 1, nccl=False)
    checks.connection(options, 2, nccl=True)
    with pytest.raises(Refused, match=r"-connection (RDMA|infiniband): only ethernet is supported"):
        checks.connection(options, 2, nccl=False)


@pytest.mark.parametrize("given", ["-train -connection Ethernet", "-test", "-test -connection infiniband"])
def test_ethernet_is_ethernet_in_any_case_and_scoring_needs_no_connection(given: str) -> None:
    checks.connection(parse(shlex.split("-conf s -model m " + given)), 4, nccl=False)


def test_a_cluster_size_that_sparks_settings_overrule_is_told() -> None:
    assert checks.overruled(TRAIN, 3) == ()
    assert checks.overruled(replace(TRAIN, cluster_size=1), 3) == ()
    assert checks.overruled(TRAIN, 2) == (
        "-clusterSize 3 has no effect: Spark's settings decide, and give 2",
    )


def test_a_feature_that_is_no_blob_is_refused_with_the_blobs_there_are(job: TrainingJob) -> None:
    checks.nets(TRAIN, job, NETS)
    with pytest.raises(Refused, match=r"label: the TEST net has no such blob. Valid blobs: accuracy\."):
        checks.nets(TRAIN, job, NETS._replace(blobs={"accuracy": ()}))


MERGED = NETS._replace(
    blobs={"accuracy": (), "label": (3, 2), "words": (6, 7)},
    axes=({"label": 1, "words": NO_AXIS},),
    merged=({"words": (6, 7)},),
)
"""Nets whose TEST net has an output that merges time and batch."""


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("-test", "the TEST net's output words: its shape 6x7 has no axis of the batch"),
        ("-train", "the TEST net's output words: its shape 6x7 has no axis of the batch"),
        ("-features accuracy,words", "-features or -label: words: its shape 6x7 has no axis"),
        ("-features accuracy -label words", "-features or -label: words: its shape 6x7 has no axis"),
        ("-features accuracy -label label", ""),
    ],
)
def test_values_that_belong_to_no_sample_are_refused_before_anything_starts(
    job: TrainingJob, line: str, words: str
) -> None:
    options = parse(shlex.split(f"{line} -conf s -model m"))

    if not words:
        checks.nets(options, job, MERGED)
        return
    with pytest.raises(Refused) as refused:
        checks.nets(options, job, MERGED)
    assert words in str(refused.value)


def test_outputs_of_a_test_net_that_is_not_validated_need_no_samples(job: TrainingJob) -> None:
    options = parse(shlex.split("-train -conf s -model m"))
    unused = replace(job, tests=(replace(job.tests[0], test_iter=0),))

    checks.nets(options, unused, MERGED)
    assert checks.evaluated(options, unused) == ()
    assert checks.evaluated(parse(shlex.split("-test -conf s -model m")), unused) == (0,)


@pytest.mark.parametrize(
    ("line", "count", "last"), [("-test", 250, 50), ("-test", 200, 0), ("-train", 250, 0)]
)
def test_the_last_batch_that_is_scored_may_be_smaller(
    job: TrainingJob, line: str, count: int, last: int
) -> None:
    options = parse(shlex.split(f"{line} -conf s -model m"))

    assert checks.last_batch(options, job, {"TEST": count} if options.scores else {}) == last


def test_a_scored_net_of_a_fixed_batch_needs_a_source_of_whole_batches(job: TrainingJob) -> None:
    fixed = NETS._replace(fixed="output count must match")

    checks.whole_batches(job, NETS, 50, {"TEST": 250})
    checks.whole_batches(job, fixed, 0, {"TEST": 200})
    with pytest.raises(
        Refused,
        match=r"the TEST net: of its source's 250 records the last batch has 50, and it takes 100 alone: "
        r"output count must match\. Give its data layer a batch_size that divides 250",
    ):
        checks.whole_batches(job, fixed, 50, {"TEST": 250})


def test_features_are_looked_up_when_records_have_told_the_nets_shape(job: TrainingJob) -> None:
    (test,) = job.tests
    unread = replace(job, tests=(replace(test, data=replace(test.data, shape=TOLD)),))

    checks.nets(TRAIN, unread, NETS._replace(blobs={}))
    with pytest.raises(Refused, match="the TEST net has no such blob"):
        checks.nets(TRAIN, job, NETS._replace(blobs={}))


def test_records_tell_a_shape_that_the_layer_does_not_have(job: TrainingJob) -> None:
    unread = replace(job.train, shape=TOLD)
    cropped = replace(unread, transform=replace(unread.transform, crop=28))

    checks.records(unread, (3, 32, 32))
    with pytest.raises(Refused, match="crop_size: 28"):
        checks.records(cropped, (1, 27, 40))


def test_gpu_mode_is_refused_on_a_cpu_build(job: TrainingJob) -> None:
    with pytest.raises(Refused, match="Cannot use GPU in CPU-only Caffe") as refused:
        checks.devices(TRAIN, replace(job, gpu=True), {}, cpu_build=True)
    assert refused.value.fix == "Set `solver_mode: CPU` in the solver's prototxt."


def test_cpu_mode_has_a_single_device(job: TrainingJob) -> None:
    checks.devices(TRAIN, job, {}, cpu_build=True)
    with pytest.raises(Refused, match="-devices 2: cpu mode only allow single device"):
        checks.devices(replace(TRAIN, devices=2), job, {}, cpu_build=False)


def test_gradients_are_sent_as_they_are_unless_half_the_bytes_are_asked_for() -> None:
    setting = "spark.caffespark.gradients"
    assert checks.gradients({}, nccl=True) == "float32"
    assert checks.gradients({setting: "float16"}, nccl=False) == "float16"
    with pytest.raises(Refused, match="gradients=float16: with GPUs, NCCL averages gradients as they are"):
        checks.gradients({setting: "float16"}, nccl=True)
    with pytest.raises(Refused, match="gradients=half: it is not one of float32, float16"):
        checks.gradients({setting: "half"}, nccl=False)


@pytest.mark.parametrize("devices", [1, 4])
def test_gpu_mode_needs_a_gpu_for_each_rank(job: TrainingJob, devices: int) -> None:
    options, gpu = replace(TRAIN, devices=devices), replace(job, gpu=True)
    executor, task = "spark.executor.resource.gpu.amount", "spark.task.resource.gpu.amount"

    enough = {executor: str(devices), task: "1", "spark.python.worker.reuse": "false"}
    checks.devices(options, gpu, enough, cpu_build=False)
    for conf in ({}, {executor: "2", task: "1"}, {executor: str(devices)}, {executor: "1", task: "0.25"}):
        with pytest.raises(Refused, match="every rank needs one of its own") as refused:
            checks.devices(options, gpu, conf, cpu_build=False)
        assert f"--conf {executor}={devices} --conf {task}=1" in refused.value.fix


@pytest.mark.parametrize(("devices", "refused"), [(1, False), (2, True)])
@pytest.mark.parametrize("reuse", [{}, {"spark.python.worker.reuse": "true"}])
def test_ranks_of_one_executor_need_workers_that_are_not_used_again(
    job: TrainingJob, devices: int, refused: bool, reuse: dict[str, str]
) -> None:
    options, gpu = replace(TRAIN, devices=devices), replace(job, gpu=True)
    amounts = {
        "spark.executor.resource.gpu.amount": str(devices),
        "spark.task.resource.gpu.amount": "1",
    }

    if not refused:
        checks.devices(options, gpu, amounts | reuse, cpu_build=False)
        return
    with pytest.raises(Refused, match=r"Start Spark with --conf spark\.python\.worker\.reuse=false"):
        checks.devices(options, gpu, amounts | reuse, cpu_build=False)


@pytest.mark.parametrize(("size", "fits"), [(1, True), (9, True), (10, False)])
def test_mnist_permits_nine_executors(job: TrainingJob, size: int, fits: bool) -> None:
    if fits:
        checks.enough(job, size, 60_000, [10_000])
        return
    with pytest.raises(Refused) as refused:
        checks.enough(job, size, 60_000, [10_000])

    said = str(refused.value)
    assert "60000 training records for 10 executors" in said
    assert "Insufficient training data" in said
    assert "need 64000 (at most 9 executors)" in said
    assert "Please adjust hyperparameters or increase dataset" in said


def test_too_little_to_validate_is_refused_with_the_numbers(job: TrainingJob) -> None:
    with pytest.raises(Refused, match=r"999 validation records: Insufficient validation data: .* needs 1000"):
        checks.enough(job, 1, 60_000, [999])


def test_without_validation_one_record_an_executor_is_enough(job: TrainingJob) -> None:
    plain = replace(job, tests=(replace(job.tests[0], test_iter=0),), test_interval=0)

    checks.enough(plain, 3, 3, [0])
    with pytest.raises(Refused, match="each executor needs at least one record"):
        checks.enough(plain, 3, 2, [0])


def test_records_of_another_shape_are_refused(job: TrainingJob) -> None:
    checks.records(job.train, (1, 28, 28))
    with pytest.raises(Refused, match="its records are 3x32x32, and the TRAIN layer has 1x28x28"):
        checks.records(job.train, (3, 32, 32))
    checks.records(job.train, None)  # an encoded image, whose shape is not known here


def test_records_may_be_larger_than_the_crop(job: TrainingJob) -> None:
    cropped = replace(job.train, transform=replace(job.train.transform, crop=28))

    checks.records(cropped, (1, 32, 40))
    with pytest.raises(Refused, match="crop_size: 28"):
        checks.records(cropped, (1, 27, 40))


@pytest.mark.parametrize(
    ("given", "hdf5", "written"),
    [("m", False, "m"), ("m", True, "m.h5"), ("m.h5", False, "m"), ("m.h5", True, "m.h5")],
)
def test_the_models_suffix_follows_the_format(job: TrainingJob, given: str, hdf5: bool, written: str) -> None:
    assert checks.model_uri(given, replace(job, hdf5=hdf5)) == written


@pytest.mark.parametrize(
    ("line", "starts"),
    [
        ("-train", [("weights in the solver:", "s.cm")]),
        ("-train -weights a,b", [("-weights", "a"), ("-weights", "b")]),
        ("-train -snapshot c -weights a", [("-weights", "a"), ("-snapshot", "c")]),
        ("-test", []),
    ],
)
def test_weights_of_the_command_line_replace_the_solvers(
    job: TrainingJob, line: str, starts: list[tuple[str, str]]
) -> None:
    options = parse(shlex.split(f"{line} -conf s -model m"))

    assert checks.starts(options, replace(job, weights=("s.cm",))) == starts


def test_each_test_net_needs_records_of_its_own(job: TrainingJob) -> None:
    two = replace(job, tests=(job.tests[0], replace(job.tests[0], test_iter=20)))

    checks.enough(two, 1, 60_000, [1000, 2000])
    with pytest.raises(Refused, match="1999 validation records"):
        checks.enough(two, 1, 60_000, [1000, 1999])


@pytest.mark.parametrize(("least", "size"), [("0", 1), ("1", 1), ("2", 2)])
def test_scoring_runs_on_an_allocation_that_may_change_on_one_executor_at_least(
    least: str, size: int
) -> None:
    conf = {"spark.dynamicAllocation.enabled": "true", "spark.dynamicAllocation.minExecutors": least}

    assert checks.cluster_size(parse(shlex.split("-test -conf s -model m")), conf) == size


def test_the_last_batch_is_of_the_first_of_several_nets(job: TrainingJob) -> None:
    options = parse(shlex.split("-test -conf s -model m"))
    several = replace(job, tests=(job.tests[0], replace(job.tests[0], data=replace(job.train, batch=7))))

    assert checks.last_batch(options, several, {"TEST#0": 250, "TEST#1": 201}) == 50


def test_images_that_are_resized_have_any_size_and_their_layers_channels(job: TrainingJob) -> None:
    layer = job.train.resized()

    checks.records(layer, (1, 5, 7))
    with pytest.raises(Refused, match="its records are 3x28x28"):
        checks.records(layer, (3, 5, 7))

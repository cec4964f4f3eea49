"""CaffeOnSpark's command line."""

from __future__ import annotations

import shlex

import pytest

from jobs.trainer.cli import parse
from jobs.trainer.errors import Refused

MNIST = (
    "-train -test -features accuracy,loss -label label -conf lenet_memory_solver.prototxt -clusterSize 2 "
    "-devices 1 -connection ethernet -model hdfs:///mnist.model -output hdfs:///mnist_features_result"
)


def test_the_mnist_command_line_is_read_as_written() -> None:
    options = parse(MNIST.split())

    assert options.train
    assert options.test
    assert options.features == ("accuracy", "loss")
    assert options.columns == ("accuracy", "loss", "label")
    assert options.cluster_size == 2
    assert options.model == "hdfs:///mnist.model"
    assert options.output == "hdfs:///mnist_features_result"


def test_defaults_are_caffeonsparks() -> None:
    options = parse(["-test", "-conf", "s", "-model", "m"])

    assert (options.output, options.output_format, options.devices, options.cluster_size) == (
        "output",
        "json",
        1,
        1,
    )


@pytest.mark.parametrize(
    ("given", "columns"),
    [
        ("-features a,b", ("a", "b")),
        ("-features a -label l", ("a", "l")),
        ("-features l,a -label l", ("l", "a")),
    ],
)
def test_the_label_is_the_last_column_unless_it_is_a_feature(given: str, columns: tuple[str, ...]) -> None:
    assert parse([*given.split(), "-conf", "s", "-model", "m"]).columns == columns


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("-train -conf s -model m -train_partitions 4", "-train_partitions: there is no such option"),
        ("--train -conf s -model m", "--train: there is no such option"),
        ("train -conf s -model m", "train: there is no such option"),
        ("-train -conf", "-conf: its value is missing"),
        ("-train -conf -model m", "-conf: its value is missing"),
        ("-train -model m", "-conf: it is missing"),
        ("-train -conf s", "-model: it is missing, and -train writes"),
        ("-test -conf s", "-model: it is missing, and -test and -features read"),
        ("-conf s -model m", "the command line: nothing to do"),
        ("-train -conf s -model m -clusterSize 0", "-clusterSize 0: it takes a whole number"),
        ("-train -conf s -model m -clusterSize two", "-clusterSize two: it takes a whole number"),
        ("-train -conf s -model m -devices 2", "cpu mode only allow single device"),
        ("-train -conf s -model m -clusterSize 2", "-connection RDMA: only ethernet"),
        ("-train -conf s -model m -clusterSize 2 -connection infiniband", "-connection infiniband"),
        ("-train -conf s -model m -snapshot x", "input model file must be provided for incremental training"),
        ("-test -conf s -model m -weights x", "Add -train"),
        (
            "-features a -conf s -model m -outputFormat csv",
            "-outputFormat csv: valid formats are json, parquet",
        ),
        ("-test -label l -conf s -model m", "-label l: it adds a column to -features"),
        ("-train -resize -conf s -model m", "-resize: resizing images is not supported yet"),
        ("-train -conf s -model m -imageRoot /x", "-imageRoot: it belongs to the converter tools"),
        ("-train -conf s -model m -vocabSize 7", "-vocabSize: it belongs to the converter tools"),
    ],
)
def test_what_cannot_run_is_refused_in_one_line(given: str, words: str) -> None:
    with pytest.raises(Refused) as refused:
        parse(given.split())

    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_blob_names_are_split_and_not_trimmed() -> None:
    with pytest.raises(Refused, match="not trimmed"):
        parse(["-features", "accuracy, loss", "-conf", "s", "-model", "m"])


def test_ethernet_is_ethernet_in_any_case() -> None:
    assert (
        parse(shlex.split("-train -conf s -model m -clusterSize 2 -connection Ethernet")).connection
        == "Ethernet"
    )


def test_one_executor_needs_no_connection() -> None:
    assert parse(shlex.split("-train -conf s -model m")).cluster_size == 1


def test_scoring_needs_no_connection() -> None:
    assert parse(shlex.split("-test -conf s -model m -clusterSize 4")).cluster_size == 4


def test_what_has_no_effect_is_said() -> None:
    notes = parse(shlex.split("-train -conf s -model m -persistent -lmdb_partitions 4")).notes

    assert [note.split()[0] for note in notes] == ["-persistent", "-lmdb_partitions"]


def test_a_snapshot_with_weights_resumes_and_weights_alone_finetune() -> None:
    resumed = parse(shlex.split("-train -conf s -model m -snapshot a.solverstate -weights a.caffemodel"))
    finetuned = parse(shlex.split("-train -conf s -model m -weights a.caffemodel,b.caffemodel"))

    assert (resumed.snapshot, resumed.weights) == ("a.solverstate", ("a.caffemodel",))
    assert (finetuned.snapshot, finetuned.weights) == ("", ("a.caffemodel", "b.caffemodel"))

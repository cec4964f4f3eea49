"""CaffeOnSpark's command line."""

from __future__ import annotations

import shlex

import pytest

from jobs.trainer.cli import CONVERTERS, FLAGS, Options, parse
from jobs.trainer.errors import Refused

MNIST = (
    "-train -test -features accuracy,loss -label label -conf lenet_memory_solver.prototxt -clusterSize 2 "
    "-devices 1 -connection ethernet -model hdfs:///mnist.model -output hdfs:///mnist_features_result"
)

CAFFEONSPARKS = (
    "conf train test features label outputFormat model output devices persistent snapshot weights connection "
    "resize clusterSize lmdb_partitions imageRoot labelFile captionFile captionLength vocabSize "
    "imageCaptionDFDir vocabDir embeddingDFDir"
)
"""Options of CaffeOnSpark's last version."""


def test_the_mnist_command_line_is_read_as_written() -> None:
    options = parse(MNIST.split())

    assert options.train
    assert options.test
    assert options.features == ("accuracy", "loss")
    assert options.columns == ("accuracy", "loss", "label")
    assert options.cluster_size == 2
    assert options.model == "hdfs:///mnist.model"
    assert options.output == "hdfs:///mnist_features_result"


def test_a_record_without_more_is_that_of_a_command_line_without_more() -> None:
    assert parse(["-test", "-conf", "s", "-model", "m"]) == Options(conf="s", model="m", test=True)
    assert not Options(conf="s").train
    assert not Options(conf="s").scores


def test_options_and_defaults_are_caffeonsparks() -> None:
    assert set(FLAGS) == set(CAFFEONSPARKS.split())
    assert parse(["-test", "-conf", "s", "-model", "m"]) == Options(
        conf="s",
        model="m",
        train=False,
        test=True,
        features=(),
        label="",
        output="output",
        output_format="json",
        devices=1,
        cluster_size=1,
        connection="RDMA",
        snapshot="",
        weights=(),
    )


@pytest.mark.parametrize(
    "given",
    [
        "--test --conf s --model m",
        "-test True -conf s -model m",
        "-test yes -conf s -model m",
        "-conf s -model m -test",
        '-test -conf \'"s"\' -model "m"',
        "-test -conf s -conf t -model m",
        "-test -conf s -model m leftover",
        "-test -conf s -model m --",
        "-test -conf s - -model m",
        "-test -conf s -model m -label l",
        "-test -conf s -model m -outputFormat JSON",
        "-test -conf s -model m -connection infiniband",
    ],
)
def test_words_are_read_as_caffeonspark_reads_them(given: str) -> None:
    options = parse(shlex.split(given))

    assert (options.conf, options.model, options.test, options.train) == ("s", "m", True, False)
    assert (options.output_format, options.columns) == ("json", ())


@pytest.mark.parametrize("words", ["-resize True", "-resize", "--resize yes"])
def test_what_the_notebooks_leave_behind_a_switch_is_no_option(words: str) -> None:
    options = parse(["-train", "-conf", "s", "-model", "m", *words.split()])

    assert (options.resize, options.notes) == (True, ())


def test_a_value_may_begin_with_a_dash() -> None:
    assert parse(["-test", "-conf", "-s", "-model", "m"]).conf == "-s"


def test_blanks_stay_in_values() -> None:
    options = parse(["-test", "-conf", "s", "-model", '"hdfs:///my models/a b"'])

    assert options.model == "hdfs:///my models/a b"


def test_empty_names_at_the_end_of_features_are_dropped_as_by_java() -> None:
    assert parse(["-features", "a,b,,", "-conf", "s", "-model", "m"]).features == ("a", "b")
    assert parse(["-test", "-features", ",", "-conf", "s", "-model", "m"]).features == ()


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
        ("-train=yes -conf s -model m", "-train=yes: there is no such option"),
        ("---train -conf s -model m", "---train: there is no such option"),
        ("train -conf s -model m", "train: it is not read as the option -train"),
        ("-train -conf s -- -model m", "-model: it is not read as the option -model"),
        ("-train -conf s -model m -persistent False", "-persistent False: the option takes no value"),
        ("-train -conf", "-conf: its value is missing"),
        ("-train -conf -model m", "-conf: its value is missing"),
        ("-train -conf --model m", "-conf: its value is missing"),
        ("-train -model m", "-conf: it is missing"),
        ("-train -conf s", "-model: it is missing, and -train writes"),
        ("-test -conf s", "-model: it is missing, and -test and -features read"),
        ("-conf s -model m", "the command line: nothing to do"),
        ("-train -conf s -model m -clusterSize 0", "-clusterSize 0: it takes a whole number"),
        ("-train -conf s -model m -clusterSize two", "-clusterSize two: it takes a whole number"),
        ("-train -conf s -model m -lmdb_partitions 0", "-lmdb_partitions 0: it takes a whole number"),
        ("-train -conf s -model m -snapshot x", "input model file must be provided for incremental training"),
        ("-test -conf s -model m -weights x", "Add -train"),
        (
            "-features a -conf s -model m -outputFormat csv",
            "-outputFormat csv: valid formats are json, parquet",
        ),
        ("-train -resize False -conf s -model m", "-resize False: the option takes no value"),
        *(
            (f"-train -conf s -model m -{name} -1", f"-{name}: it belongs to the converter tools")
            for name in CONVERTERS
        ),
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


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("-persistent", "-persistent has no effect"),
        ("-lmdb_partitions 4", "-lmdb_partitions has no effect"),
        ("-label l", "-label has no effect without -features"),
        ("-output o -output p", "-output is given twice: its first value, o, counts"),
        ("leftover", "'leftover' has no effect: it is not the value of an option"),
        ("-persistent True", "-persistent has no effect"),
        ("--", ""),
    ],
)
def test_what_has_no_effect_is_said_in_one_line(given: str, words: str) -> None:
    notes = parse(shlex.split("-train -conf s -model m " + given)).notes

    assert len(notes) == bool(words)
    assert all(note.startswith(words) for note in notes)


def test_an_option_that_is_given_twice_alike_is_not_told() -> None:
    assert parse(shlex.split("-train -train -conf s -conf s -model m")).notes == ()


def test_a_snapshot_with_weights_resumes_and_weights_alone_finetune() -> None:
    resumed = parse(shlex.split("-train -conf s -model m -snapshot a.solverstate -weights a.caffemodel"))
    finetuned = parse(shlex.split("-train -conf s -model m -weights a.caffemodel,b.caffemodel"))

    assert (resumed.snapshot, resumed.weights) == ("a.solverstate", ("a.caffemodel",))
    assert (finetuned.snapshot, finetuned.weights) == ("", ("a.caffemodel", "b.caffemodel"))

"""Summary of a job, from its features file and its events."""

from __future__ import annotations

import io
import json
import tracemalloc
from pathlib import Path

import pytest
from rich.console import Console

from bootstrap.errors import JobError
from jobs.report.history import History
from jobs.report.summary import feature_means, rows_of, summarise
from jobs.trainer import contract
from jobs.trainer.contract import stamped
from tests.jobs.specs import mnist_spec

EVENTS = [
    stamped(contract.Phase("start"), 100.0),
    stamped(contract.Phase("train"), 103.5),
    stamped(contract.Validation(100, values={"accuracy": [0.9]}), 104.0),
    stamped(
        contract.Trained(
            iterations=2000,
            images_per_s=2500.0,
            model="hdfs://head/m",
            hosts=["w1", "w2"],
            ranks=[
                {"rank": 0, "host": "w1", "seconds": 5.0, "waited_seconds": 0.1234},
                {"rank": 1, "host": "w2", "seconds": 5.1, "waited_seconds": 0.5},
            ],
        ),
        109.0,
    ),
    stamped(contract.Phase("score"), 109.5),
    stamped(contract.Means({"accuracy": [0.8], "loss": [0.4]}, 125), 111.0),
    stamped(contract.Done(), 112.0),
]
HISTORY = History(EVENTS)


def rows(*accuracies: float, first: int = 0) -> list[str]:
    return [
        json.dumps({"SampleID": f"{first + i:08d}", "accuracy": [value], "loss": [0.5], "label": [3.0]})
        for i, value in enumerate(accuracies)
    ]


def test_a_long_uri_of_the_model_is_whole_on_a_narrow_terminal() -> None:
    model = f"wasb://caffe-spark@account.blob.core.windows.net/jobs/{'x' * 60}/mnist.model"
    history = History([contract.Trained(iterations=1, model=model)])
    out = io.StringIO()
    Console(file=out, width=80).print(summarise("j", mnist_spec(), "key", rows(0.9), history).table())
    values = [line.strip("│ ").rpartition("│")[2].strip() for line in out.getvalue().splitlines()]
    assert model in "".join(values)


def test_accuracy_is_the_mean_over_every_row_small_last_batch_included() -> None:
    lines = rows(*[0.9] * 100) + rows(*[0.5] * 25, first=100)

    found = summarise("j", mnist_spec(), "key", lines, HISTORY)

    assert found.accuracy == pytest.approx((90 + 12.5) / 125)
    assert (found.loss, found.samples) == (0.5, 125)
    assert "label" not in found.features
    assert found.means == {"accuracy": [0.8], "loss": [0.4]}
    assert (found.iterations, found.images_per_s, found.hosts) == (2000, 2500.0, ["w1", "w2"])
    assert found.validations == [{"iteration": 100, "accuracy": [0.9]}]


def test_validations_of_several_nets_are_kept_by_their_numbers() -> None:
    history = History([contract.Validation(100, values={"accuracy#0": [0.9], "accuracy#1": [0.7]})])

    found = summarise("j", mnist_spec(), "key", rows(0.5), history)

    assert found.validations == [{"iteration": 100, "accuracy#0": [0.9], "accuracy#1": [0.7]}]


def test_the_seconds_that_each_rank_waited_for_the_others_are_kept() -> None:
    assert summarise("j", mnist_spec(), "key", rows(0.5), HISTORY).waited_seconds == {"0": 0.123, "1": 0.5}


def test_without_features_the_means_speak() -> None:
    found = summarise("j", mnist_spec(features=(), label=""), "key", [], HISTORY)

    assert (found.accuracy, found.loss, found.samples) == (0.8, 0.4, 125)


def test_training_alone_has_no_accuracy() -> None:
    found = summarise("j", mnist_spec(features=(), label="", test=False), "key", [], History(EVENTS[:4]))

    assert (found.accuracy, found.samples, found.iterations) == (None, 0, 2000)


def test_phases_last_until_the_next_one() -> None:
    assert HISTORY.phase_seconds() == {"start": 3.5, "train": 6.0, "score": 2.5}


@pytest.mark.parametrize("name", ["TEST", "TEST#0"])
@pytest.mark.parametrize("count", [1, 3])
def test_rows_that_are_lost_or_there_twice_are_an_error(name: str, count: int) -> None:
    history = History([contract.Data({"TRAIN": 9, name: 2, "TEST#1": 5})])

    with pytest.raises(JobError, match=f"it has {count} rows, and the source 2 records"):
        summarise("j", mnist_spec(), "key", rows(*[0.5] * count), history)


def test_a_source_may_have_samples_of_one_id_or_of_none() -> None:
    lines = [json.dumps({"SampleID": id_, "loss": [1.0]}) for id_ in ("", "", "a", "a")]

    assert summarise("j", mnist_spec(), "key", lines, History([contract.Data({"TEST": 4})])).samples == 4


def test_rows_of_different_shape_are_an_error() -> None:
    odd = json.dumps({"SampleID": "x", "accuracy": [1.0, 2.0], "loss": [0.5], "label": [3.0]})

    with pytest.raises(JobError, match="sample x has other columns"):
        feature_means([*rows(0.1), odd])


def test_longer_columns_are_averaged_element_by_element() -> None:
    lines = [json.dumps({"SampleID": str(i), "ip2": [i, 10 * i]}) for i in range(3)]

    assert feature_means(lines) == ({"ip2": [1.0, 10.0]}, 3)


def test_only_a_line_feed_ends_a_row(tmp_path: Path) -> None:
    # Spark writes these as they are; `str.splitlines` takes each of them for the end of a line.
    odd = [f"a{mark}b" for mark in "\u2028\u2029\x85\x7f"]
    lines = [json.dumps({"SampleID": name, "loss": [1.0]}, ensure_ascii=False) for name in odd]
    (tmp_path / "features.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")

    assert feature_means(rows_of(tmp_path / "features.jsonl")) == ({"loss": [1.0]}, len(odd))


def test_rows_are_read_one_at_a_time(tmp_path: Path) -> None:
    line = json.dumps({"SampleID": "x", "ip2": [0.5] * 1000}) + "\n"
    with (tmp_path / "features.jsonl").open("w") as file:
        for _ in range(5000):
            file.write(line)

    tracemalloc.start()
    count = sum(1 for _ in rows_of(tmp_path / "features.jsonl"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert (count, peak < 1 << 20) == (5000, True)


@pytest.mark.parametrize("line", ["", "[1]", '{"loss": [1]}', '{"SampleID": "x", "loss": 1}', '{"Sam'])
def test_a_line_that_is_not_a_row_is_refused(line: str) -> None:
    with pytest.raises(JobError, match="the features file: line 2 is not a row of it"):
        feature_means([*rows(0.1), line])


def test_no_rows_are_no_columns() -> None:
    assert feature_means([]) == ({}, 0)


def test_it_is_written_as_json_with_the_means_beside_it(tmp_path: Path) -> None:
    summarise("j", mnist_spec(), "key", rows(0.5), HISTORY).write(tmp_path / "results" / "j")

    document = json.loads((tmp_path / "results/j/summary.json").read_text())
    assert {
        "accuracy",
        "loss",
        "samples",
        "iterations",
        "images_per_s",
        "executors",
        "framework",
        "seconds",
    } <= set(document)
    assert (tmp_path / "results/j/means.txt").read_text() == "accuracy: 0.8\nloss: 0.4\n"


def test_the_table_shows_accuracy_and_where_it_ran(tmp_path: Path) -> None:
    console = Console(record=True, width=120, file=(tmp_path / "out").open("w"))

    console.print(summarise("j", mnist_spec(), "key", rows(0.5), HISTORY).table())

    shown = console.export_text()
    assert "0.5000" in shown
    assert "2 (w1, w2)" in shown


def test_a_speed_says_what_it_is_of_where_iterations_were_done_again(tmp_path: Path) -> None:
    trained = contract.Trained(10, 1000, 20.0, 50.0, lost_seconds=5.0)
    console = Console(record=True, width=120, file=(tmp_path / "out").open("w"))

    found = summarise("j", mnist_spec(), "key", (), History([trained]))
    console.print(found.table())

    assert "50 (20.0 s trained; 5.0 s lost, not counted)" in console.export_text()
    assert (found.trained_seconds, found.lost_seconds) == (20.0, 5.0)


def test_validations_that_were_done_again_after_a_loss_count_once() -> None:
    rounds = [
        *(contract.Validation(at, values={"accuracy": [0.1 * at]}) for at in (1, 2, 3)),
        contract.Recovery(2, 2),
        *(contract.Validation(at, values={"accuracy": [0.2 * at]}) for at in (2, 4)),
    ]

    found = summarise("j", mnist_spec(), "key", (), History(rounds)).validations

    assert [(one["iteration"], one["accuracy"]) for one in found] == [(1, [0.1]), (2, [0.4]), (4, [0.8])]

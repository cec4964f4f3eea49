"""Points of a training curve."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from jobs.report.curve import MOST_GROUPS, MOST_OUTPUTS, MOST_SNAPSHOTS, Curve, loss_text
from jobs.trainer import contract
from jobs.trainer.contract import Event, Training, stamped


def curve(*events: Event) -> Curve:
    made = Curve()
    for event in events:
        made.add(event)
    return made


def values(found: Curve) -> dict[str, list[tuple[int, float]]]:
    return {name: [(one.iteration, one.value) for one in series.points] for name, series in found.all}


def test_displays_are_losses_and_rates_and_validations_are_outputs() -> None:
    found = curve(
        contract.Display(0, 200, 2.5, lr=0.01),
        contract.Validation(100, 200, {"accuracy": [0.9], "loss": [0.3]}),
        contract.Display(100, 200, 0.5, lr=0.005),
        contract.Snapshot(100, 200),
    )

    assert values(found) == {
        "train/loss": [(0, 2.5), (100, 0.5)],
        "train/learning_rate": [(0, 0.01), (100, 0.005)],
        "test/accuracy": [(100, 0.9)],
        "test/loss": [(100, 0.3)],
    }
    assert list(found.snapshots) == [100]


def test_progress_is_no_point_since_its_loss_is_one_ranks() -> None:
    assert curve(contract.Progress(50, 200, 9.0), contract.Phase("train")).empty


def test_a_run_that_resumes_begins_where_it_resumes() -> None:
    found = curve(Training(2, snapshot="hdfs://h/m_iter_500.solverstate"), contract.Display(500, 900, 1.0))

    assert values(found)["train/loss"] == [(500, 1.0)]


def test_outputs_of_several_nets_are_told_apart_and_share_a_panel() -> None:
    found = curve(contract.Validation(1, values={"accuracy#0": [0.5], "accuracy#1": [0.25]}))

    assert {label: series.panel for label, series in found.outputs.items()} == {
        "accuracy#0": "accuracy",
        "accuracy#1": "accuracy",
    }


def test_a_short_vector_is_shown_one_by_one_and_of_a_long_one_the_mean_which_is_said() -> None:
    found = curve(contract.Validation(1, values={"two": [1.0, 3.0], "ten": [float(n) for n in range(10)]}))

    assert values(found) == {
        "test/two[0]": [(1, 1.0)],
        "test/two[1]": [(1, 3.0)],
        "test/ten, mean of 10 values": [(1, 4.5)],
    }
    assert found.outputs["ten, mean of 10 values"].about == (
        "TEST net, mean over the 10 values of ten and the batches of a validation"
    )


def test_the_number_of_outputs_is_bounded_and_what_is_left_out_is_known() -> None:
    found = curve(contract.Validation(1, values={f"o{number}": [1.0] for number in range(1000)}))

    assert len(found.outputs) == MOST_OUTPUTS
    assert found.outputs_left_out


def test_a_long_series_keeps_its_ends_its_extremes_and_what_is_no_number() -> None:
    odd = {0: 3.5, 29_999: 3.5, 21_001: math.nan, 12_000: 9.0, 12_001: -9.0}
    found = curve(*(contract.Display(n, 10**5, odd.get(n, 1 + n % 7)) for n in range(30_000)))
    points = found.loss.points
    kept = {one.iteration: one.value for one in points}

    assert len(points) <= 3 * MOST_GROUPS + 2
    assert (points[0].iteration, points[-1].iteration) == (0, 29_999)
    assert (kept[12_000], kept[12_001]) == (9.0, -9.0)
    assert math.isnan(kept[21_001])
    assert all(math.isnan(value) or value == odd.get(n, 1 + n % 7) for n, value in kept.items())
    assert found.loss.thinned
    assert found.loss.seen == 30_000


def test_a_long_series_is_thinned_evenly() -> None:
    found = curve(*(contract.Display(n, 10**5, n % 7) for n in range(30_000)))
    at = [one.iteration for one in found.loss.points]

    tenths = [sum(one // 3_000 == tenth for one in at) for tenth in range(10)]
    assert max(tenths) < 1.5 * min(tenths)
    assert all(before < later for before, later in pairwise(at))


def test_a_short_series_is_not_thinned() -> None:
    found = curve(*(contract.Display(n, 10**5, 1.0) for n in range(MOST_GROUPS)))

    assert len(found.loss.points) == MOST_GROUPS
    assert not found.loss.thinned


def test_of_many_snapshots_the_last_are_kept() -> None:
    found = curve(*(contract.Snapshot(number) for number in range(MOST_SNAPSHOTS + 5)))

    assert (found.snapshots[0], found.snapshots[-1]) == (5, MOST_SNAPSHOTS + 4)
    assert found.snapshots_seen == MOST_SNAPSHOTS + 5


@pytest.mark.parametrize("end", [contract.Done(), contract.Failed("x")])
def test_it_knows_its_times_and_whether_the_job_has_ended(end: Event) -> None:
    found = curve(stamped(contract.Display(0, 9), 100.0), stamped(contract.Display(1, 9), 105.0))
    assert (found.began, found.end, found.ended) == (100.0, 105.0, False)

    found.add(stamped(end, 110.0))
    assert (found.end, found.ended) == (110.0, True)


@pytest.mark.parametrize(
    ("training", "words"),
    [
        (None, "loss as the solver displays it"),
        (Training(), "loss as the solver displays it"),
        (Training(1), "loss of one rank"),
        (Training(2), "loss, mean over all 2 ranks"),
        (Training(2, 2), "loss, mean over all 2 ranks and up to the last 2 iterations"),
        (Training(2, 40), "loss, mean over all 2 ranks and up to the last 40 iterations"),
        (
            Training(2, 40, 4),
            "loss, mean over all 2 ranks, the 4 batches of an iteration and up to the last 40 iterations",
        ),
        (Training(1, 40), "loss of one rank, mean over up to the last 40 iterations"),
        (
            Training(1, 40, 4),
            "loss of one rank, mean over the 4 batches of an iteration and up to the last 40 iterations",
        ),
    ],
)
def test_the_label_says_what_a_loss_is_the_mean_of(training: Training | None, words: str) -> None:
    assert loss_text(training) == words


def test_validations_that_are_done_again_after_a_loss_count_once() -> None:
    found = curve(
        *(contract.Validation(at, values={"accuracy": [0.5]}) for at in (1, 2, 3)),
        contract.Recovery(2, 2),
        contract.Validation(2, values={"accuracy": [0.6]}),
    )

    assert [one.iteration for one in found.validations] == [1, 2]
    assert [one.iteration for one in found.outputs["accuracy"].points] == [1, 2, 3, 2]

"""Stays of a job's workers, and its losses, by recorded orders of events."""

from __future__ import annotations

import pytest

from jobs.report.history import History
from jobs.report.stays import Losses, Stay, losses, stays
from jobs.trainer import contract
from jobs.trainer.contract import Event, stamped


def history(*events: tuple[float, Event]) -> History:
    return History([stamped(event, at) for at, event in events])


def executors(*hosts: str) -> contract.Executors:
    places = {str(number): {"host": host, "container": ""} for number, host in enumerate(hosts)}
    return contract.Executors("app-1", places)


def recovery(iteration: int, lost: int, *hosts: str) -> contract.Recovery:
    return contract.Recovery(2, iteration, len(hosts), 2, lost, 1.0, "", list(hosts))


def test_workers_count_from_submission_since_they_were_there_before_they_registered() -> None:
    found = stays(history((30.0, executors("w1", "w2"))), 0.0, 100.0)
    assert found == [Stay("w1", 0.0, 100.0), Stay("w2", 0.0, 100.0)]


def test_two_executors_of_a_worker_are_one_worker() -> None:
    assert stays(history((1.0, executors("w1", "w1"))), 0.0, 10.0) == [Stay("w1", 0.0, 10.0)]


def test_a_worker_that_is_announced_to_be_taken_counts_until_the_time_that_its_cloud_named() -> None:
    found = stays(
        history(
            (1.0, executors("w1", "w2")),
            (40.0, contract.Interruption("w2", "spot", 160.0)),
            (45.0, contract.WorkersLost(100, ["w2"])),
            (50.0, recovery(100, 0, "w1")),
        ),
        0.0,
        300.0,
    )
    assert found == [Stay("w1", 0.0, 300.0), Stay("w2", 0.0, 160.0)]


def test_an_announced_worker_that_no_loss_follows_counts_until_it_was_taken_too() -> None:
    events = (1.0, executors("w1", "w2")), (90.0, contract.Interruption("w2", "spot", 150.0))
    assert stays(history(*events), 0.0, 300.0)[1] == Stay("w2", 0.0, 150.0)
    # The job had ended before.
    assert stays(history(*events), 0.0, 120.0)[1] == Stay("w2", 0.0, 120.0)


def test_a_worker_lost_without_notice_counts_until_the_loss_and_its_replacement_from_when_it_joins() -> None:
    found = stays(
        history(
            (1.0, executors("w1", "w2")),
            (60.0, contract.WorkersLost(100, ["w2"], "executor-lost")),
            (240.0, recovery(80, 20, "w1", "w3")),
        ),
        0.0,
        300.0,
    )
    assert found == [Stay("w1", 0.0, 300.0), Stay("w2", 0.0, 60.0, sure=False), Stay("w3", 240.0, 300.0)]


def test_while_a_job_scores_a_replacement_counts_from_when_it_is_there() -> None:
    lost = contract.WorkersLost(100, ["w2"], "executor-lost")
    before = (1.0, executors("w1", "w2")), (50.0, contract.Phase("score")), (60.0, lost)
    gone = Stay("w2", 0.0, 60.0, sure=False)
    found = stays(history(*before, (70.0, executors("w1", "w3"))), 0.0, 100.0)
    assert found == [Stay("w1", 0.0, 100.0), gone, Stay("w3", 70.0, 100.0)]
    # An executor that has died, and its worker has not.
    found = stays(history(*before, (70.0, executors("w1", "w2"))), 0.0, 100.0)
    assert found == [Stay("w1", 0.0, 100.0), Stay("w2", 0.0, 100.0)]


def test_a_worker_that_a_partition_had_hidden_was_there_all_the_time() -> None:
    found = stays(
        history(
            (1.0, executors("w1", "w2")),
            (60.0, contract.WorkersLost(100, ["w2"], "executor-lost")),
            (70.0, recovery(80, 20, "w1")),
            (200.0, recovery(150, 0, "w1", "w2")),
        ),
        0.0,
        300.0,
    )
    assert found == [Stay("w1", 0.0, 300.0), Stay("w2", 0.0, 300.0)]


def test_a_machine_with_the_name_of_one_that_was_taken_is_another_stay() -> None:
    found = stays(
        history(
            (1.0, executors("w1", "w2")),
            (40.0, contract.Interruption("w2", "spot", 100.0)),
            (45.0, contract.WorkersLost(100, ["w2"])),
            (200.0, recovery(100, 0, "w1", "w2")),
        ),
        0.0,
        300.0,
    )
    assert found == [Stay("w1", 0.0, 300.0), Stay("w2", 0.0, 100.0), Stay("w2", 200.0, 300.0)]


@pytest.mark.parametrize(
    ("host", "names"),
    [
        ("wn2-caffes.internal.cloudapp.net", {}),
        ("10.0.0.2", {"10.0.0.2": "wn2-caffes"}),
    ],
)
def test_addresses_and_full_names_are_the_nodes_own_names(host: str, names: dict[str, str]) -> None:
    events = (1.0, executors(host)), (50.0, contract.WorkersLost(1, ["wn2-caffes"], "executor-lost"))
    assert stays(history(*events), 0.0, 100.0, names) == [Stay("wn2-caffes", 0.0, 50.0, sure=False)]


def test_an_address_is_known_by_what_its_rank_has_told() -> None:
    events = (1.0, contract.RankStarted(0, "w1", "10.0.0.1")), (2.0, executors("10.0.0.1", "10.0.0.9"))
    assert [one.host for one in stays(history(*events), 0.0, 9.0)] == ["10.0.0.9", "w1"]


def test_entries_that_are_no_places_count_for_nothing() -> None:
    forged = contract.Executors("app", {"0": "text", "1": {"host": 7}, "2": {"host": "w1"}})
    assert stays(history((1.0, forged)), 0.0, 9.0) == [Stay("w1", 0.0, 9.0)]


def progress(iteration: int, left_s: float | None, seconds: float = 0.0) -> contract.Progress:
    return contract.Progress(iteration, 1000, 0.5, 100.0, seconds, left_s)


def test_lost_iterations_took_what_an_iteration_took_before_the_loss() -> None:
    found = losses(
        history(
            (0.0, contract.Training(2)),
            (50.0, progress(100, 450.0)),
            (60.0, contract.WorkersLost(100, ["w2"], "executor-lost")),
            (75.0, recovery(80, 20, "w1")),
            (80.0, progress(90, 910.0)),
        ),
        300.0,
    )
    # 450 s for 900 iterations, twenty of which are done again; 15 s without training.
    assert found == Losses(1, 0, 20, 10.0, 15.0)


def test_losses_of_several_interruptions_are_added_each_at_its_own_pace() -> None:
    found = losses(
        history(
            (0.0, contract.Training(2)),
            (50.0, progress(100, 450.0)),
            (55.0, contract.Interruption("w2", "spot", 170.0)),
            (60.0, contract.WorkersLost(110, ["w2"])),
            (70.0, recovery(110, 0, "w1")),
            (100.0, progress(200, 800.0)),
            (110.0, contract.WorkersLost(200, ["w1"], "executor-lost")),
            (140.0, recovery(190, 10, "w3")),
        ),
        300.0,
    )
    assert found == Losses(interruptions=2, announced=1, iterations=10, seconds=10.0, waiting_seconds=40.0)


def test_a_second_loss_during_a_recovery_prolongs_the_same_waiting() -> None:
    found = losses(
        history(
            (50.0, progress(100, 450.0)),
            (60.0, contract.WorkersLost(100, ["w2"], "executor-lost")),
            (70.0, contract.WorkersLost(100, ["w1"], "executor-lost")),
            (100.0, recovery(80, 20, "w3")),
        ),
        300.0,
    )
    assert (found.interruptions, found.waiting_seconds, found.seconds) == (2, 40.0, 10.0)


def test_training_that_never_went_on_waited_to_the_end() -> None:
    events = (50.0, progress(100, 450.0)), (60.0, contract.WorkersLost(100, ["w2"], "executor-lost"))
    assert losses(history(*events), 1260.0) == Losses(1, 0, 0, 0.0, 1200.0)


def test_a_pace_that_nothing_tells_leaves_the_lost_seconds_unknown() -> None:
    events = (
        (0.0, contract.Training(2, snapshot="hdfs://h/m.solverstate")),
        (50.0, progress(1000, 0.0, seconds=40.0)),
        (60.0, contract.WorkersLost(1000, ["w2"], "executor-lost")),
        (75.0, recovery(980, 20, "w1")),
    )
    assert losses(history(*events), 300.0).seconds is None


def test_at_the_last_iteration_the_pace_is_that_of_the_whole_attempt() -> None:
    events = (
        (0.0, contract.Training(2)),
        (50.0, progress(1000, 0.0, seconds=500.0)),
        (60.0, contract.WorkersLost(1000, ["w2"], "executor-lost")),
        (75.0, recovery(980, 20, "w1")),
    )
    assert losses(history(*events), 300.0).seconds == 10.0


def test_ranks_that_stop_to_grow_wait_as_long_as_the_event_says() -> None:
    grown = contract.Recovery(3, 500, 2, 2, 0, 7.5, "", ["w1", "w3"])
    assert losses(history((100.0, grown)), 300.0) == Losses(waiting_seconds=7.5)


def test_a_job_without_losses_has_lost_nothing() -> None:
    assert losses(history((1.0, executors("w1"))), 9.0) == Losses()


def test_scoring_that_begins_again_has_lost_what_it_had_done() -> None:
    found = losses(
        history(
            (50.0, progress(1000, 0.0)),
            (100.0, contract.Phase("score")),
            (130.0, contract.WorkersLost(1000, ["w2"], "executor-lost")),
            (150.0, contract.WorkersLost(1000, ["w3"], "executor-lost")),
        ),
        300.0,
    )
    assert found == Losses(interruptions=2, seconds=50.0)


def test_a_worker_that_serves_until_it_is_taken_is_one_stay() -> None:
    found = stays(
        history(
            (1.0, executors("w1", "w2")),
            (40.0, contract.Interruption("w2", "spot", 160.0)),
            (45.0, contract.WorkersLost(100, ["w2"])),
            (50.0, executors("w1", "w2")),
            (50.0, recovery(100, 0, "w1", "w2")),
        ),
        0.0,
        300.0,
    )
    assert found == [Stay("w1", 0.0, 300.0), Stay("w2", 0.0, 160.0)]


def test_executors_that_training_does_without_are_no_workers_of_it() -> None:
    found = stays(
        history(
            (1.0, executors("w1", "w2")),
            (45.0, contract.WorkersLost(100, ["w2"], "rank-silent")),
            (50.0, executors("w1", "w2", "w3")),
            (50.0, recovery(100, 0, "w1", "w3")),
        ),
        0.0,
        300.0,
    )
    assert found == [Stay("w1", 0.0, 300.0), Stay("w2", 0.0, 45.0, sure=False), Stay("w3", 50.0, 300.0)]


@pytest.mark.parametrize("odd", [float("inf"), float("nan"), -1.0])
def test_figures_that_are_no_numbers_count_for_nothing(odd: float) -> None:
    events = history(
        (1.0, executors("w1")),
        (5.0, contract.Interruption("w1", "", odd)),
        (6.0, contract.WorkersLost(-5, ["w1"])),
        (7.0, contract.Recovery(2, 1, lost_iterations=-9, seconds=odd, hosts=["w1"])),
        (8.0, contract.Recovery(3, 1, seconds=odd, hosts=[""])),
    )
    found = losses(events, 9.0)
    assert (found.iterations, found.seconds, found.waiting_seconds) == (0, 0.0, 1.0)
    assert all(0.0 <= one.seconds <= 9.0 for one in stays(events, 0.0, 9.0))


def test_a_driver_that_begins_again_was_waited_for_since_its_last_event() -> None:
    found = losses(
        history(
            (0.0, contract.Phase("start")),
            (5.0, contract.Phase("train")),
            (6.0, contract.Training(2)),
            (26.0, contract.Progress(200, 300, seconds=20.0)),
            (60.0, contract.Phase("start")),
            (70.0, contract.Phase("train")),
            (70.5, contract.WorkersLost(200, driver=True)),
            (71.0, recovery(180, 20, "w1", "w2")),
            (72.0, contract.Training(2)),
        ),
        100.0,
    )
    assert found == Losses(interruptions=1, iterations=20, seconds=2.0, waiting_seconds=71.0 - 26.0)


def test_a_driver_that_was_lost_while_it_scored_scores_again() -> None:
    found = losses(
        history(
            (0.0, contract.Phase("start")),
            (5.0, contract.Phase("train")),
            (6.0, contract.Training(2)),
            (40.0, contract.Phase("score")),
            (44.0, contract.Note("it scores")),
            (60.0, contract.Phase("start")),
            (70.0, contract.Phase("score")),
        ),
        80.0,
    )
    assert found == Losses(interruptions=1, seconds=4.0, waiting_seconds=26.0)

"""A batch of Livy that is followed, and ended, whatever fails meanwhile: it runs and bills until it ends."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import Any

import pytest

from bootstrap.errors import JobError, ServiceDown
from jobs.backends import livy_batch
from jobs.backends.livy_client import Livy, Refused
from tests.jobs.backends.conftest import World
from tests.jobs.backends.livy_server import EVENTS, PASSWORD


def test_answers_that_fail_for_a_moment_lose_no_job(world: World) -> None:
    world.livy.failing = 3
    assert world.run().accuracy == 1.0
    assert world.out.getvalue().count("Livy answers 502") == 1, "it is told once, not at each question"


def test_a_storage_that_fails_for_a_moment_loses_no_job(world: World) -> None:
    world.storage.failing = 2
    assert world.run().accuracy == 1.0


def test_a_batch_that_can_no_longer_be_followed_is_named_with_what_ends_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(livy_batch, "PATIENCE_S", 0.1)
    world.livy.failing = -1
    with pytest.raises(ServiceDown) as lost:
        world.run()
    said, url = str(lost.value), f"{world.livy.url}/livy/batches/7"
    assert said.startswith(f"job {world.livy.submitted['name']}: Livy's batch 7 of it runs on")
    assert f"`curl -u admin {url}`" in said
    assert f"`curl -u admin -X DELETE -H 'X-Requested-By: admin' {url}`" in said
    assert "gateway_password --show-secrets --stack" in said
    assert PASSWORD not in said
    assert "fab status" not in said


def test_a_refusal_while_a_batch_runs_is_not_waited_for_and_names_the_batch(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> str:
        raise Refused("the gateway", "it refuses user 'admin'", "Fix it.")

    monkeypatch.setattr(Livy, "state", refuse)
    began = time.monotonic()
    with pytest.raises(ServiceDown, match=r"batch 7 of it runs on .*refuses user 'admin'"):
        world.run()
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["on_post", "on_state"])
def test_ctrl_c_and_sigterm_end_the_batch_at_any_moment(
    world: World, number: signal.Signals, moment: str
) -> None:
    world.livy.states = ["running"]
    before = signal.getsignal(signal.SIGTERM)
    # What a shell does to commands in the background must not decide what is tested here.
    monkey = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        setattr(world.livy, moment, lambda: os.kill(os.getpid(), number))
        with pytest.raises(JobError, match="killed, as you asked"):
            world.run()
    finally:
        signal.signal(signal.SIGINT, monkey)
    assert world.livy.deleted
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_batch_that_cannot_be_ended_is_said_to_run_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(livy_batch, "KILL_PATIENCE_S", 0.1)

    def stop() -> None:
        world.livy.failing = -1
        os.kill(os.getpid(), signal.SIGTERM)

    world.livy.states, world.livy.on_state = ["running"], stop
    with pytest.raises(ServiceDown, match=r"batch 7 of it runs on and could not be ended .*-X DELETE"):
        world.run()


def test_an_answer_that_is_lost_after_submission_says_that_the_job_may_have_begun(world: World) -> None:
    world.livy.dropping = True
    with pytest.raises(ServiceDown, match=r"^job mnist-.*it may have started\. Look .*/livy/batches`"):
        world.run()


def test_a_gateway_that_was_never_reached_has_begun_nothing(world: World) -> None:
    world.livy.server.shutdown()
    world.livy.server.server_close()
    with pytest.raises(ServiceDown) as down:
        world.run()
    assert "may have started" not in str(down.value)


def test_a_log_that_cannot_be_read_costs_no_results(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> list[str]:
        raise ServiceDown("Livy", "it does not answer", "Look.")

    monkeypatch.setattr(livy_batch, "PATIENCE_S", 0.1)
    monkeypatch.setattr(Livy, "log", fail)
    summary = world.run()
    assert "cannot be read" in (world.results / summary.job / "job.log").read_text()


def test_a_failure_says_where_the_drivers_own_log_is(world: World) -> None:
    world.livy.states, world.livy.events = ["dead"], []
    with pytest.raises(JobError, match=r"`yarn logs -applicationId application_1_0007` on a head"):
        world.run()


def test_a_failure_before_yarn_knew_the_job_names_livys_log_alone(world: World) -> None:
    world.livy.states, world.livy.events, world.livy.application = ["dead"], [], None
    with pytest.raises(JobError, match=r"The full log: .*job\.log") as failed:
        world.run()
    assert "applicationId" not in str(failed.value)


def test_an_event_that_was_copied_by_half_is_told_when_it_is_whole(world: World) -> None:
    world.livy.states = ["running", "running", "success"]
    text = "".join(json.dumps(event) + "\n" for event in EVENTS)
    world.livy.cuts = [len(text) - 20, 30]
    assert world.run().iterations == 7
    assert world.out.getvalue().splitlines().count("train") == 1

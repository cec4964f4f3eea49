"""Reports of a process that dies, sent by the one that watches it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.trainer.contract import NATIVE, OWN, PEER, SILENT, RankFailed
from jobs.trainer.errors import TrainerError
from jobs.trainer.events.channel import Channel
from jobs.trainer.events.watch import failure, is_fatal, last_words
from tests.jobs.trainer.events.conftest import Inbox

ROOT = Path(__file__).parents[4]
WORKER = """
import os, sys
{before}
from jobs.trainer.events.channel import Address
from jobs.trainer.events.watch import watched
with watched(Address(sys.argv[1], int(sys.argv[2]), sys.argv[3]), 1, "w2"):
    {body}
"""
FATAL = (
    "F0131 12:00:00.000001 77 net.cpp:764] Cannot copy param 0 weights\\n"
    "    *** Check failure stack trace: ***\\n"
)


def worker(channel: Channel, body: str, before: str = "") -> subprocess.CompletedProcess[str]:
    host, port, token = channel.address
    return subprocess.run(
        [sys.executable, "-c", WORKER.format(body=body, before=before), host, str(port), token],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_native_check_failure_reaches_the_driver_in_its_own_words(channel: Channel, inbox: Inbox) -> None:
    done = worker(channel, f'os.write(2, b"I am fine\\n{FATAL}"); os.abort()')

    event = inbox.wait(1)[0]

    assert done.returncode != 0
    assert (event.rank, event.host, event.origin) == (1, "w2", NATIVE)
    assert event.reason == "Cannot copy param 0 weights"
    assert event.tail[0] == "I am fine"
    assert "Cannot copy param 0 weights" in done.stderr, "the worker's own log has it too"


def test_a_killed_worker_is_told_as_one_without_words(channel: Channel, inbox: Inbox) -> None:
    worker(channel, "os.kill(os.getpid(), 9)")

    event = inbox.wait(1)[0]

    assert event.origin == SILENT
    assert event.reason == "the worker process died without a word"


def test_a_worker_that_ends_well_says_nothing(channel: Channel, inbox: Inbox) -> None:
    done = worker(channel, 'os.write(2, b"half a line")')

    assert done.returncode == 0, done.stderr
    assert done.stderr == "half a line"
    assert inbox.events == []


def test_the_line_after_a_fatal_one_belongs_to_it_unless_it_is_the_stack() -> None:
    lines = [
        "W0131 1 a.cpp:1] hm",
        "F0131 1 a.cpp:9] Check failed: a == b (1 vs. 2)",
        "shapes differ",
        "*** stack",
    ]

    assert last_words(lines) == "Check failed: a == b (1 vs. 2) shapes differ"
    assert last_words(["free(): invalid pointer", ""]).endswith(": free(): invalid pointer")


@pytest.mark.parametrize("before", ["", 'import faulthandler; faulthandler.enable(open("/dev/null", "w")); '])
def test_a_crash_is_told_with_its_signal_and_the_line_before_it(
    channel: Channel, inbox: Inbox, before: str
) -> None:
    # Spark enables the handler too, before the task.
    body = 'os.write(2, b"reading lmdb\\n"); os.kill(os.getpid(), 11)'
    worker(channel, body, before)

    event = inbox.wait(1)[0]

    assert (event.host, event.origin) == ("w2", NATIVE)
    assert event.reason == "the worker process died (Segmentation fault): reading lmdb"


def test_the_stacks_of_other_threads_are_left_out(channel: Channel, inbox: Inbox) -> None:
    body = "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start(); "
    worker(channel, body + "os.kill(os.getpid(), 11)")

    tail = inbox.wait(1)[0].tail

    assert any("most recent call first" in line for line in tail)
    assert not [line for line in tail if line.startswith("Thread ")]


def test_a_long_stack_does_not_push_out_the_fatal_line(channel: Channel, inbox: Inbox) -> None:
    worker(channel, f'os.write(2, b"{FATAL}" + b"    @ frame\\n" * 500); os.abort()')

    event = inbox.wait(1)[0]

    assert event.reason == "Cannot copy param 0 weights"
    assert "Cannot copy param 0 weights" in event.tail[0]
    assert len(event.tail) == 80


def test_the_last_forty_lines_before_a_death_are_kept(channel: Channel, inbox: Inbox) -> None:
    worker(channel, 'os.write(2, b"".join(b"%d\\n" % n for n in range(100))); os.kill(os.getpid(), 9)')

    event = inbox.wait(1)[0]

    assert event.tail == [str(n) for n in range(60, 100)]
    assert event.reason == "the worker process died: 99"


@pytest.mark.parametrize(
    "line", ["", "F", "E0131 1 a.cpp:9] x", "F-131 1 a.cpp:9] x", "Fail1 1 a.cpp:9] x", "F0131 no place"]
)
def test_what_is_not_glogs_fatal_line_is_a_line_like_others(line: str) -> None:
    assert not is_fatal(line)
    assert is_fatal("F0131 1 a.cpp:9] x")


def test_a_ranks_failure_has_its_code_where_it_has_one() -> None:
    coded = TrainerError("peer-lost", reason="closed")

    assert failure(1, "w2", PEER, coded) == RankFailed(
        1, "w2", PEER, str(coded), "peer-lost", {"reason": "closed"}
    )
    assert failure(1, "w2", OWN, ValueError("odd")) == RankFailed(1, "w2", OWN, "ValueError: odd")

"""Overseer of an attempt at training: tells its ranks to leave it for more executors, or for an end; and
ends one of which a rank hangs that no other rank waits for."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from functools import partial
from typing import Callable, Iterator, Optional

from jobs.trainer import stopping
from jobs.trainer.beside import beside
from jobs.trainer.events.channel import Channel
from jobs.trainer.policy import Policy, grows
from jobs.trainer.ranks.wishes import LEAVE, REGROUP
from jobs.trainer.recovery import Attempt
from jobs.trainer.running import RunningJob
from jobs.trainer.survivors import Survivors

PERIOD_S = 1.0


class Overseer:
    """Looks after attempts, one at a time; `stop` is the reason why training was asked to end.

    `keep` keeps what a driver that begins again needs; None where none does.
    """

    def __init__(
        self,
        running: RunningJob,
        rules: Policy,
        channel: Channel,
        keep: Optional[Callable[[], object]] = None,
    ) -> None:
        self._running, self._rules, self._channel, self._keep = running, rules, channel, keep
        self._first = 0
        """The first attempt of this driver; 0 before it."""
        self.stop = ""
        self._looked = 0.0

    @contextmanager
    def watching(self, attempt: Attempt, survivors: Survivors) -> Iterator[None]:
        """Watch an attempt in this block."""
        self._first = self._first or attempt.generation
        watch = partial(self._watch, attempt, survivors)
        with beside(watch, "overseer"), self._keeping():
            yield

    @contextmanager
    def _keeping(self) -> Iterator[None]:
        """Keep records in this block, if the job has any."""
        if self._keep is None:
            yield
            return
        with beside(partial(self._keep_up, self._keep), "records"):
            try:
                yield
            finally:
                self._running.journal.stored.set()

    def _keep_up(self, keep: Callable[[], object], over: threading.Event) -> None:
        """Keep what a driver that begins again needs, at once when there is a snapshot more."""
        news = self._running.journal.stored
        while not over.is_set():
            try:
                keep()
            except Exception as error:
                # The next round tries again.
                print("not kept for a restart: {}".format(error), flush=True)
            news.wait(PERIOD_S)
            news.clear()

    def ask(self) -> str:
        """Return why training is to end, also where no attempt runs; empty if it is not."""
        self.stop = self.stop or stopping.asked(self._running)
        return self.stop

    def _watch(self, attempt: Attempt, survivors: Survivors, over: threading.Event) -> None:
        smaller, journal = attempt.executors < self._running.size, self._running.journal
        before = time.monotonic()
        while not over.wait(PERIOD_S):
            now = time.monotonic()
            if self._hangs(attempt, min(now - before, 2 * PERIOD_S)):
                return
            before = now
            # Until all ranks run, executors without a task are no others.
            if journal.iteration <= journal.first:
                continue
            try:
                self._look(attempt, survivors, grows=smaller and grows(self._rules))
            except Exception as error:
                # Of the gateway to Spark; training itself goes on.
                print("not looked after: {}".format(error), flush=True)

    def _hangs(self, attempt: Attempt, seconds: float) -> bool:
        """Return whether a rank hangs, after further seconds; the attempt has ended then, with its name."""
        running = self._running
        alone = attempt.executors * running.options.devices == 1
        if alone and not self._channel.connected:
            return False
        if running.journal.silent(seconds, self._rules.timeout_s, alone=alone) is None:
            return False
        try:
            running.executors.cancel()
        except Exception as error:
            print("not ended: {}".format(error), flush=True)
        return True

    def _look(self, attempt: Attempt, survivors: Survivors, *, grows: bool) -> None:
        if attempt.generation == self._first and not survivors.newcomers.known:
            survivors.newcomers.known.update(self._running.executors.busy())
        now = time.monotonic()
        if now - self._looked > stopping.PERIOD_S:
            self._looked = now
            self.ask()
        if self.stop:
            self._channel.tell(LEAVE)
        elif grows and survivors.ready():
            self._channel.tell(REGROUP)

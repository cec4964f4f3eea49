"""One batch of Livy, whose answers are waited for: it runs meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_delay, wait_fixed

from bootstrap.errors import CaffeSparkError, ServiceDown
from jobs.backends.base import OnLine
from jobs.backends.livy_client import Livy, Refused

PATIENCE_S = 300.0
"""Seconds without an answer after which a batch is no longer followed: a head is replaced sooner."""
KILL_PATIENCE_S = 30.0
"""Likewise when it is to be ended: people wait for that."""
_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Batch:
    """A batch that Livy has made."""

    livy: Livy
    number: int
    job: str
    say: OnLine
    poll: float

    def patiently(self, ask: Callable[[], _Answer], within: float | None = None) -> _Answer:
        """Return an answer as soon as there is one; raises the last failure after a while."""
        within = PATIENCE_S if within is None else within

        def tell(attempt: RetryCallState) -> None:
            error = attempt.outcome.exception() if attempt.outcome else None
            if attempt.attempt_number == 1 and isinstance(error, CaffeSparkError):
                self.say(f"{error.given}: {error.why}; asked again for {within:.0f} s")

        return Retrying(
            retry=retry_if_exception(_may_pass),
            stop=stop_after_delay(within),
            wait=wait_fixed(self.poll),
            before_sleep=tell,
            reraise=True,
        )(ask)

    def log(self) -> list[str]:
        """Return what spark-submit wrote, or why that is not known: results do not depend on it."""
        try:
            return self.patiently(lambda: self.livy.log(self.number))
        except ServiceDown as error:
            return [f"Livy's log cannot be read: {error}"]

    def application(self) -> str:
        """Return YARN's id of it; empty where that is not known."""
        with suppress(ServiceDown):
            return self.livy.application(self.number)
        return ""

    def end(self) -> None:
        """End it.

        Raises:
            ServiceDown: it could not be ended, and runs on.
        """
        try:
            self.patiently(lambda: self.livy.kill(self.number), KILL_PATIENCE_S)
        except CaffeSparkError as error:
            raise self.runs_on("could not be ended", error) from error

    def runs_on(self, what: str, error: CaffeSparkError) -> ServiceDown:
        """Return the error that nobody looks after it any more, and how to do so by hand."""
        return ServiceDown(
            f"job {self.job}",
            f"Livy's batch {self.number} of it runs on and {what} ({error.given}: {error.why.rstrip('.')})",
            self.livy.by_hand(self.number),
        )


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, ServiceDown) and not isinstance(error, Refused)

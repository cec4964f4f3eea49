"""A batch of Livy, with retries while Livy does not answer."""

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
"""Seconds to retry while following; longer than HDInsight takes to replace a head."""
KILL_PATIENCE_S = 30.0
"""Seconds to retry while killing, which is interactive."""
_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Batch:
    """A submitted batch."""

    livy: Livy
    number: int
    job: str
    say: OnLine
    poll: float

    def retried(self, ask: Callable[[], _Answer], within: float | None = None) -> _Answer:
        """Call `ask` until it succeeds, for `within` seconds; then raise its last error."""
        within = PATIENCE_S if within is None else within

        def report(attempt: RetryCallState) -> None:
            error = attempt.outcome.exception() if attempt.outcome else None
            if attempt.attempt_number == 1 and isinstance(error, CaffeSparkError):
                self.say(f"{error.given}: {error.why}; retrying for {within:.0f} s")

        return Retrying(
            retry=retry_if_exception(_is_transient),
            stop=stop_after_delay(within),
            wait=wait_fixed(self.poll),
            before_sleep=report,
            reraise=True,
        )(ask)

    def log(self) -> list[str]:
        """Return spark-submit's log, or a line on why it is unavailable: results do not depend on it."""
        try:
            return self.retried(lambda: self.livy.log(self.number))
        except ServiceDown as error:
            return [f"Livy's log cannot be read: {error}"]

    def application(self) -> str:
        """Return the YARN application id; empty if unknown."""
        with suppress(ServiceDown):
            return self.livy.application(self.number)
        return ""

    def end(self) -> None:
        """Kill the batch.

        Raises:
            ServiceDown: it could not be killed and runs on.
        """
        try:
            self.retried(lambda: self.livy.kill(self.number), KILL_PATIENCE_S)
        except CaffeSparkError as error:
            raise self.runs_on("could not be ended", error) from error

    def runs_on(self, what: str, error: CaffeSparkError) -> ServiceDown:
        """Return the error for a batch that runs unattended, with the commands to handle it by hand."""
        return ServiceDown(
            f"job {self.job}",
            f"Livy's batch {self.number} of it runs on and {what} ({error.given}: {error.why.rstrip('.')})",
            self.livy.by_hand(self.number),
        )


def _is_transient(error: BaseException) -> bool:
    return isinstance(error, ServiceDown) and not isinstance(error, Refused)

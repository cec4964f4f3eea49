"""Runs a job through Livy, HDInsight's job server: HTTPS alone, where people may not log in by SSH.

Everything that the job needs goes to shared storage; the driver copies its events there while it runs, and
that copy is followed. A batch runs and bills whether or not anybody follows it: it is ended by Ctrl-C and by
SIGTERM, and where it can be neither followed nor ended, the last line says how to do so by hand.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from rich.console import Console
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_delay, wait_fixed

from bootstrap import paths
from bootstrap.cluster import ClusterDocument
from bootstrap.errors import CaffeSparkError, JobError, ServiceDown
from jobs.livy_batches import AnswerLost, Livy, Refused
from jobs.package import PROGRAM_TEXT, trainer_zip
from jobs.signals import handled, stopping_signals, uninterrupted
from jobs.spec import JobSpec
from jobs.submit import EVENTS, PROGRAM, TRAINER, JobPlace, settings, trainer_arguments
from jobs.summary import Summary, summarise
from jobs.view import View

if TYPE_CHECKING:
    from bootstrap.blob import Blobs

POLL_S: Final = 3.0
PATIENCE_S = 300.0
"""Seconds without an answer after which a batch is no longer followed: a head is replaced sooner."""
KILL_PATIENCE_S = 30.0
"""Likewise when it is to be ended: people wait for that."""
ENDED: Final = ("success", "dead", "killed", "error")
_ENV: Final = "spark.yarn.appMasterEnv."
_Answer = TypeVar("_Answer")


def run_by_livy(
    livy: Livy,
    cluster: ClusterDocument,
    spec: JobSpec,
    framework: str,
    console: Console,
    *,
    results: Path,
    poll: float = POLL_S,
) -> Summary:
    """Submit a job, follow it, and bring its results into `results`/JOB. Ctrl-C and SIGTERM end the job.

    Raises:
        ConfigError: the cluster is too small for the job.
        JobError: it was refused, failed or was killed.
        ServiceDown: the gateway or storage does not answer, or refuses the stack's password.
    """
    spec.check(cluster)
    from bootstrap.blob import Blobs

    blobs = Blobs.of(cluster)
    _require_data(blobs, cluster, spec)
    name = f"{spec.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    place = JobPlace(name, "", blobs.url(f"{paths.JOBS_DIR}/{name}"))
    _upload(blobs, spec, place)
    batch: _Batch | None = None
    view = View(console)
    with stopping_signals():
        try:
            with _stops_wait():
                batch = _Batch(livy, _submit(livy, name, body(spec, cluster, place)), name, console, poll)
            console.print(f"job      {name} is Livy's batch {batch.number} on {livy.name}", soft_wrap=True)
            with view:
                state = _follow(batch, blobs, place, view)
        except KeyboardInterrupt:
            if batch is not None:
                batch.end()
            raise JobError(
                f"job {name}", "it was killed, as you asked", "Submit it again when you like."
            ) from None
    folder = results / name
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "job.log"
    log.write_text(batch.log())
    if state != "success":
        application = batch.application()
        told = f"`yarn logs -applicationId {application}` on a head; Livy's: {log}" if application else log
        raise view.failure(name, 1, str(told), log.read_text(), cluster.stack)
    summary = _bring_back(blobs, spec, framework, place, view=view, folder=folder)
    console.print(summary.table())
    console.print(f"results  {folder}/", soft_wrap=True)
    return summary


def body(spec: JobSpec, cluster: ClusterDocument, place: JobPlace) -> dict[str, Any]:
    """What Livy is asked for: spark-submit's command line, as JSON. Pure."""
    conf = settings(spec, cluster, place)
    conf[f"{_ENV}CAFFE_SPARK_EVENTS_URI"] = f"{place.storage}/{EVENTS}"
    # Livy waits for the end itself, and has names of its own for what it sets.
    for key in ("spark.yarn.submit.waitAppCompletion", "spark.yarn.tags"):
        conf.pop(key, None)
    return {
        "name": place.id,
        "file": f"{place.storage}/{PROGRAM}",
        "pyFiles": [f"{place.storage}/{TRAINER}"],
        "files": [f"{place.storage}/{file.name}" for file in spec.shipped],
        "args": trainer_arguments(spec, place),
        "conf": conf,
    }


@dataclass(frozen=True)
class _Batch:
    """A batch that was made. An answer that fails to come is waited for: the batch runs meanwhile."""

    livy: Livy
    number: int
    job: str
    console: Console
    poll: float

    def patiently(self, ask: Callable[[], _Answer], within: float | None = None) -> _Answer:
        """What is asked for, as soon as there is an answer; raises the last failure after a while."""
        within = PATIENCE_S if within is None else within

        def tell(attempt: RetryCallState) -> None:
            error = attempt.outcome.exception() if attempt.outcome else None
            if attempt.attempt_number == 1 and isinstance(error, CaffeSparkError):
                said = f"{error.given}: {error.why}; asked again for {within:.0f} s"
                self.console.print(said, soft_wrap=True, markup=False)

        return Retrying(
            retry=retry_if_exception(_may_pass),
            stop=stop_after_delay(within),
            wait=wait_fixed(self.poll),
            before_sleep=tell,
            reraise=True,
        )(ask)

    def log(self) -> str:
        """What spark-submit wrote, or why that is not known: results do not depend on it."""
        try:
            lines = self.patiently(lambda: self.livy.log(self.number))
        except ServiceDown as error:
            lines = [f"Livy's log cannot be read: {error}"]
        return "\n".join(lines) + "\n"

    def application(self) -> str:
        """YARN's id for it, where that can be learnt."""
        with suppress(ServiceDown):
            return self.livy.application(self.number)
        return ""

    def end(self) -> None:
        """End it, however often people press Ctrl-C meanwhile.

        Raises:
            ServiceDown: it could not be ended, and runs on.
        """
        with uninterrupted():
            try:
                self.patiently(lambda: self.livy.kill(self.number), KILL_PATIENCE_S)
            except CaffeSparkError as error:
                raise self.runs_on("could not be ended", error) from error

    def runs_on(self, what: str, error: CaffeSparkError) -> ServiceDown:
        """That nobody looks after it any more, and how to."""
        return ServiceDown(
            f"job {self.job}",
            f"Livy's batch {self.number} of it runs on and {what} ({error.given}: {error.why.rstrip('.')})",
            self.livy.by_hand(self.number),
        )


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, ServiceDown) and not isinstance(error, Refused)


@contextmanager
def _stops_wait() -> Iterator[None]:
    """Ctrl-C and SIGTERM come after what is done here: between Livy's answer and us a batch would be lost."""
    came: list[int] = []

    def later(number: int, _frame: object) -> None:
        came.append(number)

    with handled({signal.SIGINT: later, signal.SIGTERM: later}):
        yield
    if came:
        raise KeyboardInterrupt


def _submit(livy: Livy, job: str, document: dict[str, Any]) -> int:
    try:
        return livy.submit(document)
    except AnswerLost as error:
        given = f"job {job}: {error.given}"
        raise ServiceDown(given, f"{error.why}; it may have begun", livy.by_hand()) from error


def _require_data(blobs: Blobs, cluster: ClusterDocument, spec: JobSpec) -> None:
    """Data is converted on a head, by SSH: Livy has no part in that."""
    if spec.data and not blobs.exists(f"{paths.DATA}/{spec.data}/train_lmdb/data.mdb"):
        raise JobError(
            f"data: {spec.data}",
            f"it is not in {blobs.url(paths.DATA)} yet",
            f"Run `fab submit-mnist --stack {cluster.stack}` once without --livy, which brings it there.",
        )


def _upload(blobs: Blobs, spec: JobSpec, place: JobPlace) -> None:
    folder = f"{paths.JOBS_DIR}/{place.id}"
    blobs.write(f"{folder}/{TRAINER}", trainer_zip())
    blobs.write(f"{folder}/{PROGRAM}", PROGRAM_TEXT.encode())
    for file in spec.shipped:
        blobs.write(f"{folder}/{file.name}", file.read_bytes())


def _follow(batch: _Batch, blobs: Blobs, place: JobPlace, view: View) -> str:
    """Feed the view from the copy of the events until the batch has ended; its state.

    Raises:
        ServiceDown: Livy or storage gave no answer for long; the batch runs on.
    """
    seen, state = 0, ""
    while True:
        try:
            state = batch.patiently(lambda: batch.livy.state(batch.number))
            # Read after the state: what was written before the end is then there.
            data = batch.patiently(lambda: blobs.read(f"{paths.JOBS_DIR}/{place.id}/{EVENTS}")) or b""
        except CaffeSparkError as error:
            if state in ENDED:
                raise
            raise batch.runs_on("can no longer be followed", error) from error
        ended = state in ENDED
        # The copy may be half written: a line is whole when it ends.
        lines = (data if ended else data[: data.rfind(b"\n") + 1]).decode(errors="replace").splitlines()
        for line in lines[seen:]:
            view.line(line)
        seen = max(seen, len(lines))
        if ended:
            return state
        time.sleep(batch.poll)


def _bring_back(
    blobs: Blobs, spec: JobSpec, framework: str, place: JobPlace, *, view: View, folder: Path
) -> Summary:
    lines: list[str] = []
    if spec.features:
        prefix = f"{paths.JOBS_DIR}/{place.id}/features/part-".lstrip("/")
        for path in blobs.list(prefix):
            lines += (blobs.read(path) or b"").decode().splitlines()
        (folder / "features.jsonl").write_text("".join(f"{line}\n" for line in lines))
    summary = summarise(place.id, spec, framework, lines, view.events)
    summary.write(folder)
    return summary

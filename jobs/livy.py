"""Runs a job through Livy, HDInsight's job server: HTTPS alone, where people may not log in by SSH.

Everything that the job needs goes to shared storage; the driver copies its events there while it runs, and
that copy is followed. https://livy.apache.org/docs/latest/rest-api.html
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console

from bootstrap import paths
from bootstrap.cluster import Cluster, HdInsight
from bootstrap.errors import ConfigError, JobError, ServiceDown
from jobs.package import PROGRAM_TEXT, trainer_zip
from jobs.spec import JobSpec
from jobs.submit import EVENTS, PROGRAM, TRAINER, JobPlace, settings, trainer_arguments
from jobs.summary import Summary, summarise
from jobs.view import View

if TYPE_CHECKING:
    import requests

    from bootstrap.blob import Blobs

POLL_S: Final = 3.0
ANSWER_S: Final = 30.0
LINES: Final = 2000
"""Of Livy's log, at most."""
ENDED: Final = ("success", "dead", "killed", "error")
_ENV: Final = "spark.yarn.appMasterEnv."


def run_by_livy(
    cluster: Cluster, spec: JobSpec, framework: str, console: Console, results: Path, *, poll: float = POLL_S
) -> Summary:
    """Submit a job, follow it, and bring its results into `results`/JOB. Ctrl-C ends the job.

    Raises:
        ConfigError: the cluster has no Livy, or is too small for the job.
        JobError: it was refused, failed or was killed.
        ServiceDown: the gateway or storage does not answer, or refuses the stack's password.
    """
    given = gateway(cluster)
    spec.check(cluster)
    from bootstrap.blob import Blobs

    blobs = Blobs.of(cluster)
    _require_data(blobs, cluster, spec)
    name = f"{spec.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    place = JobPlace(name, "", blobs.url(f"{paths.JOBS_DIR}/{name}"))
    _upload(blobs, spec, place)
    livy = Livy(given)
    batch = livy.submit(body(spec, cluster, place))
    console.print(f"job      {name} is Livy's batch {batch} on {given.name}", soft_wrap=True)
    view = View(console)
    try:
        with view:
            state = _follow(livy, batch, blobs, place, view=view, poll=poll)
    except KeyboardInterrupt:
        livy.kill(batch)
        raise JobError(
            f"job {name}", "it was killed, as you asked", "Submit it again when you like."
        ) from None
    folder = results / name
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "job.log"
    log.write_text("\n".join(livy.log(batch)) + "\n")
    if state != "success":
        raise view.failure(name, 1, str(log), log.read_text(), cluster.stack)
    summary = _bring_back(blobs, spec, framework, place, view=view, folder=folder)
    console.print(summary.table())
    console.print(f"results  {folder}/", soft_wrap=True)
    return summary


def gateway(cluster: Cluster) -> HdInsight:
    """The cluster, if it has Livy behind a gateway.

    Raises:
        ConfigError: it has not.
    """
    given = cluster.hdinsight
    if given is None or not given.gateway or given.gateway_password is None:
        raise ConfigError(
            f"stack {cluster.stack!r}",
            "it has no Livy: that is HDInsight's",
            f"Leave --livy out: `fab submit-mnist --stack {cluster.stack}`.",
        )
    return given


def body(spec: JobSpec, cluster: Cluster, place: JobPlace) -> dict[str, Any]:
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


class Livy:
    """Livy behind a cluster's gateway."""

    def __init__(self, given: HdInsight) -> None:
        import requests

        self._given, self._url = given, f"{given.gateway}/livy/batches"
        self._session = requests.Session()
        password = given.gateway_password.get_secret_value() if given.gateway_password else ""
        self._session.auth = (given.gateway_user, password)
        # Livy refuses changes without it: a browser on a foreign page cannot send it.
        self._session.headers["X-Requested-By"] = given.gateway_user

    def submit(self, document: dict[str, Any]) -> int:
        """Begin a batch; its number."""
        return int(self._ask("POST", "", json=document)["id"])

    def state(self, batch: int) -> str:
        """starting, running, success, dead, killed, error …"""
        return str(self._ask("GET", f"/{batch}/state")["state"])

    def log(self, batch: int) -> list[str]:
        """What spark-submit wrote."""
        return list(self._ask("GET", f"/{batch}/log?from=0&size={LINES}").get("log") or [])

    def kill(self, batch: int) -> None:
        """End it."""
        self._ask("DELETE", f"/{batch}")

    def _ask(self, method: str, path: str, **rest: Any) -> dict[str, Any]:  # noqa: ANN401 - requests'
        with self._in_our_words():
            answer = self._session.request(method, self._url + path, timeout=ANSWER_S, **rest)
            _refuse(answer, self._given)
            found: dict[str, Any] = answer.json() if answer.content else {}
            return found

    @contextmanager
    def _in_our_words(self) -> Iterator[None]:
        import requests

        try:
            yield
        except requests.exceptions.RequestException as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ServiceDown(
                self._url,
                f"Livy does not answer ({reason})",
                "Look whether the cluster is up and whether this machine may reach its gateway (adminCidrs).",
            ) from error


def _refuse(answer: requests.Response, given: HdInsight) -> None:
    if answer.ok:
        return
    if answer.status_code in (401, 403):
        raise ServiceDown(
            given.gateway,
            f"the gateway refuses user {given.gateway_user!r} with the stack's password",
            "Where it was changed in the portal, set it back there, to what `pulumi stack output "
            "gateway_password --show-secrets` says.",
        )
    try:
        said = json.dumps(answer.json())
    except ValueError:
        said = answer.text
    raise ServiceDown(given.gateway, f"Livy answers {answer.status_code}: {said[:300]}", "Run `fab status`.")


def _require_data(blobs: Blobs, cluster: Cluster, spec: JobSpec) -> None:
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


def _follow(livy: Livy, batch: int, blobs: Blobs, place: JobPlace, *, view: View, poll: float) -> str:
    """Feed the view from the copy of the events until the batch has ended; its state."""
    seen = 0
    while True:
        state = livy.state(batch)
        # Read after the state: what was written before the end is then there.
        lines = (blobs.read(f"{paths.JOBS_DIR}/{place.id}/{EVENTS}") or b"").decode().splitlines()
        for line in lines[seen:]:
            view.line(line)
        seen = max(seen, len(lines))
        if state in ENDED:
            return state
        time.sleep(poll)


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

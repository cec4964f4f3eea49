"""`fab notebook`: a notebook server on the head, reached by a tunnel from this machine's loopback.

It ends with the command. Notebooks stay in its folder on the head, for the next time.
"""

from __future__ import annotations

import shlex
import time
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from bootstrap import paths
from bootstrap.cluster import Cluster
from bootstrap.errors import CommandFailed, ConfigError, JobError, Unreachable
from bootstrap.ssh.as_user import AS_USER
from bootstrap.ssh.remote import Remote, connect
from bootstrap.ssh.tunnel import LOOPBACK, tunnels
from bootstrap.ssh.unit import Unit
from jobs.backends import head_records, processes
from jobs.job import JobPlace
from jobs.signals import stopping_signals, uninterrupted
from jobs.spec import JobSpec
from jobs.submission.notebook import ACCESS_FILE, INSTALL, PORT, notebook_script, shipped
from jobs.submission.package import trainer_zip
from jobs.submission.spark_submit import trainer_arguments
from jobs.trainer.contract import TRAINER_FILE

NAME = "notebook"
UNIT = f"{head_records.UNIT}{NAME}"
"""As a job's, so that the end of another job leaves its executors alone."""
EXAMPLES = Path(__file__).parents[1] / "api" / "examples"
INSTALL_S = 900.0
START_S = 60.0
"""Seconds for the server to listen."""
_LOOK = 0.5


def place_of(cluster: Cluster) -> JobPlace:
    """Return the place of a cluster's notebooks. Pure."""
    storage = f"{cluster.shared_storage.rstrip('/')}{paths.JOBS_DIR}/{NAME}"
    return JobPlace(NAME, f"{paths.STATE}/{NAME}", storage)


def serve(cluster: Cluster, spec: JobSpec, console: Console) -> None:
    """Serve notebooks until Ctrl-C, with the specification's executors and files.

    Raises:
        ConfigError: the cluster has another scheduler than Spark's own, or the operator's key cannot be read.
        JobError: notebooks are served already, or the server does not start.
        Unreachable: the head does not answer, or the connection broke.
    """
    if not cluster.spark_master.startswith("spark://"):
        why = f"notebooks run on Spark's own master, and stack {cluster.stack!r} has {cluster.spark_master}"
        raise ConfigError("fab notebook", why, "Submit a script instead: `fab submit --spec SPEC`.")
    place = place_of(cluster)
    with stopping_signals(), connect(cluster, cluster.head) as head:
        unit = Unit(head, UNIT, place.folder, user=paths.JOB_USER)
        if unit.state().running:
            why = "notebooks are served already"
            fix = f"End that command; or run `fab ssh --stack {cluster.stack} -- sudo systemctl stop {UNIT}`."
            raise JobError(f"{head.node.name}: unit {UNIT}", why, fix)
        console.print(f"notebook server: installed on {head.node.name} unless it is", soft_wrap=True)
        head.run(INSTALL, timeout=INSTALL_S)
        _upload(head, cluster, spec, place)
        try:
            unit.start(notebook_script(spec, cluster, place, trainer_arguments(spec, place)))
            token = _token(head, unit, place)
            _tunnel(cluster, place, token, console)
        finally:
            _end(cluster, place)


def _upload(head: Remote, cluster: Cluster, spec: JobSpec, place: JobPlace) -> None:
    """Upload the trainer and the specification's files to the folder of notebooks, as the job user's."""
    user, work = paths.JOB_USER, shlex.quote(place.work)
    # Root writes nothing into the job user's folder, where links may lie: that user copies.
    head.run(f"umask 022; mkdir -p {shlex.quote(place.folder)} {work}; chown -h {user}: {work}")
    files: dict[str, bytes | Path] = {TRAINER_FILE: trainer_zip()}
    files |= {**shipped(spec, cluster), **{file.name: file for file in EXAMPLES.glob("*.ipynb")}}
    for name, content in files.items():
        passed = f"{place.folder}/{name}"
        head.put(content, passed)
        source, target = shlex.quote(passed), shlex.quote(f"{place.work}/{name}")
        # An example that was changed stays.
        how = "-n" if name.endswith(".ipynb") else "-f --remove-destination"
        head.run(f"{AS_USER}as_user {user} cp {how} {source} {target}")


def _token(head: Remote, unit: Unit, place: JobPlace) -> str:
    """Return the server's token once it listens.

    Raises:
        JobError: it has ended, or does not listen in time.
    """
    listens = f"curl -sS -o /dev/null --noproxy '*' --max-time 5 http://127.0.0.1:{PORT}/login"
    deadline = time.monotonic() + START_S
    while not head.run(listens, check=False).ok:
        if not unit.state().running or time.monotonic() > deadline:
            why = "the server does not listen"
            raise JobError(f"unit {UNIT}", why, f"Its log is {unit.log} on {head.node.name}.")
        time.sleep(_LOOK)
    read = f"{AS_USER}as_user {paths.JOB_USER} cat {shlex.quote(f'{place.work}/{ACCESS_FILE}')}"
    return head.run(read).stdout.strip()


def _tunnel(cluster: Cluster, place: JobPlace, token: str, console: Console) -> None:
    try:
        with tunnels(cluster, cluster.head, [(LOOPBACK, PORT)]) as opened:
            port = opened.opened[0].local_port
            console.print(f"notebooks  http://{LOOPBACK}:{port}/?token={token}", soft_wrap=True)
            console.print(f"They stay in {place.work} on {cluster.head.name}. Ctrl-C ends the server.")
            opened.wait()
    except KeyboardInterrupt:
        console.print("The notebook server ends.")


def _end(cluster: Cluster, place: JobPlace) -> None:
    """End the server, its kernels and their executors."""
    with uninterrupted(), suppress(Unreachable, CommandFailed), connect(cluster, cluster.head) as head:
        Unit(head, UNIT, place.folder, user=paths.JOB_USER).stop()
        processes.reap(cluster, place.id, None)

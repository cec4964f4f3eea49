"""`fab notebook`: a notebook server on the head, reached by a tunnel from this machine's loopback.

It ends with the command. Notebooks stay in its folder on the head, for the next time.
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable
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
from bootstrap.storage.hadoop import SharedStorage
from jobs.backends import head_files, head_records, processes
from jobs.job import JobPlace
from jobs.signals import stopping_signals, uninterrupted
from jobs.spec import JobSpec
from jobs.submission.notebook import ACCESS_FILE, INSTALL, PORT, notebook_script, shipped
from jobs.submission.package import trainer_zip
from jobs.submission.spark_submit import paired_options
from jobs.trainer.contract import TRAINER_FILE

_TOKEN = re.compile(r"[0-9a-f]+")
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


def require_servable(cluster: Cluster, spec: JobSpec) -> None:
    """Require a cluster that serves notebooks and does not do so now, before anything is installed on it.

    Raises:
        ConfigError: it has another scheduler than Spark's own, or an option of the specification has a blank.
        JobError: notebooks are served already.
        Unreachable: the head does not answer.
    """
    if not cluster.spark_master.startswith("spark://"):
        why = f"notebooks run on Spark's own master, and stack {cluster.stack!r} has {cluster.spark_master}"
        raise ConfigError("fab notebook", why, "Submit a script instead: `fab submit --spec SPEC`.")
    if why := spec.blank():
        raise ConfigError("fab notebook", why, "Fix the specification.")
    with connect(cluster, cluster.head) as head:
        _require_free(cluster, _unit(head, place_of(cluster)))


def _unit(head: Remote, place: JobPlace) -> Unit:
    return Unit(head, UNIT, place.folder, user=paths.JOB_USER, scratch=place.temporary)


def _require_free(cluster: Cluster, unit: Unit) -> None:
    if unit.state().running:
        why = "notebooks are served already"
        fix = f"End that command; or run `fab ssh --stack {cluster.stack} -- sudo systemctl stop {UNIT}`."
        raise JobError(f"{cluster.head.name}: unit {UNIT}", why, fix)


def serve(cluster: Cluster, spec: JobSpec, console: Console, serves: Callable[[], object] = bool) -> None:
    """Serve notebooks until Ctrl-C, with the specification's executors and files; call `serves` once it does.

    Raises:
        ConfigError: the operator's key cannot be read.
        JobError: notebooks are served already, or the server does not start.
        CommandFailed, ServiceDown: shared storage refuses the request, or does not answer.
        Unreachable: the head does not answer, or the connection broke.
    """
    place = place_of(cluster)
    with stopping_signals(), connect(cluster, cluster.head) as head:
        unit = _unit(head, place)
        _require_free(cluster, unit)
        console.print(f"notebook server: installed on {head.node.name} unless it is", soft_wrap=True)
        head.run(INSTALL, timeout=INSTALL_S)
        _upload(head, cluster, spec, place)
        # Sessions have the id in common: what asked an earlier one to end would end this one's training, too.
        head_files.drop_unused(SharedStorage(head, cluster.shared_storage), f"{paths.JOBS_DIR}/{NAME}")
        try:
            # Of a server that was killed: its token opens no other.
            head.run(f"{AS_USER}as_user {paths.JOB_USER} rm -f {shlex.quote(f'{place.work}/{ACCESS_FILE}')}")
            unit.start(notebook_script(spec, cluster, place, paired_options(spec, place)))
            token = _token(head, unit, place)
            serves()
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
    """Return the server's token once it answers to it; whoever else listens on the port does not know it.

    Raises:
        JobError: it has ended, or does not answer in time.
    """
    deadline = time.monotonic() + START_S
    token = ""
    while not (token and head.run(_asked(token), check=False).ok and unit.state().running):
        if not unit.state().running or time.monotonic() > deadline:
            why = f"the server does not listen on port {PORT}, or another program does"
            raise JobError(f"unit {UNIT}", why, f"Its log is {unit.log} on {head.node.name}.")
        time.sleep(_LOOK)
        read = f"{AS_USER}as_user {paths.JOB_USER} cat {shlex.quote(f'{place.work}/{ACCESS_FILE}')}"
        said = head.run(read, check=False).stdout.strip()
        # The job user's file: anything else could be options of curl, which root runs.
        token = said if _TOKEN.fullmatch(said) else ""
    return token


def _asked(token: str) -> str:
    """Return shell that fails unless a server takes the token, and nothing without it. Pure."""
    # No command line has the token: printf is the shell's own.
    header = shlex.quote(f'header = "Authorization: token {token}"')
    url = f"http://127.0.0.1:{PORT}/api/status"
    curl = f"curl -sSf -o /dev/null --noproxy '*' --max-time 5 {url}"
    return f"! {curl} && printf '%s\\n' {header} | {curl} -K -"


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
        _unit(head, place).stop()
        processes.reap(cluster, place.id, None, scratch=place.temporary)

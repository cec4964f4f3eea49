"""`fab convert`: a converter tool as a unit on the head, followed to its end.

The tools are `jobs/converters/`. spark-submit runs them in client mode, also on YARN, since their driver
writes what is one file.
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Mapping, Sequence

from rich.console import Console

from bootstrap import paths
from bootstrap.aside import token
from bootstrap.cluster import Cluster
from bootstrap.console import print_line
from bootstrap.errors import ConfigError, JobError
from bootstrap.ssh.reconnect import Link
from bootstrap.ssh.remote import Remote
from bootstrap.ssh.unit import LOST, Unit
from bootstrap.storage.hadoop import SharedStorage
from jobs.backends import lost
from jobs.backends.nodes import require_framework
from jobs.converters import cli
from jobs.converters.flags import TOOLS
from jobs.converters.main import FAILED
from jobs.converters.progress import PREFIX
from jobs.job import JobPlace
from jobs.signals import stopping_signals, uninterrupted
from jobs.submission.package import trainer_zip
from jobs.submission.spark_submit import script
from jobs.trainer.cli import FLAGS
from jobs.trainer.contract import PROGRAM_FILE, TRAINER_FILE
from jobs.trainer.errors import Refused

FOLDERS = f"{paths.STATE}/convert"
UNIT = paths.CONVERT_UNIT
PROGRAM_TEXT = "from jobs.converters.main import start\n\nstart()\n"
_ENVIRONMENT = {"PYSPARK_PYTHON": paths.PYTHON, "OPENBLAS_NUM_THREADS": "1"}
_FLAG = re.compile(r"(?<![\w-])-(" + "|".join(FLAGS) + r")\b")
_RUN_NAME = re.compile(rf"({'|'.join(map(str.lower, TOOLS))})-\d{{8}}-\d{{6}}-[0-9a-f]{{4}}")
STALE_MIN = 24 * 60
"""Minutes after which the folder of a tool that has ended goes, with its log."""
MEMORY_MB = 1024
"""Of each executor: half for its JVM, half for Python."""


def arguments(tool: str, flags: Mapping[str, str | int | None]) -> list[str]:
    """Return the program's arguments for flags by CaffeOnSpark's names; None: not given.

    Raises:
        ConfigError: there is no such tool, or the flags are not valid for it.
    """
    given = {name: str(value) for name, value in flags.items() if value is not None}
    argv = [tool, *(word for name, value in given.items() for word in (f"-{name}", value))]
    try:
        cli.parse(argv)
    except Refused as error:
        words = (error.given, error.why, error.fix)
        subject, why, fix = (_FLAG.sub(lambda flag: f"--{_typed(flag[1])}", part) for part in words)
        raise ConfigError(f"fab convert {subject}", why, fix) from error
    return argv


def _typed(flag: str) -> str:
    """Return a flag of CaffeOnSpark's as Fabric has it: `imageCaptionDFDir` → `image-caption-df-dir`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", flag).replace("_", "-").lower()


def run_name(tool: str) -> str:
    """Return a new name for a run of a tool, which Spark's application has too."""
    return f"{tool.lower()}-{time.strftime('%Y%m%d-%H%M%S')}-{token()[:4]}"


def is_run_name(text: str) -> bool:
    """Return whether an application has the name of a tool's run."""
    return _RUN_NAME.fullmatch(text) is not None


def convert(cluster: Cluster, argv: Sequence[str], console: Console, *, executors: int | None = None) -> None:
    """Run a tool on the cluster, and print its progress.

    Raises:
        JobError: a node has no framework, or the tool was refused, failed or was killed.
        ServiceDown: shared storage does not answer.
        Unreachable: the head does not answer.
    """
    link = Link(cluster)
    try:
        head = link.remote
        SharedStorage(head, cluster.shared_storage).require_writable()
        # The tools read and write records with the packages that the framework brings.
        require_framework(cluster)
        name = run_name(argv[0])
        place = JobPlace(name, f"{FOLDERS}/{name}", "")
        _upload(head, place)
        unit = Unit(head, UNIT + name, place.folder, user=paths.JOB_USER, scratch=place.temporary)
        with stopping_signals():
            _run(unit, link, console, script(place, _ENVIRONMENT, command(cluster, argv, name, executors)))
    finally:
        link.close()


def _run(unit: Unit, link: Link, console: Console, text: str) -> None:
    last = ""

    def line(text: str) -> None:
        nonlocal last
        if text.startswith(PREFIX):
            print_line(console, text)
        last = text if text.startswith(FAILED) else last

    try:
        unit.start(text)
        print_line(console, f"{PREFIX}{unit.name} on {unit.remote.node.name}; full log: {unit.log}")
        code = unit.follow(line, reconnect=link.reconnect)
    except KeyboardInterrupt:
        with uninterrupted():
            unit.stop()
        fix = "Remove what it has written of its output, then rerun the command."
        raise JobError(unit.name, "it was killed, as you asked", fix) from None
    if code == LOST:
        raise JobError(unit.name, lost.why(unit, "its driver"), f"See {unit.log} there.")
    if code != 0:
        why = last.removeprefix(FAILED) or f"its program ended with status {code}"
        raise JobError(unit.name, why, f"The full log is {unit.log} on {unit.remote.node.name}.")


def command(cluster: Cluster, argv: Sequence[str], name: str, executors: int | None) -> list[str]:
    """Return spark-submit's command line, to run in the tool's working folder on the head. Pure."""
    number = executors or max(1, cluster.worker_count)
    conf = {
        "spark.executor.cores": "1",
        "spark.cores.max": str(number),
        "spark.executor.instances": str(number),
        "spark.executor.memory": f"{MEMORY_MB // 2}m",
        "spark.executor.memoryOverhead": f"{MEMORY_MB // 2}m",
        "spark.dynamicAllocation.enabled": "false",
        "spark.executorEnv.PYSPARK_PYTHON": paths.PYTHON,
    }
    return [
        f"{paths.SPARK_HOME}/bin/spark-submit",
        *["--master", cluster.spark_master],
        *["--deploy-mode", "client"],
        *["--name", name],
        *[word for key, value in conf.items() for word in ("--conf", f"{key}={value}")],
        *["--py-files", TRAINER_FILE],
        PROGRAM_FILE,
        *argv,
    ]


def _upload(head: Remote, place: JobPlace) -> None:
    head.put(trainer_zip(), f"{place.work}/{TRAINER_FILE}")
    head.put(PROGRAM_TEXT.encode(), f"{place.work}/{PROGRAM_FILE}")
    work = shlex.quote(place.work)
    head.run(
        f"find {shlex.quote(FOLDERS)} -mindepth 1 -maxdepth 1 -mmin +{STALE_MIN} | while read -r old; do\n"
        f'systemctl is-active --quiet {UNIT}"${{old##*/}}" || rm -rf "$old"\ndone\n'
    )
    # Last: from here on root writes nothing there.
    head.run(f"chown {paths.JOB_USER}: {work}; chmod 0755 {work}")

"""Units under a real systemd, over real SSH connections that break."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from bootstrap import paths
from bootstrap.cluster import Cluster
from bootstrap.errors import CommandFailed
from bootstrap.ssh import restarts
from bootstrap.ssh.remote import Remote, connect
from bootstrap.ssh.unit import LOST, Unit, UnitState

pytestmark = pytest.mark.cluster

_BREAK = r"""
cat >/run/break.sh <<'EOF'
sessions=$(grep -lsE '^sshd(-session)?: USER' /proc/[0-9]*/cmdline | cut -d/ -f3)
for session in $sessions; do kill -9 "$session"; done
EOF
systemd-run --quiet --collect --on-active=0.3 sh /run/break.sh
"""


@pytest.fixture
def connections() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def _connect(stack: ExitStack, cluster: Cluster) -> Remote:
    return stack.enter_context(connect(cluster, cluster.head))


def test_a_unit_outlives_the_connection_and_no_line_is_lost(
    real_cluster: Cluster, connections: ExitStack
) -> None:
    head = _connect(connections, real_cluster)
    unit = Unit(head, "test-outlives", "/run/test-outlives")
    unit.start("for i in $(seq 40); do echo line $i; sleep 0.05; done; exit 5")
    head.run(_BREAK.replace("USER", real_cluster.ssh.user))
    lines: list[str] = []
    reconnected: list[Remote] = []

    def reconnect() -> Remote:
        reconnected.append(_connect(connections, real_cluster))
        return reconnected[-1]

    assert unit.follow(lines.append, reconnect=reconnect) == 5
    assert lines == [f"line {i}" for i in range(1, 41)]
    assert reconnected


def test_stopping_kills_the_whole_tree_and_the_follower_learns_of_it(
    real_cluster: Cluster, connections: ExitStack
) -> None:
    head = _connect(connections, real_cluster)
    unit = Unit(head, "test-stops", "/run/test-stops")
    # a process that ignores TERM, in a session of its own
    unit.start("setsid sh -c 'trap \"\" TERM; echo up; while :; do sleep 987; done' & wait")
    assert unit.state().running
    unit.stop()
    assert unit.follow(lambda _: None) == LOST
    assert unit.state() == UnitState(running=False, exit_code=None)
    assert head.run("grep -lsaE '^sleep.987' /proc/[0-9]*/cmdline", check=False).stdout == ""


def test_a_unit_runs_as_the_user_given_and_in_its_folder(
    real_cluster: Cluster, connections: ExitStack
) -> None:
    head = _connect(connections, real_cluster)
    unit = Unit(head, "test-user", "/var/lib/test-user", user=real_cluster.ssh.user)
    unit.start("id -un; pwd")
    lines: list[str] = []
    assert unit.follow(lines.append) == 0
    assert lines == [real_cluster.ssh.user, "/var/lib/test-user"]


@pytest.mark.parametrize(
    "loss", ["pkill -9 -f 'sleep 98[7]'", "systemctl kill --signal KILL test-again"], ids=["script", "unit"]
)
def test_a_unit_that_is_lost_begins_again_until_it_is_stopped(
    real_cluster: Cluster, connections: ExitStack, loss: str
) -> None:
    head = _connect(connections, real_cluster)
    unit = Unit(head, "test-again", "/var/lib/test-again", again="TIMES")
    unit.start("echo run $TIMES; exec sleep 987")
    seen = list[str]()

    def on_line(line: str) -> None:
        seen.append(line)
        if line == "run 0":
            head.run(loss)
        if line == "run 1":
            assert unit.state().running
            unit.mark(143)
            unit.stop()

    assert unit.follow(on_line) == 143
    assert [line for line in seen if line.startswith("run ")] == ["run 0", "run 1"]
    assert head.run(f"ls {restarts.UNITS} | grep test-again", check=False).stdout == ""


def test_a_unit_that_somebody_stops_is_over_also_at_the_next_boot(
    real_cluster: Cluster, connections: ExitStack
) -> None:
    head = _connect(connections, real_cluster)
    unit = Unit(head, "test-stopped", "/var/lib/test-stopped", again="TIMES")
    unit.start("echo up; exec sleep 987")

    def on_line(line: str) -> None:
        if line == "up":
            head.run("systemctl stop test-stopped")

    assert unit.follow(on_line) == 143
    assert not unit.state().running
    assert head.run(f"ls {restarts.UNITS} | grep test-stopped", check=False).stdout == ""


FOLDER = "/var/lib/test-links"
_SECRET = f"{FOLDER}/secret"


@pytest.fixture
def head(real_cluster: Cluster, connections: ExitStack) -> Iterator[Remote]:
    """The head, with a user of jobs and a file that only root reads and writes."""
    remote = _connect(connections, real_cluster)
    remote.run(
        f"id -u {paths.JOB_USER} >/dev/null 2>&1 || useradd --system {paths.JOB_USER}\n"
        f"mkdir -p {FOLDER}; umask 077; echo secret >{_SECRET}"
    )
    yield remote
    remote.run(f"rm -rf {FOLDER}")


def _as_job_user(head: Remote, script: str) -> None:
    head.run(f"runuser -u {paths.JOB_USER} -- sh -c {shlex.quote(script)}")


def _secret(head: Remote) -> str:
    return head.run(f"stat -c '%a %U' {_SECRET}; cat {_SECRET}").stdout


def test_a_script_cannot_forge_its_status_or_replace_what_root_reads(head: Remote) -> None:
    unit = Unit(head, "test-forges", f"{FOLDER}/job", user=paths.JOB_USER)
    unit.start(
        f"for name in status log run.sh status.new lock; do ln -sfn {_SECRET} {unit.folder}/$name; done\n"
        f"echo 0 >{unit.folder}/status; mv {unit.folder} {unit.folder}.away; id -un; id -Gn; exit 3"
    )
    lines: list[str] = []
    assert unit.follow(lines.append) == 3
    assert [line for line in lines if "denied" not in line] == [paths.JOB_USER] * 2
    assert _secret(head) == "600 root\nsecret\n"
    owners = head.run(f"stat -c '%U %A' {unit.folder} {unit.folder}/status {unit.folder}/run.sh").stdout
    assert owners.splitlines() == ["root drwxr-xr-x", "root -rw-r--r--", "root -rw-r--r--"]


@pytest.mark.parametrize("folder", ["owned", "linked"])
def test_in_a_folder_of_another_user_root_starts_nothing_and_follows_no_link(
    head: Remote, folder: str
) -> None:
    unit = Unit(head, "test-planted", f"{FOLDER}/parent/{folder}", user=paths.JOB_USER)
    head.run(f"install -d -o {paths.JOB_USER} {FOLDER}/parent")
    _as_job_user(
        head,
        f"cd {FOLDER}/parent; mkdir owned; ln -s {FOLDER} linked\n"
        f"for name in status log run.sh status.new lock; do ln -s {_SECRET} owned/$name; done",
    )
    before = head.run(f"ls -lR {FOLDER}").stdout
    with pytest.raises(CommandFailed, match="is not a folder of root"):
        unit.start("echo started")
    assert head.run(f"ls -lR {FOLDER}").stdout == before
    assert _secret(head) == "600 root\nsecret\n"


def test_a_folder_of_the_job_user_as_earlier_versions_made_it_is_marked_and_read_with_its_rights(
    head: Remote, tmp_path: Path
) -> None:
    unit = Unit(head, "test-old", f"{FOLDER}/old", user=paths.JOB_USER)
    head.run(f"install -d -o {paths.JOB_USER} {unit.folder}")
    unit.mark(7)
    assert unit.state() == UnitState(running=False, exit_code=7)
    assert head.run(f"stat -c %U {unit.folder}/status").stdout == f"{paths.JOB_USER}\n"

    _as_job_user(head, f"cd {unit.folder}; ln -s {_SECRET} log; ln -sf {_SECRET} status; mkfifo events")
    with suppress(CommandFailed):
        unit.mark(8)
    lines: list[str] = []
    assert unit.follow(lines.append, extra_file=f"{unit.folder}/events") == LOST
    assert lines == []
    with pytest.raises(CommandFailed):
        head.get(unit.log, tmp_path / "log", user=paths.JOB_USER)
    assert not (tmp_path / "log").exists()
    assert _secret(head) == "600 root\nsecret\n"

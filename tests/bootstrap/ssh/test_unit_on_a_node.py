"""Units under a real systemd, over real SSH connections that break."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from bootstrap.cluster import Cluster
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

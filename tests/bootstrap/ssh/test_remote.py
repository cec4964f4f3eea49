"""SSH as it behaves on real nodes: what is verified, what streams, what breaks and how that is said."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from pydantic import SecretStr

from bootstrap.cluster import Cluster, Node
from bootstrap.errors import CommandFailed, Unreachable
from bootstrap.ssh.remote import TIMED_OUT, connect
from tests.bootstrap.nodes import container_of, engine
from tests.conftest import HOST_KEY
from tests.outputs import outputs_of

pytestmark = pytest.mark.cluster


def test_scripts_run_as_root_and_stay_out_of_argument_lists(real_cluster: Cluster) -> None:
    with connect(real_cluster, real_cluster.head) as head:
        result = head.run(
            "id -u; echo hush-hush >/dev/null; cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '"
        )
    assert result.stdout.splitlines()[0] == "0"
    assert "hush-hush" not in result.stdout


def test_lines_come_while_the_script_runs(real_cluster: Cluster) -> None:
    came: list[tuple[str, float]] = []
    begun = time.monotonic()
    with connect(real_cluster, real_cluster.head) as head:
        head.run(
            "echo first; sleep 1; echo second >&2", on_line=lambda line: came.append((line, time.monotonic()))
        )
    assert [line for line, _ in came] == ["first", "second"]
    assert came[1][1] - came[0][1] > 0.8
    assert begun < came[0][1]


def test_much_output_on_both_streams_is_whole(real_cluster: Cluster) -> None:
    script = "i=0; while [ $i -lt 20000 ]; do echo out $i; echo err $i >&2; i=$((i + 1)); done"
    with connect(real_cluster, real_cluster.head) as head:
        result = head.run(script)
    assert result.stdout.splitlines()[-1] == "out 19999"
    assert len(result.stderr.splitlines()) == 20000


def test_a_failing_script_carries_status_and_last_lines(real_cluster: Cluster) -> None:
    with connect(real_cluster, real_cluster.head) as head:
        with pytest.raises(CommandFailed, match=r"head: `exit_with=3.*status 3: because") as caught:
            head.run("exit_with=3\necho because >&2\nexit $exit_with")
        assert (caught.value.exit_code, caught.value.output) == (3, "because")
        assert not head.run("false", check=False).ok


def test_a_script_that_hangs_is_left_at_its_time_out(real_cluster: Cluster) -> None:
    begun = time.monotonic()
    with connect(real_cluster, real_cluster.head) as head:
        assert head.run("echo begun; sleep 600", check=False, timeout=1).exit_code == TIMED_OUT
        assert head.run("echo still here").stdout == "still here\n"
    assert time.monotonic() - begun < 10


def test_threads_share_a_connection(real_cluster: Cluster) -> None:
    results: dict[int, str] = {}
    with connect(real_cluster, real_cluster.head) as head:
        threads = [
            threading.Thread(target=lambda n=n: results.update({n: head.run(f"sleep 0.3; echo {n}").stdout}))
            for n in range(5)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert results == {n: f"{n}\n" for n in range(5)}


def test_files_arrive_whole_with_their_mode_and_come_back(real_cluster: Cluster, tmp_path: Path) -> None:
    data = bytes(range(256)) * 4096
    local = tmp_path / "local"
    local.write_bytes(data)
    with connect(real_cluster, real_cluster.head) as head:
        head.put(data, "/srv/new folder/a file", mode=0o600)
        head.put(local, "/srv/new folder/b")
        listing = head.run(
            "stat -c '%a %U %s' '/srv/new folder/a file' '/srv/new folder/b'; ls '/srv/new folder'"
        )
        assert listing.stdout.splitlines() == [
            f"600 root {len(data)}",
            f"644 root {len(data)}",
            "a file",
            "b",
        ]
        head.get("/srv/new folder/a file", tmp_path / "deep" / "back")
        assert (tmp_path / "deep" / "back").read_bytes() == data
        assert head.run("ls -A /tmp | grep -E 'put-|get-' || true").stdout == ""
        with pytest.raises(CommandFailed):
            head.get("/srv/nowhere", tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_another_host_key_than_the_recorded_one_is_refused(real_cluster: Cluster) -> None:
    impostor = real_cluster.head.model_copy(update={"host_key": HOST_KEY})
    with (
        pytest.raises(Unreachable, match="another host key than the stack recorded"),
        connect(real_cluster, impostor),
    ):
        pass


def test_another_key_of_the_operator_is_refused(real_cluster: Cluster) -> None:
    from infra.keys import SshKeyProvider

    other = outputs_of(SshKeyProvider(), purpose="other")["private_key"]
    ssh = real_cluster.ssh.model_copy(update={"private_key": SecretStr(other)})
    stranger = real_cluster.model_copy(update={"ssh": ssh})
    with (
        pytest.raises(Unreachable, match="refuses the stack's key for ops"),
        connect(stranger, stranger.head),
    ):
        pass


def test_an_address_where_nobody_listens_is_named_at_once(real_cluster: Cluster) -> None:
    head = real_cluster.head
    closed = real_cluster.model_copy(update={"ssh": real_cluster.ssh.model_copy(update={"port": 2222})})
    begun = time.monotonic()
    with (
        pytest.raises(Unreachable, match=f"head .{head.address}.: SSH does not answer"),
        connect(closed, head),
    ):
        pass
    assert time.monotonic() - begun < 10


def test_a_node_that_is_gone_is_named_within_seconds(real_cluster: Cluster) -> None:
    nobody = Node(name="w9", address=real_cluster.head.address.rpartition(".")[0] + ".99", host_key=HOST_KEY)
    begun = time.monotonic()
    with pytest.raises(Unreachable, match=r"w9 .*: SSH does not answer"), connect(real_cluster, nobody):
        pass
    assert time.monotonic() - begun < 15


def test_a_node_that_dies_under_a_script_is_named(real_cluster: Cluster) -> None:
    worker = real_cluster.workers[-1]
    with connect(real_cluster, worker) as remote:
        threading.Timer(
            1, lambda: engine().run("restart", "-t", "0", container_of(real_cluster, worker.name))
        ).start()
        with pytest.raises(Unreachable, match=f"{worker.name} .*the SSH connection broke"):
            remote.run("sleep 30", timeout=60)
    # and it is a host again afterwards
    deadline = time.monotonic() + 60
    while True:
        try:
            with connect(real_cluster, worker) as remote:
                assert remote.run("echo back").stdout == "back\n"
            return
        except Unreachable:
            assert time.monotonic() < deadline
            time.sleep(0.2)

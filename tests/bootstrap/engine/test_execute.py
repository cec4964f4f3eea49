from __future__ import annotations

import io
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bootstrap.cluster import Cluster
from bootstrap.engine import execute, script
from bootstrap.engine.node_run import Early
from bootstrap.engine.recap import Recap
from bootstrap.errors import ConfigError, StepFailed, Unreachable
from bootstrap.ssh.remote import Remote
from tests.bootstrap.conftest import MakeRole
from tests.bootstrap.sandbox import Sandboxes

Apply = Any


@pytest.fixture
def apply(cluster: Cluster, sandboxes: Sandboxes, roles: Path, tmp_path: Path, console: Console) -> Apply:
    """`execute.apply` of roles on the sandboxes."""

    def run(*names: str, **options: Any) -> Recap:
        defaults: dict[str, Any] = {"console": console, "connect": sandboxes.connect, "folder": roles}
        return execute.apply(cluster, names, **{"logs": tmp_path / "logs", **defaults, **options})

    return run


def counts(recap: Recap) -> dict[str, tuple[int, int, int, int]]:
    return {n.node: (n.ok, n.changed, n.failed, n.skipped) for n in recap.nodes}


def command(name: str, run: str, **rest: Any) -> dict[str, Any]:
    """A step that is done when the file with its name's first word exists."""
    done = f"$STATE/{name.split(maxsplit=1)[0]}"
    return {
        "name": name,
        "command": {
            "run": f"export STATE={STATE}\n{run}\n: >{done}",
            "unless": f"[ -e {done.replace('$STATE', STATE)} ]",
        },
        **rest,
    }


STATE = "/var/lib/caffe-spark"
"""In a sandbox, a folder of its own."""


@pytest.fixture(autouse=True)
def _state(sandboxes: Sandboxes) -> None:
    for box in sandboxes.nodes.values():
        (box.box / STATE.lstrip("/")).mkdir()


def said(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_first_run_changes_everything_and_a_second_one_nothing(
    make_role: MakeRole, apply: Apply, sandboxes: Sandboxes
) -> None:
    make_role("r", [command("one", "true"), command("two", "true", on="workers")])
    assert counts(apply("r")) == {"head": (0, 1, 0, 0), "w1": (0, 2, 0, 0), "w2": (0, 2, 0, 0)}
    before = {name: box.trips for name, box in sandboxes.nodes.items()}
    assert counts(apply("r")) == {"head": (1, 0, 0, 0), "w1": (2, 0, 0, 0), "w2": (2, 0, 0, 0)}
    assert {name: box.trips - before[name] for name, box in sandboxes.nodes.items()} == {
        "head": 1,
        "w1": 1,
        "w2": 1,
    }


def test_a_run_goes_on_where_the_last_one_stopped(
    make_role: MakeRole, apply: Apply, sandboxes: Sandboxes
) -> None:
    make_role("r", [command("one", "true"), command("two", "[ -e $STATE/mended ]"), command("three", "true")])
    for name in ("head", "w2"):
        (sandboxes[name].box / "var/lib/caffe-spark/mended").touch()
    with pytest.raises(StepFailed, match="w1, role 'r', step 'two': status 1"):
        apply("r")
    (sandboxes["w1"].box / "var/lib/caffe-spark/mended").touch()
    assert counts(apply("r")) == {"head": (3, 0, 0, 0), "w1": (1, 2, 0, 0), "w2": (3, 0, 0, 0)}


def test_a_failing_step_shows_what_where_and_what_next_and_the_others_finish(
    make_role: MakeRole, apply: Apply, sandboxes: Sandboxes, console: Console, tmp_path: Path
) -> None:
    lines = "for i in 1 2 3; do echo line $i; done"
    make_role(
        "r",
        [
            command("one", "true"),
            command("two", f"{lines}; echo secret is not-to-be-seen; exit 7"),
            command("three", "true"),
        ],
    )
    for name in ("head", "w2"):
        (sandboxes[name].box / "var/lib/caffe-spark/two").touch()
    with pytest.raises(StepFailed) as caught:
        apply("r")
    log = tmp_path / "logs" / "w1.log"
    assert caught.value.given == "w1, role 'r', step 'two'"
    assert caught.value.why == "status 7 (secret is ***)"
    assert str(log) in caught.value.fix
    assert "rerun the command" in caught.value.fix
    text = said(console)
    assert f"Logs: {tmp_path / 'logs'}" in text.splitlines()[0]
    assert "w1: role 'r', step 'two': status 7" in text
    assert "  │ line 3" in text
    assert "not-to-be-seen" not in text + log.read_text()
    assert "line 1" in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600
    rows = {
        line.split()[0]: line.split()[1:5]
        for line in text.splitlines()
        if line.startswith(("head", "w1 ", "w2"))
    }
    assert rows["w1"] == ["0", "1", "1", "1"]
    assert (sandboxes["w2"].box / "var/lib/caffe-spark/three").exists()


def test_one_error_covers_all_nodes_that_failed(make_role: MakeRole, apply: Apply) -> None:
    make_role("r", [command("one", "false", on="workers")])
    with pytest.raises(
        StepFailed, match="w1, role 'r', step 'one', w2, role 'r', step 'one': 2 nodes failed"
    ):
        apply("r")


def test_a_step_without_effect_is_a_failure(make_role: MakeRole, apply: Apply) -> None:
    make_role("r", [{"name": "a", "on": "head", "command": {"run": "true", "creates": "/nowhere/x"}}])
    with pytest.raises(StepFailed, match="it ran, and the node is still not in the desired state"):
        apply("r")


def test_a_step_that_hangs_ends_at_its_time_out_with_its_children(
    make_role: MakeRole, apply: Apply, sandboxes: Sandboxes
) -> None:
    make_role("r", [command("one", "sh -c 'echo $$ >$STATE/pid; sleep 60'", on="head", timeout=0.5)])
    begun = time.monotonic()
    with pytest.raises(StepFailed, match=r"it ran past its time-out of 0\.5 s"):
        apply("r")
    assert time.monotonic() - begun < 10
    assert not is_alive(sandboxes["head"].box / "var/lib/caffe-spark/pid")


def is_alive(pid_file: Path) -> bool:
    """True if the process with the id in that file still runs; a zombie does not count."""
    status = Path("/proc", pid_file.read_text().strip(), "status")
    return status.exists() and "State:\tZ" not in status.read_text()


def test_a_dead_node_is_reported_and_the_others_finish(
    make_role: MakeRole, apply: Apply, sandboxes: Sandboxes, console: Console
) -> None:
    make_role("r", [command("one", "true")])
    sandboxes.dead.add("w2")
    with pytest.raises(StepFailed, match=r"w2 \(10.9.8.12\): SSH does not answer. Run `pulumi up`."):
        apply("r")
    assert (sandboxes["w1"].box / "var/lib/caffe-spark/one").exists()
    assert "w2: SSH does not answer" in said(console)


def test_a_worker_waits_for_the_heads_step(make_role: MakeRole, apply: Apply, sandboxes: Sandboxes) -> None:
    depot = sandboxes["head"].box / "packed"
    make_role(
        "r",
        [
            command("pack", f"sleep 0.5; echo x >{depot}", on="head"),
            command("fetch it", f"cat {depot}", on="workers", after={"step": "pack"}),
        ],
    )
    assert counts(apply("r")) == {"head": (0, 1, 0, 0), "w1": (0, 1, 0, 0), "w2": (0, 1, 0, 0)}


def test_what_a_worker_took_is_looked_at_again_when_the_head_changes_it(
    make_role: MakeRole, apply: Apply, sandboxes: Sandboxes
) -> None:
    depot = sandboxes["head"].box / "packed"
    fetch = {"run": f"cp {depot} {STATE}/fetched", "unless": f"cmp {depot} {STATE}/fetched"}
    make_role(
        "r",
        [
            {
                "name": "pack",
                "on": "head",
                "command": {"run": f"sleep 0.3; echo new >{depot}", "unless": f"grep new {depot}"},
            },
            {"name": "fetch", "on": "workers", "after": {"step": "pack"}, "command": fetch},
        ],
    )
    depot.write_text("old\n")
    for name in ("w1", "w2"):
        (sandboxes[name].box / "var/lib/caffe-spark/fetched").write_text("old\n")
    assert counts(apply("r")) == {"head": (0, 1, 0, 0), "w1": (0, 1, 0, 0), "w2": (0, 1, 0, 0)}


def test_a_worker_whose_head_failed_says_so(make_role: MakeRole, apply: Apply, console: Console) -> None:
    make_role(
        "r",
        [command("pack", "false", on="head"), command("fetch", "true", on="workers", after={"step": "pack"})],
    )
    with pytest.raises(StepFailed, match="3 nodes failed"):
        apply("r")
    assert "w1: role 'r', step 'fetch': the head did not get through its step 'r: pack'" in said(console)


def test_a_worker_whose_head_is_dead_says_so(
    make_role: MakeRole, apply: Apply, sandboxes: Sandboxes, console: Console
) -> None:
    make_role(
        "r",
        [command("pack", "true", on="head"), command("fetch", "true", on="workers", after={"step": "pack"})],
    )
    sandboxes.dead.add("head")
    with pytest.raises(StepFailed):
        apply("r")
    assert "the head did not get through its step 'r: pack'" in said(console)


def test_a_dry_run_prints_the_plan_and_changes_nothing(
    make_role: MakeRole, apply: Apply, sandboxes: Sandboxes, console: Console, tmp_path: Path
) -> None:
    make_role(
        "r",
        [
            command("one", "true"),
            {"name": "write", "file": {"path": "/etc/x", "content": "{{ spark_secret }}"}},
        ],
    )
    (sandboxes["w1"].box / "var/lib/caffe-spark/one").touch()
    recap = apply("r", dry_run=True)
    assert counts(recap) == {"head": (0, 2, 0, 0), "w1": (1, 1, 0, 0), "w2": (0, 2, 0, 0)}
    text = said(console)
    assert "w1    would run r: write  write /etc/x" in text
    assert "w1    would run r: one" not in text
    assert "not-to-be-seen" not in text
    assert not (tmp_path / "logs").exists()
    assert not (sandboxes["head"].box / "var/lib/caffe-spark/one").exists()


def test_roles_see_the_distribution_that_the_node_has(
    make_role: MakeRole, apply: Apply, sandboxes: Sandboxes
) -> None:
    (sandboxes["w1"].box / "etc/os-release").write_text("ID=ubuntu\nVERSION_ID=22.04\n")
    make_role("r", [command("one", "echo {{ distribution }} >$STATE/seen")])
    apply("r")
    seen = {name: (box.box / "var/lib/caffe-spark/seen").read_text() for name, box in sandboxes.nodes.items()}
    assert seen == {"head": "debian-12\n", "w1": "ubuntu-22.04\n", "w2": "debian-12\n"}


def test_bad_input_is_refused_before_any_node_is_reached(
    make_role: MakeRole, apply: Apply, sandboxes: Sandboxes
) -> None:
    make_role("r", [command("one", "echo {{ nowhere }}")])
    with pytest.raises(ConfigError):
        apply("r")
    with pytest.raises(ConfigError, match="role 'gone'"):
        apply("gone")
    assert all(box.trips == 0 for box in sandboxes.nodes.values())


def test_a_bug_keeps_its_traceback(
    make_role: MakeRole, apply: Apply, sandboxes: Sandboxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_role("r", [command("one", "true")])

    def broken(*_: object, **__: object) -> None:
        raise KeyError("bug")

    monkeypatch.setattr(sandboxes["w1"], "run", broken)
    with pytest.raises(KeyError, match="bug"):
        apply("r")


def test_a_connection_lost_on_the_way_is_reported_for_its_node(
    make_role: MakeRole, apply: Apply, sandboxes: Sandboxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_role("r", [command("one", "true"), command("two", "true")])
    box, whole = sandboxes["w1"], sandboxes["w1"].run

    def lost(text: str, **rest: Any) -> Any:
        if box.trips == 2:
            raise Unreachable("w1 (10.9.8.11)", "the SSH connection broke", "Run it again.")
        return whole(text, **rest)

    monkeypatch.setattr(box, "run", lost)
    with pytest.raises(StepFailed, match="the SSH connection broke"):
        apply("r")
    assert (sandboxes["w2"].box / "var/lib/caffe-spark/two").exists()


def test_ctrl_c_ends_running_steps_starts_no_others_and_shows_the_recap(
    make_role: MakeRole, apply: Apply, sandboxes: Sandboxes, console: Console
) -> None:
    make_role(
        "r",
        [
            command("one", "echo $$ >$STATE/pid; touch $STATE/started; sleep 60", on="head"),
            command("two", "true"),
        ],
    )

    main = threading.get_ident()

    def interrupt() -> None:
        started = sandboxes["head"].box / "var/lib/caffe-spark/started"
        while not started.exists():
            time.sleep(0.02)
        signal.pthread_kill(main, signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        apply("r")
    assert time.monotonic() - begun < 15
    assert not is_alive(sandboxes["head"].box / "var/lib/caffe-spark/pid")
    assert not (sandboxes["head"].box / "var/lib/caffe-spark/two").exists()
    assert "skipped" in said(console)


def test_ctrl_c_in_a_run_that_waits_for_another_leaves_that_one_alone(
    make_role: MakeRole, apply: Apply, sandboxes: Sandboxes, tmp_path: Path
) -> None:
    make_role("r", [command("one", "touch $STATE/started; sleep 1.5", on="head")])
    first = threading.Thread(target=apply, args=("r",))
    first.start()
    while not (sandboxes["head"].box / "var/lib/caffe-spark/started").exists():
        time.sleep(0.02)
    main = threading.get_ident()
    log = tmp_path / "second" / "head.log"

    def interrupt() -> None:
        while not log.exists() or "another run is busy" not in log.read_text():
            time.sleep(0.02)
        signal.pthread_kill(main, signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        apply("r", logs=log.parent)
    assert first.is_alive()
    first.join()
    assert (sandboxes["head"].box / "var/lib/caffe-spark/one").exists()


def test_a_second_run_waits_until_the_first_has_done_its_step(
    make_role: MakeRole, apply: Apply, sandboxes: Sandboxes, tmp_path: Path
) -> None:
    busy = f"grep -qs 'another run is busy' {tmp_path}/logs/head.log"
    count = f"echo x >>{tmp_path}/times; touch $STATE/started; until {busy}; do sleep 0.02; done"
    make_role("r", [command("one", count, on="head", timeout=60)])
    first = threading.Thread(target=apply, args=("r",))
    first.start()
    while not (sandboxes["head"].box / "var/lib/caffe-spark/started").exists():
        time.sleep(0.02)
    assert counts(apply("r"))["head"] == (1, 0, 0, 0)
    first.join()
    assert (tmp_path / "times").read_text() == "x\n"
    assert "another run is busy" in (tmp_path / "logs/head.log").read_text()


def test_secrets_are_in_no_argument_list(make_role: MakeRole, apply: Apply, sandboxes: Sandboxes) -> None:
    listing = "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '"
    make_role(
        "r",
        [
            {
                "name": "write",
                "on": "head",
                "file": {"path": "/var/lib/caffe-spark/key", "content": "{{ spark_secret }}"},
            },
            command("list", f": {{{{ spark_secret }}}}; {listing} >$STATE/seen", on="head"),
        ],
    )
    apply("r")
    box = sandboxes["head"].box / "var/lib/caffe-spark"
    assert (box / "key").read_text() == "not-to-be-seen"
    assert "not-to-be-seen" not in (box / "seen").read_text(errors="replace")


def test_nothing_of_a_step_stays_on_the_node(make_role: MakeRole, apply: Apply, sandboxes: Sandboxes) -> None:
    make_role("r", [command("one", "true")])
    apply("r")
    left = {path.name for path in (sandboxes["w1"].box / "run/caffe-spark").iterdir()}
    assert left == {"lock", "lock-r"}
    assert script.RUN == "/run/caffe-spark"


FORBIDDEN = (
    "mkdir: {0}/user/spark/events: getFileStatus on {0}/user/spark/events: "
    "software.amazon.awssdk.services.s3.model.S3Exception: Forbidden (Service: S3, Status Code: 403, "
    "Request ID: 1P40, Extended Request ID: cPk=):null"
)


def test_what_shared_storage_refuses_is_told_in_its_own_words(
    make_role: MakeRole, apply: Apply, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Cluster, "shared_storage", "s3a://bucket")
    make_role("r", [command("one", f"echo '{FORBIDDEN.format('s3a://bucket')}' >&2; false", on="head")])

    with pytest.raises(StepFailed) as failed:
        apply("r")

    assert "s3a://bucket: it refuses this machine: the key is wrong, or lacks the permission" in str(
        failed.value
    )
    assert "Fix the stack's keys for it, run `pulumi up`, then `fab bootstrap`." in str(failed.value)


def test_what_another_server_refuses_is_not_taken_for_shared_storage(
    make_role: MakeRole, apply: Apply
) -> None:
    make_role("r", [command("one", "echo 'archive.example: 403 Forbidden' >&2; false", on="head")])

    with pytest.raises(StepFailed, match=r"status 1 \(archive.example: 403 Forbidden\)"):
        apply("r")


def test_roles_that_do_not_require_each_other_run_at_the_same_time(
    make_role: MakeRole, apply: Apply, sandboxes: Sandboxes
) -> None:
    def meets(mine: str, other: str) -> str:
        return f"touch $STATE/{mine}; until [ -e $STATE/{other} ]; do sleep 0.02; done"

    make_role("base", [command("zero", "true")])
    make_role("left", [command("one", meets("l", "r"), timeout=20)], requires=["base"])
    make_role("right", [command("two", meets("r", "l"), timeout=20)], requires=["base"])
    make_role("top", [command("three", "[ -e $STATE/one ]; [ -e $STATE/two ]")], requires=["left", "right"])
    assert counts(apply("base", "left", "right", "top")) == dict.fromkeys(("head", "w1", "w2"), (0, 4, 0, 0))


def test_a_failing_role_lets_the_step_beside_it_end_and_no_other_start(
    make_role: MakeRole, apply: Apply, sandboxes: Sandboxes, console: Console
) -> None:
    wait = "touch $STATE/running; until [ -e $STATE/broken ]; do sleep 0.02; done; sleep 0.3"
    make_role("slow", [command("one", wait, on="head"), command("two", "true", on="head")])
    broken = "until [ -e $STATE/running ]; do sleep 0.02; done; touch $STATE/broken; exit 5"
    make_role("bad", [command("three", broken, on="head")])
    with pytest.raises(StepFailed, match="head, role 'bad', step 'three': status 5"):
        apply("slow", "bad")
    box = sandboxes["head"].box / "var/lib/caffe-spark"
    assert (box / "one").exists()
    assert not (box / "two").exists()
    row = next(
        line.split() for line in said(console).splitlines() if line.startswith("head ") and "s)" not in line
    )
    assert row[1:5] == ["0", "1", "1", "1"]


def test_ctrl_c_ends_the_steps_of_all_roles(make_role: MakeRole, apply: Apply, sandboxes: Sandboxes) -> None:
    box = sandboxes["head"].box / "var/lib/caffe-spark"
    for name in ("one", "two"):
        step = command("step", f"echo $$ >$STATE/{name}.pid; touch $STATE/{name}.up; sleep 60", on="head")
        make_role(name, [step])
    main = threading.get_ident()

    def interrupt() -> None:
        while not ((box / "one.up").exists() and (box / "two.up").exists()):
            time.sleep(0.02)
        signal.pthread_kill(main, signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        apply("one", "two")
    assert not is_alive(box / "one.pid")
    assert not is_alive(box / "two.pid")


NEW = ("storage", "format")


@pytest.fixture
def new_head(make_role: MakeRole, sandboxes: Sandboxes) -> Path:
    """Roles of a head that installs a package and makes storage; return its state."""
    box = sandboxes["head"].box
    (box / "bin").mkdir(exist_ok=True)
    for name, body in {
        "dpkg-query": f"[ -e {box}/there ] && echo installed",
        "apt-get": f"touch {box}/there",
        "apt-cache": "exit 0",
        "dpkg": "echo amd64",
    }.items():
        (box / "bin" / name).write_text(f"#!/bin/sh\n{body}\n")
        (box / "bin" / name).chmod(0o755)
    make_role("base", [{"name": "install", "on": "head", "packages": ["ivy"]}])
    make_role("storage", [command("format", "true", on="head")], requires=["base"])
    make_role(
        "late", [command("wait", "until [ -e $STATE/early ]; do sleep 0.02; done", on="head", timeout=20)]
    )
    return box / "var/lib/caffe-spark"


def test_early_work_runs_beside_the_steps_once_the_packages_are_installed(
    apply: Apply, sandboxes: Sandboxes, new_head: Path
) -> None:
    seen: list[bool] = []

    def work(head: Remote) -> None:
        seen.append((sandboxes["head"].box / "there").exists())
        head.run(f"touch {STATE}/early")

    recap = apply("base", "storage", "late", early=Early(NEW, work))
    assert counts(recap)["head"] == (0, 3, 0, 0)
    assert seen == [True]


def test_early_work_is_for_new_storage_alone_and_its_failure_is_left_to_those_who_do_it_later(
    apply: Apply, new_head: Path
) -> None:
    done: list[str] = []

    def work(_: Remote) -> None:
        done.append("early")
        raise Unreachable("head", "it does not answer", "Run `pulumi up`.")

    (new_head / "early").touch()
    assert counts(apply("base", "storage", "late", early=Early(NEW, work)))["head"] == (0, 3, 0, 0)
    (new_head / "wait").unlink()
    apply("base", "storage", "late", early=Early(NEW, work))
    assert done == ["early"]

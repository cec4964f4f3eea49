"""Leftovers of ended jobs, in a stand-in of a node's folders and of its list of processes."""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bootstrap.join.on_node import leftovers

PROGRAM = Path(leftovers.__file__)
HOUR = 3600.0
UUID = "01234567-89ab-cdef-0123-456789abcdef"
EXECUTOR = "java -cp x org.apache.spark.executor.CoarseGrainedExecutorBackend"
WORKER = "java -cp x org.apache.spark.deploy.worker.Worker --host w1 spark://head:7077"


class Machine:
    """Folders of a node, and processes that are listed and do not run."""

    def __init__(self, root: Path) -> None:
        self.root, self.now = root, time.time()
        for name in ("state/jobs", "spark/work", "spark/tmp", "spark/local", "tmp", "proc"):
            (root / name).mkdir(parents=True)
        self.booted = int(self.now - 100 * HOUR)
        (root / "proc" / "stat").write_text(f"cpu 1 2\nbtime {self.booted}\nprocesses 7\n")
        self._pids = iter(range(1_000_000_001, 1_000_001_000))

    def file(self, path: str, *, hours: float = 10, text: str = "x") -> Path:
        """Make a file; all of its folders, and itself, are that old."""
        made = self.root / path
        made.parent.mkdir(parents=True, exist_ok=True)
        made.write_text(text)
        at = self.now - hours * HOUR
        for each in (made, *made.parents):
            if each == self.root:
                break
            os.utime(each, (at, at))
        return made

    def process(self, command: str, *, hours: float = 5, **variables: str) -> Path:
        """List a process of this user that has begun that long ago."""
        folder = self.root / "proc" / str(next(self._pids))
        folder.mkdir()
        ticks = int((self.now - hours * HOUR - self.booted) * os.sysconf("SC_CLK_TCK"))
        (folder / "stat").write_text(f"7 (a) b) S {' '.join(['0'] * 18)} {ticks} 0")
        (folder / "cmdline").write_text("".join(f"{word}\0" for word in command.split()))
        (folder / "environ").write_text("".join(f"{name}={value}\0" for name, value in variables.items()))
        return folder

    def places(self) -> list[str]:
        """Words of the command line for these folders."""
        places = {"--state": "state", "--spark": "spark", "--tmp": "tmp", "--proc": "proc"}
        return [word for flag, name in places.items() for word in (flag, str(self.root / name))]

    def said(self, mode: str, *more: str) -> subprocess.CompletedProcess[str]:
        words = self.places()
        return subprocess.run(
            [sys.executable, "-S", str(PROGRAM), mode, *words, *more],
            capture_output=True,
            text=True,
            check=False,
        )

    def listed(self, mode: str = "list") -> list[str]:
        done = self.said(mode)
        assert done.returncode == 0, done.stderr
        return [
            str(Path(json.loads(line)["path"]).relative_to(self.root)) for line in done.stdout.splitlines()
        ]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_any_python_3_of_a_node_runs_it() -> None:
    ast.parse(PROGRAM.read_text(), feature_version=(3, 6))


def test_of_an_ended_executor_its_logs_stay(machine: Machine) -> None:
    for name in ("stdout", "stderr", "stderr--2026-11-30", "mnist/data.mdb", "trainer.zip"):
        machine.file(f"spark/work/app-1/0/{name}")

    assert machine.listed("remove") == ["spark/work/app-1/0/mnist", "spark/work/app-1/0/trainer.zip"]
    left = sorted(path.name for path in (machine.root / "spark/work/app-1/0").iterdir())
    assert left == ["stderr", "stderr--2026-11-30", "stdout"]


@pytest.mark.parametrize(
    ("words", "left"),
    [
        ("--executor-id 0 --app-id app-1", []),
        ("--app-id app-1 --executor-id 0", []),
        ("--executor-id 1 --app-id app-1", ["spark/work/app-1/0/data.mdb"]),
        ("--executor-id 0 --app-id app-2", ["spark/work/app-1/0/data.mdb"]),
        ("--executor-id", ["spark/work/app-1/0/data.mdb"]),
    ],
)
def test_the_folder_of_an_executor_that_runs_is_left_alone(
    machine: Machine, words: str, left: list[str]
) -> None:
    machine.file("spark/work/app-1/0/data.mdb")
    machine.process(f"{EXECUTOR} {words}", hours=0.001)

    assert machine.listed() == left


def test_an_executor_that_is_just_being_started_is_left_alone(machine: Machine) -> None:
    machine.file("spark/work/app-1/0/data.mdb", hours=0.01)

    assert machine.listed() == []


def test_the_temporary_folder_of_an_ended_driver_goes_whole(machine: Machine) -> None:
    machine.file(f"state/jobs/mnist-1/work/tmp/spark-{UUID}/userFiles/mnist")
    machine.file(f"state/notebook/work/tmp/blockmgr-{UUID}/x")
    machine.file("state/convert/c-1/work/tmp/y")
    machine.file("state/jobs/mnist-1/work/events.jsonl")

    assert machine.listed("remove") == [
        "state/convert/c-1/work/tmp",
        "state/jobs/mnist-1/work/tmp",
        "state/notebook/work/tmp",
    ]
    assert (machine.root / "state/jobs/mnist-1/work/events.jsonl").exists()


def test_the_temporary_folder_of_a_driver_that_runs_is_left_alone(machine: Machine) -> None:
    for job in ("mnist-1", "mnist-2"):
        machine.file(f"state/jobs/{job}/work/tmp/x")
    machine.process("python main.py", TMPDIR=f"{machine.root}/state/jobs/mnist-1/work/tmp")

    assert machine.listed() == ["state/jobs/mnist-2/work/tmp"]


def test_the_folder_of_a_job_with_any_name_is_its_own(machine: Machine) -> None:
    folder = machine.file("state/jobs/leftovers-1/work/tmp/x").parent
    machine.process(f"java SparkSubmit --name leftovers-1 {leftovers.SERVICE}", TMPDIR=str(folder))

    assert machine.listed() == []


def test_the_service_itself_is_no_job(machine: Machine) -> None:
    machine.file("spark/tmp/x", hours=1)
    machine.process(f"/usr/bin/python3 {leftovers.SERVICE} watch --state s", hours=5)

    assert machine.listed() == ["spark/tmp/x"]


def test_while_a_process_does_not_show_its_environment_no_drivers_folder_goes(machine: Machine) -> None:
    machine.file("state/jobs/mnist-1/work/tmp/x")
    (machine.process("java SparkSubmit") / "environ").unlink()

    assert machine.listed() == []


def test_a_process_that_has_ended_and_was_not_reaped_hides_nothing(machine: Machine) -> None:
    machine.file("state/jobs/mnist-1/work/tmp/x")
    ended = machine.process("")
    (ended / "environ").write_text("")

    assert machine.listed() == ["state/jobs/mnist-1/work/tmp"]


def test_temporary_files_older_than_every_process_of_a_job_are_nobodys(machine: Machine) -> None:
    machine.file("spark/tmp/caffe-spark-abcdefgh/net.prototxt", hours=6)
    machine.file("spark/tmp/liblz4-java-1.so", hours=4)
    machine.process(f"{EXECUTOR} --executor-id 3 --app-id app-9", hours=5)

    assert machine.listed() == ["spark/tmp/caffe-spark-abcdefgh"]


def test_without_a_job_all_temporary_files_are_nobodys(machine: Machine) -> None:
    machine.file("spark/tmp/liblz4-java-1.so", hours=1)
    machine.process(WORKER, hours=5)

    assert machine.listed() == ["spark/tmp/liblz4-java-1.so"]


def test_what_earlier_versions_left_in_the_systems_folder_goes_by_its_exact_names(machine: Machine) -> None:
    ours = ["caffe-spark-ab_cdef1", f"blockmgr-{UUID}", f"faulthandler-{UUID}", f"spark-{UUID}"]
    for name in (*ours, "caffe-spark-results", "spark-notes", "blockmgr", "other"):
        machine.file(f"tmp/{name}/x")

    assert machine.listed() == sorted(f"tmp/{name}" for name in ours)


def test_what_sparks_worker_uses_is_left_alone_as_long_as_it_runs(machine: Machine) -> None:
    machine.file(f"spark/local/spark-{UUID}/executor-1/blockmgr/x", hours=6)
    machine.file("spark/local/spark-of-this-worker/x", hours=4)
    machine.process(WORKER, hours=5)

    assert machine.listed() == [f"spark/local/spark-{UUID}"]


def test_another_user_s_files_and_links_are_left_alone(machine: Machine) -> None:
    target = machine.file("elsewhere/kept")
    link = machine.root / "spark/tmp/link"
    link.symlink_to(target.parent)
    os.utime(link, (machine.now - HOUR, machine.now - HOUR), follow_symlinks=False)
    if os.getuid() == 0:
        os.chown(machine.file("spark/tmp/of-another"), 12345, 12345)

    assert machine.listed("remove") == []
    assert target.exists()


def test_a_link_inside_is_removed_and_not_followed(machine: Machine) -> None:
    target = machine.file("elsewhere/kept")
    folder = machine.file("spark/work/app-1/0/data.mdb.lmdb/x").parent
    (folder / "data.mdb").symlink_to(target)
    (folder.parent / "link").symlink_to(target.parent)
    old = machine.now - HOUR
    os.utime(folder.parent, (old, old))

    assert machine.listed("remove") == ["spark/work/app-1/0/data.mdb.lmdb", "spark/work/app-1/0/link"]
    assert target.exists()


def test_a_second_run_finds_nothing(machine: Machine) -> None:
    machine.file("spark/work/app-1/0/data.mdb")
    machine.file(f"tmp/spark-{UUID}/x")

    assert len(machine.listed("remove")) == 2
    assert machine.listed("remove") == []


def test_bytes_are_those_of_the_disk_and_a_hard_link_counts_once(machine: Machine) -> None:
    file = machine.file("spark/work/app-1/0/mnist/data.mdb", text="x" * 1_000_000)
    os.link(file, file.with_name("again.mdb"))
    old = machine.now - HOUR
    os.utime(file.parent.parent, (old, old))

    (line,) = machine.said("list").stdout.splitlines()
    assert 1_000_000 <= json.loads(line)["bytes"] < 1_100_000


def test_the_report_says_how_much_is_left_and_fails(machine: Machine) -> None:
    assert (machine.said("report").returncode, machine.said("report").stdout) == (0, "none\n")
    machine.file("spark/work/app-1/0/mnist/data.mdb", text="x" * 3_000_000)
    machine.file("spark/tmp/x")

    done = machine.said("report")
    assert done.returncode == 1
    assert done.stdout.startswith("2 leftovers take 3.0 MB, the largest is ")
    assert done.stdout.endswith("/spark/work/app-1/0/mnist\n")
    assert machine.said("report", "--grace", str(20 * HOUR)).returncode == 0


def test_what_cannot_be_removed_is_told_and_the_rest_goes(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.file("spark/tmp/a")
    machine.file("spark/tmp/b")
    places = leftovers.Places(*(str(machine.root / name) for name in ("state", "spark", "tmp")))
    found = leftovers.leftovers(places, str(machine.root / "proc"), 0.0)

    def unlink(path: str) -> None:
        if path.endswith("a"):
            raise PermissionError("not permitted")

    monkeypatch.setattr(os, "unlink", unlink)
    said = list(leftovers.sweep(found, removing=True))
    assert [one.get("error") for one in said] == ["not permitted", None]


def test_the_service_removes_them_as_they_appear(machine: Machine) -> None:
    machine.file("spark/work/app-1/0/data.mdb")
    words = ["--state", f"{machine.root}/state", "--spark", f"{machine.root}/spark"]
    words += ["--tmp", f"{machine.root}/tmp", "--proc", f"{machine.root}/proc"]
    program = f"import sys; sys.path.insert(0, {str(PROGRAM.parent)!r}); import leftovers\n"
    program += f"leftovers.EVERY = 0.05\nleftovers.main(['watch', *{words!r}])"
    service = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    try:
        assert service.stdout is not None
        assert "data.mdb" in service.stdout.readline()
        machine.file("spark/work/app-2/0/data.mdb")
        assert "app-2/0/data.mdb" in service.stdout.readline()
        assert service.poll() is None
    finally:
        service.send_signal(signal.SIGTERM)
        service.communicate()


def test_a_clock_that_is_set_forward_takes_no_files_from_a_process_that_runs(machine: Machine) -> None:
    mine = machine.file("spark/tmp/caffe-spark-abcdefgh/net.prototxt", hours=4)
    machine.process(f"{EXECUTOR} --executor-id 3 --app-id app-9", hours=5)
    stat = machine.root / "proc" / "stat"
    rounds = iter([0, 2, 2, -3])

    class Enough(Exception):
        """Ends the service."""

    def wait(_: float) -> None:
        hours = next(rounds, None)
        if hours is None:
            raise Enough
        stat.write_text(f"cpu 1 2\nbtime {machine.booted + int(hours * HOUR)}\n")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "sleep", wait)
        with pytest.raises(Enough):
            leftovers.main(["watch", *machine.places()])
    assert mine.exists()


def test_on_this_machines_own_processes_it_runs() -> None:
    found = leftovers.processes("/proc")
    assert all(one.start <= time.time() + leftovers.SLACK for one in found)

from __future__ import annotations

import io
import re
import subprocess
import time
from pathlib import Path

import pytest
from rich.console import Console

from bootstrap import doctor, paths
from bootstrap.cluster import Cluster
from bootstrap.doctor import checks_for, diagnose, parse, roles_of
from bootstrap.engine.command import Check
from bootstrap.findings import Finding, print_findings
from bootstrap.ssh.remote import connect
from tests.bootstrap.conftest import MakeRole
from tests.bootstrap.local_node import HDFS, LocalNode
from tests.bootstrap.sandbox import Sandboxes

CHECKS = [Check("r", "first", "x", "Run a."), Check("r", "second", "x", "Run b.")]


def said(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def run(sandboxes: Sandboxes, checks: list[Check]) -> list[Finding]:
    box = sandboxes["w1"]
    return doctor.parse(box.run(doctor.script(checks)).stdout, checks, "w1")


def test_each_check_answers_with_its_last_line(sandboxes: Sandboxes) -> None:
    checks = [
        Check("r", "fine", "echo noise; echo 3 GB free", "Run a."),
        Check("r", "broken", "echo why >&2; echo; exit 4", "Run b."),
        Check("r", "silent", "false", "Run c."),
    ]
    assert run(sandboxes, checks) == [
        Finding("w1", "fine", True, "3 GB free", "Run a."),
        Finding("w1", "broken", False, "why", "Run b."),
        Finding("w1", "silent", False, "status 1", "Run c."),
    ]


def test_a_check_that_hangs_fails_and_the_others_answer(
    sandboxes: Sandboxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "CHECK_TIMEOUT", 0.3)
    found = run(sandboxes, [Check("r", "slow", "sleep 60", "Run a."), Check("r", "fast", "true", "Run b.")])
    assert [(finding.ok, finding.detail) for finding in found] == [
        (False, "no answer within 0.3 s"),
        (True, ""),
    ]


def test_a_check_without_an_answer_has_failed() -> None:
    found = doctor.parse("@check 1 0 all\u2028well\n", CHECKS, "w1")
    assert [(finding.ok, finding.detail) for finding in found] == [
        (False, "no answer"),
        (True, "all\u2028well"),
    ]


def test_every_node_is_asked_about_its_peers_and_the_head_about_storage(
    cluster: Cluster, make_role: MakeRole, roles: Path
) -> None:
    check = {"name": "service answers", "run": "true", "fix": "Run x.", "on": "workers"}
    make_role("r", [{"name": "a", "packages": ["x"]}], check=[check])
    found = roles_of(cluster, roles)
    names = {node.name: [c.name for c in checks_for(cluster, node, {}, found)] for node in cluster.nodes}
    common = ["disk", "memory", "Spark", "Hadoop", "Java", "Python", "leftovers of jobs"]
    assert names == {
        "head": [
            *common,
            "ports of the workers",
            "shared storage: write, read, remove",
        ],
        "w1": [*common, "ports of the head", "ports of the workers", "service answers"],
        "w2": [*common, "ports of the head", "ports of the workers", "service answers"],
    }
    ports = next(
        c.run for c in checks_for(cluster, cluster.workers[0], {}, found) if c.name == "ports of the head"
    )
    for port in (7077, 9000, 8090):
        assert f" {port} " in ports


def test_a_dead_node_is_a_finding_and_the_others_are_asked(
    cluster: Cluster, sandboxes: Sandboxes, console: Console, make_role: MakeRole, roles: Path
) -> None:
    check = {"name": "thing", "run": "echo it is broken; false", "fix": "Mend it."}
    make_role("r", [{"name": "a", "packages": ["x"]}], check=[check])
    sandboxes.dead.add("w2")
    findings = diagnose(cluster, console, connect=sandboxes.connect, folder=roles)
    by_place = {(finding.node, finding.name): finding for finding in findings}
    assert not by_place["w2", "SSH"].ok
    assert [name for node, name in by_place if node == "w2"] == ["SSH"]
    assert by_place["w1", "clock"].ok
    assert by_place["w1", "disk"].detail.endswith("GB free")
    text = said(console)
    assert "w2: SSH: SSH does not answer. Run `pulumi up --stack dev`." in text
    assert "head, w1: thing: it is broken. Mend it." in text
    assert all(box.trips == 1 for box in sandboxes.nodes.values() if box.node.name != "w2")


def test_the_fullest_of_the_disks_that_jobs_write_to_is_the_one_that_counts(cluster: Cluster) -> None:
    disk = next(
        check for check in checks_for(cluster, cluster.head, {}, roles_of(cluster)) if check.name == "disk"
    )
    rows = "Filesystem 1M-blocks Used Free Capacity Mounted\n/dev/a 9 1 99000 1% /\n/dev/b 9 9 512 9% /mnt"
    df = f"df() {{ echo '{rows}'; }}\n"
    said = subprocess.run(["sh", "-c", df + disk.run], stdout=subprocess.PIPE, text=True, check=False)
    assert (said.returncode, said.stdout) == (1, "0.5 GB free on /mnt\n")


@pytest.mark.parametrize(("seen", "place"), [("0.5 GB free on /mnt", "/mnt"), ("0.5 GB free", "/")])
def test_the_remedy_of_a_full_disk_looks_into_the_mount_that_is_full(
    cluster: Cluster, seen: str, place: str
) -> None:
    disk = next(
        check for check in checks_for(cluster, cluster.head, {}, roles_of(cluster)) if check.name == "disk"
    )
    (finding,) = parse(f"@check 0 1 {seen}", [disk], "head")
    assert f"`sudo du -xh {place} | sort -h`" in finding.fix


VERSIONS = """
python() { case $1 in -V) echo Python 3.11.2 ;; *) echo 4.3.0 ;; esac; }
hdfs() { echo log4j:WARN none >&2; echo Hadoop 3.5.0; echo Source code repository x; }
java() { echo 'openjdk version "17.0.15" 2026-04-15' >&2; }
"""


@pytest.mark.parametrize(
    ("name", "version"),
    [("Spark", "4.3.0"), ("Hadoop", "3.5.0"), ("Java", "17.0.15"), ("Python", "3.11.2")],
)
def test_each_node_says_the_versions_that_it_has(cluster: Cluster, name: str, version: str) -> None:
    def asked(programs: str) -> Finding:
        (check,) = [
            check for check in checks_for(cluster, cluster.head, {}, roles_of(cluster)) if check.name == name
        ]
        run = check.run.replace(paths.PYTHON, "python").replace(paths.HDFS, "hdfs")
        text = programs + run.replace("/opt/java/bin/java", "java")
        done = subprocess.run(["sh", "-c", text], stdout=subprocess.PIPE, text=True, check=False)
        (finding,) = parse(f"@check 0 {done.returncode} {done.stdout.strip()}", [check], "head")
        return finding

    found = asked(VERSIONS)
    assert (found.ok, found.detail) == (True, version)
    # Names of no program.
    missing = asked("python() { missing; }; hdfs() { missing; }; java() { missing; }\n")
    assert (missing.ok, missing.detail) == (False, "it does not say its version")
    assert "`fab bootstrap`" in missing.fix


def test_two_who_ask_at_once_whether_storage_can_be_used_do_not_meet_there(
    cluster: Cluster, tmp_path: Path
) -> None:
    node = LocalNode(tmp_path)
    slow = HDFS.replace("\ncase $verb in", "\nsleep 0.0$(($$ % 10))\ncase $verb in")
    node.fake("hdfs", re.sub(r"(?m)^echo .*WARN.*$", "", slow))
    (tmp_path / "state" / "dfs" / "tmp").mkdir(parents=True)
    checks = [
        check
        for check in checks_for(cluster, cluster.head, {}, roles_of(cluster))
        if check.name.startswith("shared storage")
    ]
    (run,) = (check.run for check in checks)
    # Two shells of one parent have the same $$, as shells on two nodes may have.
    both = f"set -eu\n({run}) & first=$!\n({run}) & second=$!\nwait $first; wait $second"
    for _ in range(3):
        result = node.run(both, check=False)
        assert result.ok, result.stdout
        assert list((tmp_path / "state" / "dfs" / "tmp").iterdir()) == []


def test_a_clock_that_is_off_is_a_finding(
    cluster: Cluster, sandboxes: Sandboxes, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "checks_for", lambda *_: [])
    monkeypatch.setattr(time, "time", lambda: 0.0)
    findings = diagnose(cluster, console, connect=sandboxes.connect)
    assert [finding.ok for finding in findings if finding.name == "clock"] == [False] * 3


def test_a_cluster_that_is_well_says_so(
    cluster: Cluster, sandboxes: Sandboxes, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "checks_for", lambda *_: [Check("", "disk", "echo 9 GB free", "")])
    findings = diagnose(cluster, console, connect=sandboxes.connect)
    assert all(finding.ok for finding in findings)
    assert "All 9 checks on 3 nodes hold." in said(console)


@pytest.mark.cluster
def test_bare_nodes_are_told_what_they_lack(
    real_cluster: Cluster, console: Console, make_role: MakeRole, roles: Path
) -> None:
    make_role("r", [{"name": "a", "packages": ["x"]}])
    with connect(real_cluster, real_cluster.head) as head:
        before = head.run("cat /etc/hosts").stdout
        hosts = "".join(f"{node.address} {node.name}\n" for node in real_cluster.nodes)
        head.run(f"printf '{hosts}' >>/etc/hosts")
        try:
            findings = diagnose(real_cluster, console, folder=roles)
        finally:
            head.run(f"cat >/etc/hosts <<'EOF'\n{before}EOF")
    by_place = {(finding.node, finding.name): finding for finding in findings}
    for node in ("head", "w1", "w2"):
        for name in ("SSH", "clock", "disk", "memory"):
            assert by_place[node, name].ok, by_place[node, name]
    # SSH is open between nodes that know each other's names; what no role has started is not
    assert by_place["head", "ports of the workers"].detail == (
        "closed on w1: 8081 (Spark worker), w1: 9866 (HDFS DataNode), w2: 8081 (Spark worker), "
        "w2: 9866 (HDFS DataNode)"
    )
    assert not by_place["head", "shared storage: write, read, remove"].ok


def test_closed_ports_of_many_peers_are_one_finding_in_their_order(
    sandboxes: Sandboxes, cluster: Cluster
) -> None:
    # Nothing listens on these ports of this machine, whatever the nodes are called.
    workers = tuple(
        cluster.workers[0].model_copy(update={"name": "localhost", "address": f"10.9.9.{number}"})
        for number in (1, 2)
    )
    found = [
        check
        for check in checks_for(cluster.model_copy(update={"workers": workers}), cluster.head, {}, [])
        if check.name.startswith("ports")
    ]
    assert [check.name for check in found] == ["ports of the workers"]
    (finding,) = run(sandboxes, found)
    assert not finding.ok
    assert finding.detail == "closed on localhost: 8081 (Spark worker), localhost: 9866 (HDFS DataNode)"


def test_of_many_nodes_the_workers_share_a_column(cluster: Cluster, console: Console) -> None:
    workers = tuple(
        cluster.workers[0].model_copy(update={"name": f"w{number}", "address": f"10.9.9.{number}"})
        for number in range(1, 20)
    )
    many = cluster.model_copy(update={"workers": workers})
    found = [Finding("head", "disk", True, "50.0 GB free", "")]
    found += [Finding(node.name, "disk", True, f"{9 + n}.5 GB free", "") for n, node in enumerate(workers)]
    found += [Finding(node.name, "service", n > 6, "", "Run x.") for n, node in enumerate(workers)]
    print_findings(found, many, console)
    lines = said(console).splitlines()
    assert lines[0].split() == ["check", "head", "19", "workers"]
    assert lines[1].rstrip().endswith("✓ 9.5 GB free … 27.5 GB free")
    assert lines[2].rstrip().endswith("✗ w1, w2, w3, w4, w5 and 2 more")
    assert lines[3].startswith("w1, w2, w3, w4, w5, w6, w7: service: . Run x.")

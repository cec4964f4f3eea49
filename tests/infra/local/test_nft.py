"""Rules on connections to a stack's nodes: their text, and what the kernel makes of it."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from infra import tags
from infra.local import nft
from infra.local.engine import EngineError

TABLE = nft.Table("caffe-spark-dev-0", "br0", "10.89.77.0/24", (0, 1000))

# Three network namespaces: this machine (with the bridge), a node at .10, and a host that is routed. Each
# probe prints a word; bash's own connections need no program that every user can read.
TOPOLOGY = """
set -eu
lan() { nsenter -t $LAN -n "$@"; }
node() { nsenter -t $NODE -n "$@"; }
space() { unshare -n sleep 120 >/dev/null 2>&1 & echo $!; }
NODE=$(space) LAN=$(space)
trap 'kill $NODE $LAN $SERVERS' EXIT
SERVERS=
mine=$(readlink /proc/self/ns/net)
for other in $NODE $LAN; do
    while [ "$(readlink /proc/$other/ns/net)" = "$mine" ]; do sleep 0.05; done
done
echo 1 >/proc/sys/net/ipv4/ip_forward
for all in env node lan; do $all ip link set lo up; done
ip link add br0 type bridge
ip addr add 10.89.77.1/24 dev br0
ip addr add fe80::1/64 dev br0 nodad
ip link set br0 up
ip link add nodes type veth peer name eth0 netns $NODE
ip link set nodes master br0 up
node ip addr add 10.89.77.10/24 dev eth0
node ip addr add fe80::77/64 dev eth0 nodad
node ip link set eth0 up
node ip route add default via 10.89.77.1
ip link add wire type veth peer name eth0 netns $LAN
ip addr add 192.168.5.1/24 dev wire
ip link set wire up
lan ip addr add 192.168.5.2/24 dev eth0
lan ip link set eth0 up
lan ip route add 10.89.77.0/24 via 192.168.5.1
serve() { "$@" PYTHON -m http.server --bind :: 8000 >/dev/null 2>&1 & SERVERS="$SERVERS $!"; }
serve node; serve lan; serve env
probe() {
    said=$1; shift
    if out=$("$@" timeout 5 bash -c "exec 3<>/dev/tcp/$TO/8000" 2>&1); then echo "$said: connected"
    else case $out in *refused*) echo "$said: refused" ;; *) echo "$said: $out" ;; esac; fi
}
as() { setpriv --reuid "$1" --clear-groups "${@:2}"; }
until node bash -c 'exec 3<>/dev/tcp/10.89.77.10/8000' 2>/dev/null; do sleep 0.1; done
until lan bash -c 'exec 3<>/dev/tcp/192.168.5.2/8000' 2>/dev/null; do sleep 0.1; done
until bash -c 'exec 3<>/dev/tcp/192.168.5.1/8000' 2>/dev/null; do sleep 0.1; done
# Neighbours are resolved and addresses settled before anybody is refused.
TO=10.89.77.10; probe "before: another user" as 1001
nft -f - <<'RULES'
TEXT
RULES
for user in 0 1000 1001 65534; do probe "uid $user" as $user; done
probe "lan" lan
TO=fe80::77%br0; for user in 0 1001; do probe "link-local, uid $user" as $user; done
TO=10.89.77.1; probe "this machine's own address, uid 1001" as 1001; probe "node to this machine" node
TO=192.168.5.2; probe "node to the lan" node; probe "elsewhere, uid 1001" as 1001
"""


def test_a_tables_text_names_bridge_subnet_and_users() -> None:
    text = TABLE.text()
    assert text.startswith("table inet caffe-spark-dev-0 {")
    assert 'oifname "br0" goto others' in text
    assert "ip daddr 10.89.77.0/24 goto refused" in text
    assert "meta skuid { 0, 1000 } accept" in text
    assert not re.search(r"\b(TABLE|BRIDGE|SUBNET|USERS)\b", text)


def test_tables_of_two_stacks_have_two_names() -> None:
    names = {
        nft.table_name(tags.labels(stack, home))
        for stack, home in [("dev", "/a"), ("dev", "/b"), ("dev-yarn", "/a")]
    }
    assert len(names) == 3
    assert all(re.fullmatch(r"caffe-spark-dev(-yarn)?-[0-9a-f]{8}", name) for name in names)


@pytest.mark.parametrize(
    ("uid", "environment", "expected"),
    [
        (0, {}, [0]),
        (1000, {}, [0, 1000]),
        (0, {"SUDO_UID": "1000"}, [0, 1000]),
        (0, {"SUDO_UID": "0; drop"}, [0]),
    ],
)
def test_operators_are_root_who_runs_this_and_who_called_sudo(
    uid: int, environment: dict[str, str], expected: list[int]
) -> None:
    assert nft.operators(uid, environment) == expected


def test_a_machine_without_nft_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    assert TABLE.refusal() == "nft is not installed"
    with pytest.raises(EngineError, match="apt-get install -y nftables"):
        TABLE.apply()


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("Operation not permitted (you must be root)", "nft: Operation not permitted (you must be root)"),
        (
            "netlink: Error: cache initialization failed: Operation not permitted",
            "nft: cache initialization failed: Operation not permitted",
        ),
        (
            "/dev/stdin:3:1: Error: Could not process rule: Operation not supported\\ntable inet x\\n ^^^",
            "nft: Could not process rule: Operation not supported",
        ),
        ("sudo: a password is required", "sudo asks for a password"),
    ],
)
def test_a_refusal_is_the_reason_in_one_line(
    said: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "nft"
    program.write_text(f"#!/bin/sh\nprintf '{said}\\n' >&2; exit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr("shutil.which", lambda *_, **__: str(program))
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert TABLE.refusal() == why


@pytest.mark.cluster
def test_the_kernel_lets_in_nodes_root_and_operator_and_refuses_all_others_at_once() -> None:
    python = "/usr/bin/python3"
    done = subprocess.run(
        ["unshare", "-n", "bash", "-c", TOPOLOGY.replace("PYTHON", python).replace("TEXT", TABLE.text())],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.splitlines() == [
        "before: another user: connected",
        "uid 0: connected",
        "uid 1000: connected",
        "uid 1001: refused",
        "uid 65534: refused",
        "lan: refused",
        "link-local, uid 0: connected",
        "link-local, uid 1001: refused",
        "this machine's own address, uid 1001: connected",
        "node to this machine: connected",
        "node to the lan: connected",
        "elsewhere, uid 1001: connected",
    ], done.stderr


@pytest.mark.cluster
def test_a_table_is_replaced_in_one_step_and_removed_without_touching_another(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from infra.local import nft\n"
        f"first, other = nft.{TABLE!r}, nft.{replace(TABLE, name='caffe-spark-dev-1')!r}\n"
        "nft.remove(first.name)\n"
        "assert first.refusal() == '' and nft.fingerprint(first.name) == ''\n"
        "made = first.apply()\n"
        "kept = other.apply()\n"
        "assert first.apply() == made == nft.fingerprint(first.name) != kept\n"
        "nft.remove(first.name)\n"
        "assert (nft.fingerprint(first.name), nft.fingerprint(other.name)) == ('', kept)\n"
    )
    done = subprocess.run(
        ["unshare", "-n", sys.executable, str(script)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr

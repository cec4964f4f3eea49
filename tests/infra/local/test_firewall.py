"""The firewall as a resource, on machines that allow one and on machines that do not."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra import tags
from infra.local import nft
from infra.local.engine import EngineError
from infra.local.firewall import FirewallProvider
from infra.local.network import LeftoversProvider
from infra.provider import Props
from tests.infra.conftest import FakeEngine

OURS = tags.labels("dev", "/here")
PROPS: Props = {
    "engine": "podman",
    "network": "caffe-spark-dev",
    "subnet": "10.1.2.0/24",
    # As Pulumi passes numbers.
    "users": [0.0, 1000.0],
    "table": nft.table_name(OURS),
}
NETWORK = {
    "name": "caffe-spark-dev",
    "subnets": [{"subnet": "10.1.2.0/24"}],
    "labels": OURS,
    "network_interface": "podman7",
}
# A kernel's tables are files; one is filled by its text and removed by `delete`.
FAKE_NFT = """#!/bin/sh
cd {folder}
[ ! -e refusal ] || {{ cat refusal >&2; exit 1; }}
case "$*" in
    "list tables inet")
        for table in *.table; do [ ! -e "$table" ] || echo "table inet ${{table%.table}}"; done ;;
    *"list table inet "*) cat "$6.table" ;;
    "-c -f -") cat >/dev/null ;;
    "-f -")
        text=$(cat)
        name=$(echo "$text" | sed -n 's/^delete table inet //p')
        rm -f "$name.table"
        case $text in *chain*) echo "$text" >"$name.table" ;; esac ;;
esac
"""


@dataclass
class FakeKernel:
    folder: Path

    @property
    def tables(self) -> dict[str, str]:
        return {file.stem: file.read_text() for file in self.folder.glob("*.table")}

    def forgets(self) -> None:
        """Lose all tables, as by a reboot."""
        for file in self.folder.glob("*.table"):
            file.unlink()

    def changes(self, name: str) -> None:
        (self.folder / f"{name}.table").write_text("chain emptied by hand")

    def refuses(self, why: str) -> None:
        (self.folder / "refusal").write_text(why)

    def allows(self) -> None:
        (self.folder / "refusal").unlink()


@pytest.fixture
def kernel(engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeKernel:
    """A kernel that allows rules, and an engine that knows the stack's network."""
    folder = tmp_path / "kernel"
    folder.mkdir()
    program = folder / "nft"
    program.write_text(FAKE_NFT.format(folder=folder))
    program.chmod(0o755)
    others = shutil.which
    monkeypatch.setattr(
        "shutil.which", lambda name, **at: str(program) if name == "nft" else others(name, **at)
    )
    engine.knows_networks(NETWORK)
    return FakeKernel(folder)


def made() -> Props:
    return dict(FirewallProvider().create(dict(PROPS)).outs or {})


def test_it_names_who_may_connect_and_the_bridge_that_the_engine_made(kernel: FakeKernel) -> None:
    outs = made()
    assert outs["state"] == (
        "10.1.2.0/24: new connections come from the nodes and from processes of root and uid 1000"
    )
    text = kernel.tables[PROPS["table"]]
    assert 'oifname "podman7"' in text
    assert "skuid { 0, 1000 }" in text


def test_what_is_in_place_is_no_change(kernel: FakeKernel) -> None:
    outs = made()
    assert not FirewallProvider().diff("id", outs, dict(PROPS)).changes
    assert FirewallProvider().read("id", outs).id == "id"


@pytest.mark.parametrize("by_hand", [True, False])
def test_rules_that_are_gone_or_changed_are_noticed_and_made_again(kernel: FakeKernel, by_hand: bool) -> None:
    outs = made()
    if by_hand:
        kernel.changes(PROPS["table"])
    else:
        kernel.forgets()
    provider = FirewallProvider()
    assert provider.read("id", outs).id == ""
    diff = provider.diff("id", outs, dict(PROPS))
    assert (diff.changes, diff.replaces) == (True, [])
    again = provider.update("id", outs, dict(PROPS)).outs
    assert again == outs
    assert "skuid" in kernel.tables[PROPS["table"]]


def test_a_new_bridge_of_the_network_is_noticed(kernel: FakeKernel, engine: FakeEngine) -> None:
    outs = made()
    engine.knows_networks({**NETWORK, "network_interface": "podman8"})
    assert FirewallProvider().diff("id", outs, dict(PROPS)).changes
    FirewallProvider().update("id", outs, dict(PROPS))
    assert 'oifname "podman8"' in kernel.tables[PROPS["table"]]


def test_another_operator_changes_the_rules_in_place(kernel: FakeKernel) -> None:
    outs = made()
    diff = FirewallProvider().diff("id", outs, {**PROPS, "users": [0]})
    assert (diff.changes, diff.replaces) == (True, [])


def test_a_machine_that_allows_none_says_why_in_one_line_and_goes_on(
    kernel: FakeKernel, capfd: pytest.CaptureFixture[str]
) -> None:
    kernel.refuses("Operation not permitted (you must be root)")
    outs = made()
    assert outs["state"].startswith(
        "10.1.2.0/24: none (nft: Operation not permitted (you must be root)); every"
    )
    assert capfd.readouterr().err == f"Firewall of {outs['state']}.\n"
    provider = FirewallProvider()
    assert not provider.diff("id", outs, dict(PROPS)).changes, "a second `up` has nothing to do"
    assert provider.read("id", outs).id == "id"
    provider.delete("id", outs)


def test_an_up_after_the_obstacle_is_gone_makes_the_rules(kernel: FakeKernel) -> None:
    kernel.refuses("Operation not permitted (you must be root)")
    outs = made()
    kernel.allows()
    assert FirewallProvider().diff("id", outs, dict(PROPS)).changes
    assert (FirewallProvider().update("id", outs, dict(PROPS)).outs or {})["refused"] == ""


def test_deleting_removes_this_table_and_no_other(kernel: FakeKernel) -> None:
    other = nft.table_name(tags.labels("dev", "/elsewhere"))
    FirewallProvider().create({**PROPS, "table": other})
    FirewallProvider().delete("id", made())
    assert list(kernel.tables) == [other]
    FirewallProvider().delete("id", {**PROPS, "refused": ""})


def test_rules_that_cannot_be_removed_are_not_called_removed(kernel: FakeKernel) -> None:
    outs = made()
    kernel.refuses("Operation not permitted (you must be root)")
    with pytest.raises(EngineError, match="not permitted"):
        FirewallProvider().delete("id", outs)


def test_rules_of_a_killed_run_go_with_the_stack(kernel: FakeKernel) -> None:
    made()
    LeftoversProvider().delete("id", {"engine": "podman", "network": "caffe-spark-dev", "labels": OURS})
    assert kernel.tables == {}

"""Which cloud a command is about, and what a sweep of several says."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bootstrap.errors import ConfigError, NoCredentials, ServiceDown
from infra.sweep import run

NOBODY = NoCredentials("a cloud", "there are no credentials", "Log in.")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with a stack in each cloud, one of storage, and one on this machine."""
    (tmp_path / "Pulumi.yaml").write_text("name: caffe-spark\n")
    for name, lines in {
        "in-aws": ["provider: aws", "region: eu-west-1"],
        "in-azure": ["provider: azure", "region: westeurope", "subscription: abc"],
        "keep": ["provider: azure", "region: westeurope", "part: storage"],
        "here": ["provider: local"],
    }.items():
        text = "\n".join(f"  caffe-spark:{line}" for line in lines)
        (tmp_path / f"Pulumi.{name}.yaml").write_text(f"config:\n{text}\n")
    (tmp_path / "Pulumi.broken.yaml").write_text("config: [")
    return tmp_path


@pytest.mark.parametrize(
    ("stack", "regions", "meant"),
    [
        ("in-aws", None, ["AWS"]),
        ("in-azure", None, ["Azure"]),
        ("in-azure", ["eu-west-1"], ["Azure"]),
        ("here", None, ["AWS", "Azure"]),
        ("gone", None, ["AWS", "Azure"]),
        ("broken", None, ["AWS", "Azure"]),
        (None, None, ["AWS", "Azure"]),
        (None, ["westeurope"], ["Azure"]),
        (None, ["eu-west-1", "eu-west-9"], ["AWS"]),
        (None, ["eu-west-1", "westeurope"], ["AWS", "Azure"]),
    ],
)
def test_the_clouds_that_are_meant(
    root: Path, stack: str | None, regions: list[str] | None, meant: list[str]
) -> None:
    assert [provider.title for provider in run.clouds_to_search(root, stack, regions)] == meant


class Sweeps:
    """Stands for both clouds' sweeps: what each was asked, and how it ends."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: dict[str, dict[str, Any]] = {}
        self.ends: dict[str, bool | Exception] = {"aws": True, "azure": True}
        for name in self.ends:
            monkeypatch.setattr(f"infra.{name}.sweep.run.sweep", self._regions_of(name))

    def _regions_of(self, name: str) -> Callable[..., Any]:
        def search(stack: str | None, regions: list[str] | None, _: Console, **more: Any) -> Any:
            self.asked[name] = {"stack": stack, "regions": regions, **more}
            end = self.ends[name]
            if isinstance(end, Exception):
                raise end
            return type("Found", (), {"clean": end})

        return search


@pytest.fixture
def sweeps(monkeypatch: pytest.MonkeyPatch) -> Sweeps:
    return Sweeps(monkeypatch)


def swept(root: Path, stack: str | None = None, regions: list[str] | None = None) -> tuple[bool, str]:
    said = io.StringIO()
    console = Console(file=said, width=200)
    return run.sweep(root, stack, regions, console=console, alive={"up"}), said.getvalue()


def test_without_a_stack_both_are_searched(root: Path, sweeps: Sweeps) -> None:
    assert swept(root) == (True, "")
    assert sweeps.asked == {
        "aws": {"stack": None, "regions": None, "alive": {"up"}},
        "azure": {
            "stack": None,
            "regions": None,
            "alive": {"up"},
            "storage": ["keep"],
            "subscription_id": None,
        },
    }


def test_a_stacks_own_subscription_is_the_one_to_search(root: Path, sweeps: Sweeps) -> None:
    swept(root, "in-azure")
    assert list(sweeps.asked) == ["azure"]
    assert sweeps.asked["azure"]["subscription_id"] == "abc"


def test_each_cloud_gets_its_own_regions(root: Path, sweeps: Sweeps) -> None:
    swept(root, regions=["eu-west-1", "westeurope"])
    assert sweeps.asked["aws"]["regions"] == ["eu-west-1"]
    assert sweeps.asked["azure"]["regions"] == ["westeurope"]


@pytest.mark.parametrize("closed", ["aws", "azure"])
def test_one_that_nobody_has_logged_in_to_is_named_and_no_failure(
    closed: str, root: Path, sweeps: Sweeps
) -> None:
    sweeps.ends[closed] = NOBODY
    clean, said = swept(root)
    assert clean
    assert said.lower() == f"skipped: {closed}: there are no credentials\n"


@pytest.mark.parametrize("leaky", ["aws", "azure"])
def test_a_leak_in_either_is_no_success(leaky: str, root: Path, sweeps: Sweeps) -> None:
    sweeps.ends[leaky] = False
    assert swept(root) == (False, "")


def test_one_that_does_not_answer_is_a_failure_and_the_other_is_searched(root: Path, sweeps: Sweeps) -> None:
    sweeps.ends["aws"] = ServiceDown("AWS", "it cannot be reached", "Look at the network.")
    clean, said = swept(root)
    assert not clean
    assert said == "not searched: AWS: AWS: it cannot be reached. Look at the network.\n"
    assert "azure" in sweeps.asked


def test_where_none_can_be_asked_nothing_is_called_clean(root: Path, sweeps: Sweeps) -> None:
    sweeps.ends = dict.fromkeys(sweeps.ends, NOBODY)
    with pytest.raises(ConfigError, match=r"AWS: there are no credentials; Azure: .*`az login`"):
        swept(root)


def test_the_only_one_that_is_meant_fails_in_its_own_words(root: Path, sweeps: Sweeps) -> None:
    sweeps.ends["azure"] = NOBODY
    with pytest.raises(NoCredentials):
        swept(root, "in-azure")


def test_a_cloud_whose_packages_are_not_here_is_one_that_cannot_be_asked(
    root: Path, sweeps: Sweeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "infra.azure.sweep", None)
    clean, said = swept(root)
    assert clean
    assert said.startswith("skipped: Azure: its SDK is not installed")

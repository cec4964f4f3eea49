"""Images are the newest ones at first, and the same ones ever after: also through Pulumi's real engine.

Those marked `cluster` run the engine with a program that has only the pins, since AWS's plugin cannot be had
here; whether the parameters resolve is for a real `pulumi preview` to show.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.aws.images import ImagePinsProvider
from tests.infra import engine

OLD, NEW, WORKER = "ami-0000000000000000a", "ami-0000000000000000b", "ami-0000000000000000c"

FILE = """# My stack.
config:
  # Ireland
  caffe-spark:region: eu-west-1
  caffe-spark:instanceTypes: [g4dn.xlarge, g5.xlarge] # T4, A10G
"""

PROGRAM = """
import pulumi
from infra.aws.images import ImagePins

config = pulumi.Config("caffe-spark")
newest = open("newest").read().strip()  # stands for AWS's parameter
ImagePins(
    "images",
    stack=pulumi.get_stack(),
    head=config.get("headAmi") or newest,
    worker=config.get("workerAmi") or "ami-0000000000000000c",
)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder, entered as Pulumi enters it, with a pulumi that must not be asked."""
    (tmp_path / "infra").mkdir()
    (tmp_path / "Pulumi.yaml").write_text("name: caffe-spark\nmain: infra/\nruntime: python\n")
    (tmp_path / "Pulumi.x.yaml").write_text(FILE)
    (tmp_path / "pulumi").write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/calls\n')
    (tmp_path / "pulumi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.chdir(tmp_path / "infra")
    return tmp_path


def props(head: str = OLD) -> dict[str, str]:
    return {"stack": "x", "head": head, "worker": WORKER}


def pinned_by_hand(project: Path, head: str) -> None:
    pins = f"  caffe-spark:headAmi: {head}\n  caffe-spark:workerAmi: {WORKER}\n"
    (project / "Pulumi.x.yaml").write_text(FILE + pins)


def test_what_the_file_lacks_is_written(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ImagePinsProvider().create(props())
    call = (project / "calls").read_text()
    assert f"headAmi={OLD}" in call
    assert f"workerAmi={WORKER}" in call
    assert f"Pinned in Pulumi.x.yaml: headAmi {OLD}, workerAmi {WORKER}." in capsys.readouterr().err


def test_what_the_file_says_already_is_left_alone(project: Path) -> None:
    pinned_by_hand(project, OLD)
    ImagePinsProvider().create(props())
    assert not (project / "calls").exists()
    assert not ImagePinsProvider().diff("x", props(), props()).changes


def test_another_image_in_the_file_is_a_change_that_replaces_nothing(project: Path) -> None:
    pinned_by_hand(project, NEW)
    found = ImagePinsProvider().diff("x", props(OLD), props(NEW))
    assert found.changes
    assert not found.replaces
    ImagePinsProvider().update("x", props(OLD), props(NEW))
    assert not (project / "calls").exists(), "the file says so already"


def test_a_pin_that_was_removed_comes_back_even_where_the_newest_image_is_the_same(project: Path) -> None:
    assert ImagePinsProvider().diff("x", props(), props()).changes
    ImagePinsProvider().update("x", props(), props())
    assert f"headAmi={OLD}" in (project / "calls").read_text()


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[engine.Stack]:
    made = engine.stack(tmp_path, PROGRAM, FILE)
    (tmp_path / "infra" / "newest").write_text(OLD)
    yield made
    made.pulumi("destroy", "--yes", "--skip-preview")


@pytest.mark.cluster
def test_the_first_up_pins_the_newest_images_and_the_second_changes_nothing(stack: engine.Stack) -> None:
    preview = stack.pulumi("preview")
    assert "images create" in preview
    assert "Ami" not in stack.file, "a preview writes nothing"
    assert f"Pinned in Pulumi.x.yaml: headAmi {OLD}, workerAmi {WORKER}." in stack.up()
    assert stack.file.startswith(FILE.rstrip()), "what was there stays, comments too"
    assert f"caffe-spark:headAmi: {OLD}" in stack.file
    assert f"caffe-spark:workerAmi: {WORKER}" in stack.file
    after = stack.file
    (stack.folder / "infra" / "newest").write_text(NEW)
    assert "2 unchanged" in stack.up(), "a newer image replaces nobody"
    assert stack.file == after


@pytest.mark.cluster
def test_a_pin_that_is_removed_asks_for_the_newest_image(stack: engine.Stack) -> None:
    stack.up()
    (stack.folder / "infra" / "newest").write_text(NEW)
    stack.pulumi("config", "rm", "headAmi")
    assert "1 updated" in stack.up()
    assert f"caffe-spark:headAmi: {NEW}" in stack.file
    stack.pulumi("config", "set", "headAmi", OLD)
    assert "1 updated" in stack.up(), "and one of one's own choice is taken"
    assert "2 unchanged" in stack.up()

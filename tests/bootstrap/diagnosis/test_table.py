"""Every entry against what real tools wrote when they were made to fail; the excerpts are theirs, shortened.

`excerpts/<entry>.<number>.log`. Folders and addresses are those of the nodes that they were written on.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bootstrap.diagnosis import diagnose, entries

EXCERPTS = sorted((Path(__file__).parent / "excerpts").glob("*.log"))
TOLD = {
    "container-killed-for-memory": ("on w2 that used 1.3 GB of memory, and it had asked for 1 GB", "Raise"),
    "executors-not-granted": ("2 executors were requested, and 1 granted", "fab doctor --stack dev"),
    "gpu-mode-on-a-cpu-build": ("compiled without CUDA", "`solver_mode: CPU`"),
    "insufficient-training-data": ("test_interval 100 x batch 1000 x 2 executors need 200000", "Lower"),
    "insufficient-validation-data": ("test_iter 1000 x batch 100 needs 100000", "Lower test_iter"),
    "missing-native-library": ("libcaffe.so.1.0.0 is missing on w1", "fab build-headnode --stack dev"),
    "framework-not-installed": ("does not find caffe on w", "fab build-headnode --stack dev"),
    "container-above-the-largest": ("asks for ", "Lower `memory`"),
    "resource-manager-down": ("head:8032 does not answer", "fab bootstrap --stack dev"),
    "wrong-file-scheme": ("a path begins with ", "pulumi stack output cluster --stack dev"),
    "stale-build-tree": ("configured in /tmp/cm/a/build", "Remove the build's folder"),
    "maven-unreachable": ("Maven could not download", "same command again"),
    "pip-unreachable": ("timed out", "same command again"),
    "packages-unreachable": ("Connection failed", "sources.list"),
    "npm-unreachable": ("timeout", "same command again"),
}


@pytest.mark.parametrize("excerpt", EXCERPTS, ids=[file.stem for file in EXCERPTS])
def test_a_failure_is_recognised_by_what_the_tool_wrote(excerpt: Path) -> None:
    name = excerpt.name.partition(".")[0]

    found = diagnose(excerpt.read_text(), stack="dev", node="the head")

    assert found is not None
    assert found.name == name
    why, fix = TOLD.get(name, ("", ""))
    assert why in found.why
    assert fix in found.fix


def test_every_entry_has_an_excerpt_of_a_real_failure() -> None:
    shown = {file.name.partition(".")[0] for file in EXCERPTS}
    assert {entry.name for entry in entries()} == shown


@pytest.mark.parametrize("excerpt", EXCERPTS, ids=[file.stem for file in EXCERPTS])
def test_what_is_told_is_one_line_without_gaps(excerpt: Path) -> None:
    found = diagnose(excerpt.read_text(), stack="dev")
    assert found is not None
    for text in (found.why, found.fix):
        assert "\n" not in text
        assert not re.search(r"[{}]|\bNone\b|\?", text), text


def test_each_entry_says_what_to_type_or_to_change() -> None:
    for entry in entries():
        assert entry.fix.endswith(".")
        words = ("Run ", "Set ", "Lower ", "Raise ", "Look ", "Remove ", "Write ")
        assert entry.fix.startswith(words), entry.name


def test_names_are_unique() -> None:
    names = [entry.name for entry in entries()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    "log",
    [
        "",
        "INFO: everything is well\n",
        "java.lang.NullPointerException\n\tat org.apache.spark.Foo.bar(Foo.scala:1)\n",
        "WARN TaskSetManager: Lost task 0.0 in stage 0.0: ValueError: no such thing\n",
    ],
)
def test_a_failure_that_nobody_has_seen_is_not_explained(log: str) -> None:
    assert diagnose(log) is None


def test_only_the_end_of_a_huge_log_is_searched() -> None:
    start = "Insufficient training data: x\n"
    assert diagnose(start + "line\n" * 500_000) is None
    assert diagnose("line\n" * 500_000 + start) is not None

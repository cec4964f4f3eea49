"""Data that a destroy would delete: the error, and the setting that allows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.settings.force_destroy import is_forced, summarize


def test_one_thing_has_an_article_and_several_have_their_number() -> None:
    assert summarize([("jobs/j/model", 1)], "blob") == "a blob (0.0 GiB: jobs/)"
    assert summarize([("jobs/j/model", 1)], "object") == "an object (0.0 GiB: jobs/)"
    several = [("b/1", 2**30), ("a/1", 2**29), ("a/2", 0), ("c", 0)]
    assert summarize(several, "blob") == "4 blobs (1.5 GiB: a/, b/, c)"


def test_of_many_folders_some_are_named() -> None:
    assert summarize([(f"{place}/x", 0) for place in range(9)], "blob").endswith("0/, 1/, 2/, 3/, 4/, 5/)")


@pytest.mark.parametrize(
    ("said", "expected"), [("true", True), ('"true"', True), ("false", False), (None, False)]
)
def test_data_go_where_the_stacks_file_says_so_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str | None, expected: bool
) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: caffe-spark\n")
    if said:
        (tmp_path / "Pulumi.x.yaml").write_text(f"config:\n  caffe-spark:forceDestroy: {said}\n")
    monkeypatch.chdir(tmp_path)
    assert is_forced("x") is expected

"""Names of data sets, and what a built-in one adds to a job."""

from __future__ import annotations

import pytest

from jobs.datasets import cifar10, registry


def test_built_in_sets_are_known_by_name() -> None:
    assert registry.built_in_names() == ("mnist", "cifar10")
    for name in registry.built_in_names():
        folder = registry.folder_of(name)
        assert folder is not None
        assert folder.path == f"/data/{name}"
        assert folder.inputs
    assert registry.built_in("pets") is None
    assert registry.folder_of("pets") is None


def test_a_set_adds_its_files_to_a_job() -> None:
    assert registry.shipped("cifar10") == (cifar10.mean_file(),)
    assert [registry.shipped(name) for name in ("mnist", "pets", None)] == [(), (), ()]


@pytest.mark.parametrize("name", ["a", "pets", "a-b_9", "x" * 40])
def test_a_valid_name_has_no_fault(name: str) -> None:
    assert registry.fault(name) == ""


@pytest.mark.parametrize("name", ["", "A", "9a", "-a", "a/b", "a.b", "..", "a b", "x" * 41, "a\n", "é"])
def test_another_one_is_refused(name: str) -> None:
    assert "is not a valid name of data" in registry.fault(name)

"""A cluster is compared with the file of the stack whose storage it names, before anything is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap.errors import StackError
from infra.azure.settings.config import AzureConfig
from infra.azure.storage.stack import check_file, file_of
from tests.infra.azure.conftest import SUBSCRIPTION, storage_file

OTHER = "99999999-0000-0000-0000-000000000000"


def config(**values: object) -> AzureConfig:
    return AzureConfig.model_validate(
        {"region": "westeurope", "adminCidrs": ["198.18.0.7"], "storageStack": "keep", **values}
    )


@pytest.mark.parametrize("name", ["keep", "organization/caffe-spark/keep"])
def test_the_file_of_a_stack_of_this_project_is_found(tmp_path: Path, name: str) -> None:
    file = storage_file(tmp_path, "keep")
    assert file_of(name, tmp_path) == file


@pytest.mark.parametrize("name", ["gone", "acme/other/keep"])
def test_a_stack_of_another_project_or_machine_has_none_here(tmp_path: Path, name: str) -> None:
    storage_file(tmp_path, "keep")
    assert file_of(name, tmp_path) is None


@pytest.mark.parametrize("lines", [(), (f"subscription: {SUBSCRIPTION}",), ("storageMode: wasbs-msi",)])
def test_a_storage_that_fits_is_taken(tmp_path: Path, lines: tuple[str, ...]) -> None:
    check_file(config(), "az", storage_file(tmp_path, "keep", "part: storage", *lines), SUBSCRIPTION)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (
            ["part: cluster"],
            ("by Pulumi.keep.yaml, that stack is not a storage stack", "storageStack NAME --stack az"),
        ),
        (["part: storage", "region: uksouth"], ("is in uksouth", "set region uksouth --stack az")),
        (
            ["part: storage", "storageMode: abfss-msi"],
            ("made for abfss-msi", "storageMode abfss-msi --stack"),
        ),
        (
            ["part: storage", f"subscription: {OTHER}"],
            (
                f"is in subscription {OTHER}",
                f"would be in {SUBSCRIPTION}",
                f"subscription {OTHER} --stack az",
            ),
        ),
    ],
)
def test_one_that_does_not_is_refused_in_one_line(
    tmp_path: Path, lines: list[str], words: tuple[str, ...]
) -> None:
    file = storage_file(tmp_path, "keep", *lines)
    with pytest.raises(StackError) as caught:
        check_file(config(), "az", file, SUBSCRIPTION)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_a_stack_on_this_machine_is_no_storage(tmp_path: Path) -> None:
    storage_file(tmp_path, "keep")
    file = tmp_path / "Pulumi.keep.yaml"
    file.write_text("config:\n  caffe-spark:provider: local\n")
    with pytest.raises(StackError, match="not a storage stack"):
        check_file(config(), "az", file, SUBSCRIPTION)

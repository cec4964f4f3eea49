"""Which storage of another stack a cluster can use."""

from __future__ import annotations

from typing import Any

import pytest

from bootstrap.errors import StackError
from infra.azure.config import AzureConfig
from infra.azure.storage_reference import checked

FOUND = {"version": 1, "region": "westeurope", "mode": "wasbs-key", "account": "x"}


def config(**values: object) -> AzureConfig:
    return AzureConfig.model_validate({"region": "westeurope", "adminCidrs": ["203.0.113.7"], **values})


def test_one_of_the_same_region_and_kind_is_taken() -> None:
    assert checked(config(), "az", "keep", FOUND) == FOUND


def test_the_same_account_may_be_reached_by_key_or_by_identity() -> None:
    assert checked(config(storageMode="wasbs-msi"), "az", "keep", FOUND) == FOUND


@pytest.mark.parametrize(
    ("found", "values", "words"),
    [
        (None, {}, ("no output `storage`", "set part storage --stack keep", "pulumi up --stack keep")),
        ({**FOUND, "version": 2}, {}, ("no output `storage` of version 1",)),
        (FOUND, {"region": "uksouth"}, ("is in westeurope", "uksouth", "set region westeurope --stack az")),
        (
            FOUND,
            {"storageMode": "abfss-msi"},
            ("made for wasbs-key", "abfss-msi", "set storageMode wasbs-key --stack az"),
        ),
    ],
)
def test_another_is_refused(
    found: dict[str, Any] | None, values: dict[str, str], words: tuple[str, ...]
) -> None:
    with pytest.raises(StackError) as caught:
        checked(config(**values), "az", "keep", found)
    assert "\n" not in str(caught.value)
    for word in ("storageStack = keep", *words):
        assert word in str(caught.value)

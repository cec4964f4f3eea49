"""Which storage of another stack a cluster can use."""

from __future__ import annotations

from typing import Any

import pytest
from pulumi import RunError

from bootstrap.errors import StackError
from infra.azure.settings.config import AzureConfig
from infra.azure.storage.reference import checked, usable

SUBSCRIPTION = "00000000-1111-2222-3333-444444444444"
OTHER = "99999999-0000-0000-0000-000000000000"
FOUND = {
    "version": 1,
    "region": "westeurope",
    "mode": "wasbs-key",
    "account": "x",
    "account_id": f"/subscriptions/{SUBSCRIPTION}/resourceGroups/g/providers/Microsoft.Storage/x",
}


def config(**values: object) -> AzureConfig:
    return AzureConfig.model_validate(
        {"region": "westeurope", "adminCidrs": ["198.18.0.7"], "storageStack": "keep", **values}
    )


def test_one_of_the_same_region_and_kind_is_taken() -> None:
    assert checked(config(), "az", SUBSCRIPTION.upper(), FOUND) == FOUND


def test_the_same_account_may_be_reached_by_key_or_by_identity() -> None:
    assert checked(config(storageMode="wasbs-msi"), "az", SUBSCRIPTION, FOUND) == FOUND


@pytest.mark.parametrize(
    ("found", "values", "words"),
    [
        (None, {}, ("no output `storage`", "set storageStack NAME --stack az", "whose part is storage")),
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
        checked(config(**values), "az", SUBSCRIPTION, found)
    assert "\n" not in str(caught.value)
    for word in ("storageStack = keep", *words):
        assert word in str(caught.value)


def test_one_without_storage_may_be_a_cluster_and_is_never_to_be_made_one() -> None:
    """`part storage` on a cluster's stack would destroy the cluster."""
    with pytest.raises(StackError) as caught:
        checked(config(), "az", SUBSCRIPTION, None)
    assert "set part" not in str(caught.value)
    assert "--stack keep" not in str(caught.value)


def test_one_in_another_subscription_is_refused() -> None:
    with pytest.raises(StackError, match=f"in subscription {SUBSCRIPTION}.*set subscription {SUBSCRIPTION}"):
        checked(config(), "az", OTHER, FOUND)


def test_while_the_program_runs_that_is_one_line_too() -> None:
    """Pulumi prints a traceback of every other exception."""
    assert usable(config(), "az", SUBSCRIPTION, FOUND) == FOUND
    with pytest.raises(RunError, match="storageStack = keep: that stack has no output") as caught:
        usable(config(), "az", SUBSCRIPTION, None)
    assert "\n" not in str(caught.value)

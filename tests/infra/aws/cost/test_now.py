"""Spot prices of this moment over the table."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from infra.aws.cost import now
from tests.cloud.aws_account import answers
from tests.infra.aws.cost.test_hourly import config, priced


def answering(monkeypatch: pytest.MonkeyPatch, *prices: tuple[str, str]) -> None:
    def answer(_region: str, operation: str, _asked: dict[str, Any]) -> dict[str, Any] | None:
        assert operation == "DescribeSpotPriceHistory"
        return {"SpotPriceHistory": [{"InstanceType": kind, "SpotPrice": usd} for kind, usd in prices]}

    answers(monkeypatch, answer)


def test_prices_of_now_replace_the_tables_and_say_so(
    aws_account: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, ("g4dn.xlarge", "0.41"), ("g4dn.xlarge", "0.39"))
    found = now.current(config(), priced())
    types = found.of("eu-west-1").types
    assert types["g4dn.xlarge"].spot == (Decimal("0.39"), Decimal("0.41"))
    assert types["g5.xlarge"] == priced().of("eu-west-1").types["g5.xlarge"]
    assert found.origin("eu-west-1").startswith(
        "the project's price table of 2026-11-24; on spot as AWS said on 20"
    )


def test_without_credentials_the_table_counts() -> None:
    assert now.current(config(), priced()) == priced()


def test_where_aws_refuses_or_knows_none_of_the_types_the_table_counts(
    aws_account: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch)
    assert now.current(config(), priced()) == priced()

    def refuses(_region: str, operation: str, _asked: dict[str, Any]) -> dict[str, Any] | None:
        from botocore.exceptions import ClientError

        said = {"Error": {"Code": "UnauthorizedOperation", "Message": "You are not authorized"}}
        raise ClientError(said, operation)  # type: ignore[arg-type]

    answers(monkeypatch, refuses)
    assert now.current(config(), priced()) == priced()

"""The age of the project's tables, by the day on which it is asked."""

from __future__ import annotations

import datetime

import pytest

from bootstrap.errors import ConfigError
from infra.preflight import tables
from infra.preflight.finding import Finding
from infra.preflight.tables import DatedTable

DAY = datetime.date(2026, 11, 30)
PRICES = DatedTable("prices of eu-west-1", datetime.date(2026, 9, 1), "Run `fab cost --refresh`.")
TYPES = DatedTable("instance types", datetime.date(2026, 10, 27), "Update the project.")


def asked(*given: DatedTable, day: datetime.date = DAY) -> Finding:
    (check,) = tables.checks(lambda: given)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "today", lambda: day)
        (found,) = check.ask()
    return found


def test_young_tables_say_their_dates() -> None:
    found = asked(PRICES, TYPES)
    assert found.verdict == "passed"
    assert found.detail == (
        "prices of eu-west-1 of 2026-09-01, instance types of 2026-10-27: none is older than 90 days"
    )


@pytest.mark.parametrize(("days", "verdict"), [(0, "passed"), (90, "passed"), (91, "note"), (400, "note")])
def test_a_table_is_old_after_90_days(days: int, verdict: str) -> None:
    assert TYPES.date is not None
    assert asked(TYPES, day=TYPES.date + datetime.timedelta(days)).verdict == verdict


def test_only_what_is_old_is_named_with_its_age_and_its_fix() -> None:
    found = asked(PRICES, TYPES, day=datetime.date(2026, 12, 31))
    assert found.verdict == "note"
    assert found.detail == "prices of eu-west-1 are of 2026-09-01, 121 days ago"
    assert found.fix == "Run `fab cost --refresh`."


def test_a_region_without_prices_is_named() -> None:
    found = asked(DatedTable("prices of eu-south-1", None, "Run `fab cost --refresh`."), TYPES)
    assert found.verdict == "note"
    assert found.detail == "the table has no prices of eu-south-1"


def test_a_clock_that_is_behind_the_table_is_no_young_table() -> None:
    found = asked(TYPES, day=datetime.date(2020, 1, 1))
    assert found.verdict == "note"
    assert "which this machine's clock has not reached" in found.detail


def test_a_price_file_that_cannot_be_read_fails_the_check() -> None:
    def broken() -> list[DatedTable]:
        raise ConfigError("prices.yaml", "it is not valid YAML", "Fix that line.")

    (check,) = tables.checks(broken)
    (found,) = check.ask()
    assert found.failed
    assert found.detail == "it is not valid YAML"


def test_the_day_is_that_of_universal_time() -> None:
    before = datetime.datetime.now(datetime.timezone.utc).date()
    assert before <= tables.today() <= before + datetime.timedelta(1)

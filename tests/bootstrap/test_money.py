"""Amounts of money: ranges, and parts without a price."""

from __future__ import annotations

from decimal import Decimal

from bootstrap.money import EXACT, Amount, hours_of, span, total, usd


def amount(low: str, high: str = "", *missing: str) -> Amount:
    return Amount(Decimal(low), Decimal(high or low), missing)


def test_ranges_are_added_and_multiplied_by_their_ends() -> None:
    assert amount("1", "2") + amount("0.5") == amount("1.5", "2.5")
    assert amount("1", "2") * 3 == amount("3", "6")
    assert total([]) == amount("0")


def test_a_part_without_a_price_makes_the_sum_at_least_never_zero() -> None:
    found = amount("1.234") + Amount.unknown("NAT gateway") + Amount.unknown("NAT gateway")
    assert found.text == "at least 1.23 USD"
    assert found.why == "no price of NAT gateway"
    assert (found * 2).missing == ("NAT gateway",)


def test_an_amount_of_which_nothing_has_a_price_is_unknown() -> None:
    assert Amount.unknown("workers").text == "unknown"
    assert Amount.unknown("workers").figure() == "unknown"
    assert amount("0").text == "0.00 USD"


def test_a_figure_is_an_amount_without_its_unit() -> None:
    assert amount("1.234").figure() == "1.23"
    assert (amount("1", "2") + Amount.unknown("NAT gateway")).figure(EXACT) == "at least 1.0000 to 2.0000"


def test_hours_are_exact_to_the_millisecond() -> None:
    assert hours_of(1800.0) == Decimal("0.5")
    assert hours_of(0.0014) * 3600 == Decimal("0.001")


def test_amounts_are_printed_in_cents_and_as_one_if_they_round_to_the_same() -> None:
    assert usd(Decimal("1234.567")) == "1,234.57"
    assert span(Decimal("0.501"), Decimal("0.502")) == "0.50"
    assert span(Decimal("0.5"), Decimal("0.6")) == "0.50 to 0.60"

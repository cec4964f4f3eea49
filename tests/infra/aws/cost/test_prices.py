"""The price table, and the operator's own file over it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from textwrap import dedent

import pytest

from bootstrap.errors import ConfigError
from infra.aws.cost import prices
from infra.aws.settings import regions
from infra.aws.settings.config import AwsConfig
from infra.cost.price_table import OVERRIDE, Answers
from tests.at_once import at_once


@pytest.fixture(autouse=True)
def nobodys_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Path of the operator's file of prices."""
    monkeypatch.delenv(prices.VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path / "caffe-spark" / "prices.yaml"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text))


def test_operators_who_refresh_one_file_at_once_leave_it_whole(nobodys_file: Path) -> None:
    answers = Answers("AWS", 1, ())
    figures = {"on_demand": 0.5, "spot": [0.1, 0.2]}

    def refresh() -> Path:
        return prices.BOOK.write({}, "eu-west-1", {"types": {"m6i.xlarge": figures}}, answers)

    for _ in range(10):
        assert at_once(*[refresh] * 4) == [nobodys_file] * 4
        assert prices.load().of("eu-west-1").types["m6i.xlarge"].source == "override"
        assert list(nobodys_file.parent.iterdir()) == [nobodys_file]


PRICED = ("eu-west-1", "eu-central-1", "us-east-1", "us-west-2")


def test_regions_that_have_prices_have_them_of_a_day() -> None:
    table = prices.load()
    assert set(table.regions) == set(PRICED)
    assert all(entry.date for entry in table.regions.values())


@pytest.mark.parametrize("region", PRICED)
def test_a_type_that_has_a_price_is_offered_there(region: str) -> None:
    usable = {name for name, kind in regions.table().types.items() if kind.arch == "x86_64"}
    offered = usable.intersection(regions.table().regions[region].offerings)
    priced = set(prices.load().of(region).types)
    assert priced <= offered
    # A default that has no price would have no estimate.
    defaults = AwsConfig.model_validate({"region": region})
    assert {defaults.head_type, *defaults.instance_types} <= priced


def test_one_region_has_a_price_of_all_that_it_offers() -> None:
    usable = {name for name, kind in regions.table().types.items() if kind.arch == "x86_64"}
    offered = usable.intersection(regions.table().regions["us-east-1"].offerings)
    assert set(prices.load().of("us-east-1").types) == offered


@pytest.mark.parametrize("region", PRICED)
def test_spot_costs_less_than_on_demand(region: str) -> None:
    for name, price in prices.load().of(region).types.items():
        assert price.spot is None or price.spot[1] < price.on_demand, name


def test_every_figure_says_where_it_is_from() -> None:
    table = prices.load()
    for entry in table.regions.values():
        sources = {entry.services.source, *(price.source for price in entry.types.values())}
        assert sources <= set(table.sources)


def test_every_service_has_a_price_in_every_region() -> None:
    for region, entry in prices.load().regions.items():
        assert None not in entry.services.model_dump().values(), region


def test_the_default_stacks_types_have_spot_prices() -> None:
    here = prices.load().of("eu-west-1")
    assert here.types["g4dn.xlarge"].on_demand == Decimal("0.587")
    assert here.types["g4dn.xlarge"].spot == (Decimal("0.2663"), Decimal("0.2832"))
    assert all(here.types[name].spot for name in ("g4dn.2xlarge", "g5.xlarge", "g5.2xlarge"))


def test_a_region_that_nobody_knows_has_an_empty_table() -> None:
    assert prices.load().of("eu-north-1").types == {}
    assert prices.load().of("eu-north-1").services.nat_hour is None


def test_the_origin_tells_the_day() -> None:
    assert prices.load().origin("eu-west-1") == "the project's price table of 2026-11-24"


def test_the_operators_figures_go_before_ours_and_the_rest_stays(nobodys_file: Path) -> None:
    write(
        nobodys_file,
        """
        regions:
          eu-west-1:
            date: 2026-12-01
            services: {nat_hour: 0.05}
            types:
              g4dn.xlarge: {spot: [0.3, 0.4]}
        """,
    )
    table = prices.load()
    here = table.of("eu-west-1")
    assert here.types["g4dn.xlarge"].spot == (Decimal("0.3"), Decimal("0.4"))
    assert here.types["g4dn.xlarge"].on_demand == Decimal("0.587")
    assert here.types["g4dn.xlarge"].source == OVERRIDE
    assert here.types["g5.xlarge"].source == "catalogue"
    assert (here.services.nat_hour, here.services.nat_gb) == (Decimal("0.05"), Decimal("0.048"))
    assert table.origin("eu-west-1") == f"{nobodys_file} of 2026-12-01, over the project's price table"
    assert table.origin("us-east-1") == "the project's price table of 2026-11-24"


def test_an_environment_variable_names_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mine.yaml"
    write(file, "regions: {us-east-1: {types: {m6i.xlarge: {on_demand: '0.1'}}}}")
    monkeypatch.setenv(prices.VARIABLE, str(file))
    assert prices.load().of("us-east-1").types["m6i.xlarge"].on_demand == Decimal("0.1")


def test_a_file_that_is_named_and_not_there_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(prices.VARIABLE, str(tmp_path / "nosuch.yaml"))
    with pytest.raises(ConfigError, match=r"nosuch\.yaml: there is no such file\. Run `unset"):
        prices.load()


def test_an_empty_file_says_nothing(nobodys_file: Path) -> None:
    write(nobodys_file, "")
    assert prices.load().of("eu-west-1").services.nat_hour == Decimal("0.048")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("regions: [", "prices.yaml: it is not valid YAML: "),
        ("- 1", "it is not a mapping with the key `regions`"),
        ("price: 1", "prices.yaml: price: unknown key; valid keys: regions, sources"),
        ("overridden: {}", "prices.yaml: overridden: unknown key"),
        ("regions: 1", "prices.yaml: regions: 1: "),
        ("regions: {eu-west-9: {}}", "regions.eu-west-9: unknown region; valid: af-south-1,"),
        (
            "regions: {eu-west-1: {day: 2026-12-01}}",
            "regions.eu-west-1.day: unknown key; valid keys: date, services, types",
        ),
        ("regions: {eu-west-1: {date: soon}}", "regions.eu-west-1.date: 'soon': "),
        (
            "regions: {eu-west-1: {services: {nat: 1}}}",
            "regions.eu-west-1.services.nat: unknown key; valid keys: gp3_gb_month,",
        ),
        ("regions: {eu-west-1: {services: {nat_hour: -1}}}", "services.nat_hour: -1: "),
        (
            "regions: {eu-west-1: {types: {g4dn.xlrge: {on_demand: 1}}}}",
            "types.g4dn.xlrge: unknown type; valid: m5.large,",
        ),
        (
            "regions: {eu-west-1: {types: {g4dn.xlarge: {price: 1}}}}",
            "types.g4dn.xlarge.price: unknown key; valid keys: on_demand, spot, source",
        ),
        ("regions: {eu-west-1: {types: {g4dn.xlarge: {on_demand: cheap}}}}", "on_demand: 'cheap': "),
        ("regions: {eu-west-1: {types: {g4dn.xlarge: {on_demand: 0}}}}", "on_demand: 0: "),
        (
            "regions: {eu-west-1: {types: {g4dn.xlarge: {spot: [2, 1]}}}}",
            "the lowest price must come first",
        ),
        (
            "regions: {eu-west-1: {types: {m6g.xlarge: {spot: [1, 2]}}}}",
            "m6g.xlarge.on_demand: Field required",
        ),
    ],
)
def test_what_is_no_price_is_refused_in_one_line(nobodys_file: Path, text: str, said: str) -> None:
    write(nobodys_file, text)
    with pytest.raises(ConfigError) as raised:
        prices.load()
    line = str(raised.value)
    assert said in line
    assert len(line.splitlines()) == 1
    assert "`fab cost --refresh`" in line

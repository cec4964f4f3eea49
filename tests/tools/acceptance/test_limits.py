"""The opt-in, the price cap, and the stack's file."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from bootstrap.errors import ConfigError
from tools.acceptance import limits, plan
from tools.acceptance.__main__ import main
from tools.acceptance.limits import CAP, bill_of, cap_of, minutes_of, most, require_within, write_stack
from tools.acceptance.plan import CLOUDS
from tools.acceptance.run import REFUSED
from tools.environment import ROOT

AWS, AZURE = CLOUDS["aws"], CLOUDS["azure"]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for file in ROOT.glob("Pulumi*.yaml"):
        if "acceptance" not in file.name and "e2e" not in file.name:
            # Set-up gives the files of this checkout a salt, which those in git do not have.
            lines = file.read_text().splitlines(keepends=True)
            own = [line for line in lines if not line.startswith("encryptionsalt:")]
            (tmp_path / file.name).write_text("".join(own))
    for name in (CAP, "CAFFE_SPARK_PRICES", "CAFFE_SPARK_AZURE_PRICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    return tmp_path


@pytest.mark.parametrize("cloud", list(CLOUDS))
def test_without_the_opt_in_nothing_runs_and_what_to_set_is_told(
    root: Path, capsys: pytest.CaptureFixture[str], cloud: str
) -> None:
    assert main([cloud], root) == REFUSED
    (line,) = capsys.readouterr().err.splitlines()
    assert f"Run `{CAP}=USD make acceptance-{cloud}`, with credentials as in docs/{cloud}.md" in line
    assert list(root.glob("Pulumi.acceptance*")) == []
    assert not (root / "results").exists()


@pytest.mark.parametrize("text", ["0", "-3", "much", "NaN", "inf", "12 USD", "1e"])
def test_a_cap_that_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="it is not a valid amount"):
        cap_of({CAP: text}, AWS)


@pytest.mark.parametrize("minutes", [-1, 0, 29])
def test_a_time_limit_within_which_no_run_ends_is_refused(minutes: int) -> None:
    with pytest.raises(ConfigError, match="no run ends within that time"):
        minutes_of(minutes)


@pytest.mark.parametrize("cloud", [AWS, AZURE])
def test_a_cap_below_the_estimate_is_refused_with_what_is_enough(root: Path, cloud: plan.Cloud) -> None:
    write_stack(root, cloud, cloud.source, Decimal(1000), cloud.minutes)
    bill = bill_of(root, cloud)
    needed = most(bill, cloud.minutes)
    with pytest.raises(ConfigError) as error:
        require_within(bill, cloud, Decimal(1), cloud.minutes)
    enough = Decimal(re.findall(r"Set it to ([\d.]+) or more", error.value.fix)[0])
    assert needed <= enough < needed + Decimal("0.01")
    assert require_within(bill, cloud, enough, cloud.minutes) == needed
    # The stack's own limit by the hour is the same one: `fab preflight` and `pulumi up` hold it as well.
    write_stack(root, cloud, cloud.source, enough, cloud.minutes)
    config = yaml.safe_load(limits.file_of(root, cloud.stack).read_text())["config"]
    assert Decimal(config["caffe-spark:budget"]["perHour"]) >= limits.dearest(bill_of(root, cloud))
    assert config["caffe-spark:budget"]["total"] == str(enough)


@pytest.mark.parametrize(("cloud", "key"), [(AZURE, "clusterName"), (AWS, "headAddress")])
def test_what_one_stack_alone_can_have_stays_the_sources(root: Path, cloud: plan.Cloud, key: str) -> None:
    made = plan.settings(cloud, {key: "one-of-a-kind", "region": "x"}, Decimal(12), cloud.minutes)
    assert key not in made
    assert made["region"] == "x"


def test_the_most_that_a_run_costs_is_that_of_a_group_that_has_grown(root: Path) -> None:
    fixed = bill_of(root, _written(root, {}))
    grows = _written(root, {"scaleToQueue": True, "idleStop": "30 min", "workers": 2, "maxWorkers": 8})
    assert bill_of(root, grows).high > 2 * fixed.high


def _written(root: Path, changes: dict[str, object]) -> plan.Cloud:
    file = root / "Pulumi.aws-eu-west-1.yaml"
    document = yaml.safe_load(file.read_text())
    document["config"].update({f"caffe-spark:{key}": value for key, value in changes.items()})
    file.write_text(yaml.safe_dump(document))
    write_stack(root, AWS, AWS.source, limits.ANY, AWS.minutes)
    return AWS


def test_a_cost_that_is_not_known_is_not_within_any_cap(root: Path) -> None:
    write_stack(root, AZURE, AZURE.source, Decimal(1000), 180)
    bill = replace(bill_of(root, AZURE), missing=("ZooKeepers",))
    with pytest.raises(ConfigError, match="the cost is not known: there is no price of ZooKeepers"):
        require_within(bill, AZURE, Decimal(10**6), 180)


def test_the_stack_is_the_sources_with_the_cap_and_without_its_secrets_key(root: Path) -> None:
    source = root / "Pulumi.aws-eu-west-1.yaml"
    salt = "encryptionsalt: v1:AAAA\nsecretsprovider: awskms://alias/x\nencryptedkey: AAAA\n"
    source.write_text(
        salt + source.read_text() + "  maxPrice: '0.80'\n  caffe-spark:terminationProtection: 'true'\n"
    )
    document = yaml.safe_load(write_stack(root, AWS, AWS.source, Decimal(12), 120).read_text())
    assert list(document) == ["config"]
    config = document["config"]
    assert config["caffe-spark:maxPrice"] == "0.80"
    assert config["caffe-spark:budget"] == {"perHour": "4.37", "total": "12"}
    assert (config["caffe-spark:forceDestroy"], config["caffe-spark:terminationProtection"]) == (True, False)
    assert config["pulumi:disable-default-providers"] == ["aws"]
    bill_of(root, AWS)


@pytest.mark.parametrize(
    ("source", "why"),
    [("nosuch", "there is no Pulumi.nosuch.yaml"), ("dev", "its provider is 'local', not aws")],
)
def test_a_source_of_another_kind_is_refused(root: Path, source: str, why: str) -> None:
    with pytest.raises(ConfigError) as error:
        write_stack(root, AWS, source, Decimal(12), 120)
    assert why in error.value.why
    assert list(root.glob("Pulumi.acceptance*")) == []


@pytest.mark.parametrize("key", ["storageAccountId", "storageStack"])
def test_storage_of_somebody_else_is_not_emptied(key: str) -> None:
    assert plan.settings(AZURE, {}, Decimal(12), AZURE.minutes)["forceDestroy"] is True
    assert "forceDestroy" not in plan.settings(AZURE, {key: "theirs"}, Decimal(12), AZURE.minutes)


@pytest.mark.parametrize("cloud", [AWS, AZURE])
def test_a_dry_run_shows_settings_price_steps_and_rows_and_leaves_nothing(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, cloud: plan.Cloud
) -> None:
    monkeypatch.setenv("PATH", str(root))
    assert main([cloud.name, "--dry-run"], root) == 0
    said = capsys.readouterr().out
    for step in (*plan.counted(cloud), plan.init(cloud), plan.remove(cloud)):
        assert " ".join(step.command) in said
    assert f"{CAP} is not set" in said
    assert "caffe-spark:forceDestroy: true" in said
    assert list(root.glob("Pulumi.acceptance*")) == []


def test_a_dry_run_under_a_cap_that_is_too_low_says_so(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CAP, "1")
    assert main(["aws", "--dry-run"], root) == REFUSED
    assert "for the teardown cost up to 8.27 USD" in capsys.readouterr().err


@pytest.mark.parametrize("cloud", [AWS, AZURE])
def test_the_rows_that_a_run_raises_are_those_of_the_document(cloud: plan.Cloud) -> None:
    table = (ROOT / cloud.document).read_text()
    rows = {row for step in plan.counted(cloud) for row in step.rows}
    assert [row for row in rows if f"| {row} |" not in table] == []

"""The whole sweep: regions side by side, what cannot be searched, and what is said at the end."""

from __future__ import annotations

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError

from bootstrap.clouds import aws
from bootstrap.errors import ConfigError
from infra.aws.sweep import account
from infra.aws.sweep.kinds import KINDS
from infra.aws.sweep.run import REGIONAL
from tests.infra.aws.sweep.conftest import REGION, THEIRS, World, swept

LISTED = {
    "Regions": [
        {"RegionName": "us-west-2", "OptInStatus": "opt-in-not-required"},
        {"RegionName": REGION, "OptInStatus": "opt-in-not-required"},
        {"RegionName": "eu-south-1", "OptInStatus": "opted-in"},
        {"RegionName": "me-south-1", "OptInStatus": "not-opted-in"},
    ]
}


def test_an_empty_account_has_0_left_in_every_region_that_it_has_enabled(world: World) -> None:
    world.answers["DescribeRegions"] = LISTED
    found = swept(regions=None)
    assert found.found.clean
    assert found.found.regions == ("eu-south-1", REGION, "us-west-2")
    asked = {region for operation, region in world.asked if operation == "DescribeInstances"}
    assert asked == set(found.found.regions)
    assert found.said.splitlines() == [
        "searching 3 regions of account 123456789012",
        "0 left (Project=caffe-spark) in 3 regions of account 123456789012",
    ]


def test_every_kind_that_is_looked_for_has_its_place_in_the_order() -> None:
    assert sorted([*REGIONAL, *account.FINDERS]) == sorted(KINDS)


def test_two_regions_are_searched_and_what_is_left_is_told_with_its_price(world: World) -> None:
    here, there = world.volume(), world.address(region="us-west-2")
    found = swept(regions=[REGION, "us-west-2"])
    assert sorted(leak.region for leak in found.found.leaks) == [REGION, "us-west-2"]
    assert not found.found.clean
    assert "2 left (Project=caffe-spark), 12.45 USD a month. To delete them, in this order:" in found.said
    assert found.said.splitlines()[-3:] == [
        "export AWS_PAGER=",
        f"aws ec2 delete-volume --volume-id {here} --region {REGION}",
        f"aws ec2 release-address --allocation-id {there} --region us-west-2",
    ]


def test_the_table_shows_each_thing_with_its_stack_and_price(world: World) -> None:
    id_ = world.volume()
    (row,) = [line for line in swept().said.splitlines() if id_ in line and not line.startswith("aws")]
    assert row.split() == [REGION, "volume", id_, "demo", "8.80"]


def test_a_region_that_is_not_named_is_not_asked(world: World) -> None:
    world.volume(region="us-west-2")
    assert swept(regions=[REGION]).found.clean
    asked = {region for operation, region in world.asked if operation == "DescribeVolumes"}
    assert asked == {REGION}


def test_only_the_named_stacks_things_are_leaks(world: World) -> None:
    world.volume()
    assert swept(stack="other").found.clean
    assert swept(stack="demo").kinds == ["volume"]
    assert "1 left (Project=caffe-spark, Stack=demo)" in swept(stack="demo").said


def test_what_a_living_stack_uses_is_told_apart_and_fails_nothing(world: World) -> None:
    world.volume()
    found = swept(alive=["demo"])
    assert found.found.clean
    assert [leak.kind for leak in found.found.in_use] == ["volume"]
    assert "in use by stack demo: 8.80 USD a month for 1 thing" in found.said
    assert "0 left (Project=caffe-spark) in 1 region of account" in found.said
    assert "delete-volume" not in found.said


def test_a_living_stack_does_not_cover_another_ones_leaks(world: World) -> None:
    world.volume()
    assert swept(alive=["other"]).kinds == ["volume"]


def test_a_kind_that_we_may_not_list_is_no_0_left(world: World) -> None:
    world.refuse("DescribeVolumes", "UnauthorizedOperation", message="No.")
    found = swept()
    assert not found.found.clean
    assert not found.found.leaks
    assert (
        f"not searched: {REGION}: volume: these credentials lack the permission DescribeVolumes" in found.said
    )
    assert "0 left" not in found.said
    assert found.said.splitlines()[-1] == (
        "Nothing was found (Project=caffe-spark), but not everything was searched."
    )


def test_a_missing_right_does_not_keep_the_rest_from_being_found(world: World) -> None:
    world.address()
    world.refuse("DescribeVolumes", "UnauthorizedOperation")
    found = swept()
    assert found.kinds == ["elastic address"]
    assert len(found.found.unsearched) == 1


def test_a_region_that_policy_forbids_is_one_line_with_every_kind(world: World) -> None:
    world.refuse("", "UnauthorizedOperation", region="ap-south-1", message="explicit deny")
    found = swept(regions=["ap-south-1"])
    assert {gap.kind for gap in found.found.unsearched} == set(REGIONAL)


def test_throttling_beyond_our_patience_is_no_0_left(world: World) -> None:
    world.refuse("DescribeInstances", "RequestLimitExceeded", region="us-west-2", message="Slow down.")
    found = swept(regions=[REGION, "us-west-2"])
    assert [(gap.region, gap.kind) for gap in found.found.unsearched] == [("us-west-2", "instance")]
    assert "not searched: us-west-2: instance: AWS throttles these calls (Slow down.)" in found.said
    assert not found.found.clean


def test_a_region_that_does_not_answer_is_asked_once(world: World) -> None:
    world.refusals["", "us-west-2"] = EndpointConnectionError(
        endpoint_url="https://ec2.us-west-2.amazonaws.com"
    )
    found = swept(regions=[REGION, "us-west-2"])
    assert {gap.region for gap in found.found.unsearched} == {"us-west-2"}
    assert {gap.kind for gap in found.found.unsearched} == set(REGIONAL)
    assert len([region for _, region in world.asked if region == "us-west-2"]) == 1


def test_a_region_that_the_account_has_not_enabled_is_no_0_left(world: World) -> None:
    world.answers["DescribeRegions"] = LISTED
    found = swept(regions=[REGION, "me-south-1"])
    assert not found.found.clean
    assert "not searched: me-south-1: everything: this account has not enabled it" in found.said


def test_a_region_that_there_is_not_is_refused(world: World) -> None:
    with pytest.raises(ConfigError, match=r"region 'eu-west-9': AWS has .*eu-west-1.*Use one of these"):
        swept(regions=["eu-west-9"])


def test_without_credentials_nothing_is_called_clean(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as nobody, pytest.raises(ConfigError, match="AWS credentials"):
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            nobody.delenv(name)
        nobody.setattr(aws, "session", boto3.session.Session)
        swept()


def test_credentials_that_may_not_list_regions_are_told_so(world: World) -> None:
    world.refuse("DescribeRegions", "UnauthorizedOperation")
    with pytest.raises(ConfigError, match="lack the permission DescribeRegions"):
        swept(regions=None)


def test_another_projects_things_are_untouched(world: World) -> None:
    world.instance(THEIRS)
    world.bucket("another", THEIRS)
    world.role("another", THEIRS)
    before = len(world.asked)
    assert swept().found.clean
    verbs = {operation for operation, _ in world.asked[before:]}
    assert all(verb.startswith(("Describe", "List", "Get")) for verb in verbs)

"""Buckets and roles of an account that is moto's."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.infra.aws.sweep.conftest import NOTHING, OURS, REGION, THEIRS, WITHOUT_STACK, World, swept


def test_an_empty_bucket_is_deleted_by_the_cli(world: World) -> None:
    name = world.bucket("caffe-spark-demo-1")
    leak = swept().the("bucket")
    assert (leak.region, leak.stack, leak.usd_month) == (REGION, "demo", Decimal(0))
    assert leak.command == f"aws s3api delete-bucket --bucket {name} --region {REGION}"


def test_a_bucket_costs_what_all_its_versions_do_and_goes_with_all_of_them(world: World) -> None:
    name, s3 = world.bucket("caffe-spark-demo-1"), world.client("s3")
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    for body in (b"1" * 2**20, b"2" * 2**20):
        s3.put_object(Bucket=name, Key="model", Body=body)
    s3.delete_object(Bucket=name, Key="model")
    leak = swept().the("bucket")
    assert leak.usd_month == Decimal("0.023") * 2**21 / 2**30
    assert leak.command.startswith("python3 -c ")
    assert "object_versions.delete()" in leak.command


def test_a_bucket_with_nothing_but_a_delete_marker_is_not_empty(world: World) -> None:
    name, s3 = world.bucket("caffe-spark-demo-1"), world.client("s3")
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket=name, Key="model", Body=b"1")["VersionId"]
    s3.delete_object(Bucket=name, Key="model")
    s3.delete_object(Bucket=name, Key="model", VersionId=version)
    assert swept().the("bucket").command.startswith("python3 -c ")


def test_a_bucket_whose_contents_we_may_not_list_has_no_price(world: World) -> None:
    world.bucket("caffe-spark-demo-1")
    world.refuse("ListObjectVersions", "AccessDenied")
    assert swept().the("bucket").usd_month is None


@pytest.mark.parametrize("tags", [None, THEIRS])
def test_a_bucket_without_our_tags_is_not_ours(world: World, tags: list[dict[str, str]] | None) -> None:
    world.bucket("caffe-spark-users-own", tags)
    assert swept().found.clean


def test_a_bucket_is_found_by_its_tags_whatever_its_name(world: World) -> None:
    world.bucket("renamed", WITHOUT_STACK)
    assert swept().the("bucket").id == "renamed"


def test_a_bucket_that_went_meanwhile_is_none(world: World) -> None:
    world.bucket("caffe-spark-demo-1")
    world.refuse("GetBucketTagging", "NoSuchBucket")
    assert swept().found.clean


def test_a_strangers_bucket_that_may_not_be_looked_at_is_not_ours(world: World) -> None:
    world.bucket("payroll", THEIRS)
    world.refuse("GetBucketTagging", "AccessDenied")
    assert swept().found.clean


def test_a_bucket_with_our_name_that_may_not_be_looked_at_is_no_0_left(world: World) -> None:
    world.bucket("caffe-spark-demo-1")
    world.refuse("GetBucketTagging", "AccessDenied")
    found = swept()
    assert not found.found.clean
    assert (
        "not searched: global: bucket: these credentials lack the permission GetBucketTagging" in found.said
    )
    assert "0 left" not in found.said


def test_buckets_are_looked_for_in_the_regions_that_were_named(world: World) -> None:
    world.bucket("caffe-spark-demo-1", region="us-west-2")
    assert swept(regions=[REGION]).found.clean
    assert swept(regions=["us-west-2"]).the("bucket").region == "us-west-2"


def test_the_oldest_regions_buckets_have_a_region_too(world: World) -> None:
    world.bucket("caffe-spark-demo-1", region="us-east-1")
    assert swept(regions=["us-east-1"]).the("bucket").region == "us-east-1"


def test_a_role_goes_with_its_policies_after_its_profile(world: World) -> None:
    iam = world.client("iam")
    role = world.role("caffe-spark-demo-head-1")
    iam.put_role_policy(RoleName=role, PolicyName="caffe-spark", PolicyDocument=NOTHING)
    policy = iam.create_policy(PolicyName="caffe-spark-demo-1", PolicyDocument=NOTHING, Tags=OURS)
    arn = policy["Policy"]["Arn"]
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=NOTHING, SetAsDefault=True)
    iam.attach_role_policy(RoleName=role, PolicyArn=arn)
    iam.create_instance_profile(InstanceProfileName="caffe-spark-demo-head-1", Tags=OURS)
    iam.add_role_to_instance_profile(InstanceProfileName="caffe-spark-demo-head-1", RoleName=role)
    said = [line for line in swept().said.splitlines() if line.startswith("aws iam")]
    profile = "--instance-profile-name caffe-spark-demo-head-1"
    named, policy_arn, here = f"--role-name {role}", f"--policy-arn {arn}", "--region us-east-1"
    assert said == [
        f"aws iam remove-role-from-instance-profile {profile} {named} {here}"
        f" && aws iam delete-instance-profile {profile} {here}",
        f"aws iam detach-role-policy {named} {policy_arn} {here}"
        f" && aws iam delete-role-policy {named} --policy-name caffe-spark {here}"
        f" && aws iam delete-role {named} {here}",
        f"aws iam delete-policy-version {policy_arn} --version-id v1 {here}"
        f" && aws iam delete-policy {policy_arn} {here}",
    ]


def test_a_role_of_another_stack_or_project_is_not_ours(world: World) -> None:
    world.role("caffe-spark-demo-head-1")
    world.role("caffe-spark-operators", THEIRS)
    world.role("another", THEIRS)
    assert swept(stack="other").found.clean
    assert [leak.id for leak in swept(stack="demo").found.leaks] == ["caffe-spark-demo-head-1"]


def test_roles_and_profiles_are_found_by_their_tags_whatever_their_names(world: World) -> None:
    world.role("platform-training-head", OURS)
    iam = world.client("iam")
    iam.create_instance_profile(InstanceProfileName="platform-training-head", Tags=OURS)
    arn = iam.create_policy(PolicyName="platform-training", PolicyDocument=NOTHING, Tags=OURS)["Policy"][
        "Arn"
    ]
    assert {(leak.kind, leak.id) for leak in swept().found.leaks} == {
        ("role", "platform-training-head"),
        ("instance profile", "platform-training-head"),
        ("policy", arn),
    }


def test_a_name_alone_makes_nothing_ours(world: World) -> None:
    world.role("caffe-spark-demo-head-1", [])
    iam = world.client("iam")
    iam.create_instance_profile(InstanceProfileName="caffe-spark-demo-head-1")
    iam.create_policy(PolicyName="caffe-spark-demo-1", PolicyDocument=NOTHING)
    assert swept().found.clean


def test_roles_that_only_aws_creates_are_not_asked_about(world: World) -> None:
    world.client("iam").create_service_linked_role(AWSServiceName="autoscaling.amazonaws.com")
    assert swept().found.clean
    assert "ListRoleTags" not in {operation for operation, _ in world.asked}


@pytest.mark.parametrize("operation", ["ListRoleTags", "GetInstanceProfile", "ListPolicyTags"])
def test_a_strangers_role_whose_tags_are_not_readable_is_not_ours(operation: str, world: World) -> None:
    world.role("payroll", THEIRS)
    iam = world.client("iam")
    iam.create_instance_profile(InstanceProfileName="payroll", Tags=THEIRS)
    iam.create_policy(PolicyName="payroll", PolicyDocument=NOTHING, Tags=THEIRS)
    world.refuse(operation, "AccessDenied")
    assert swept().found.clean


def test_a_role_with_our_name_whose_tags_are_not_readable_is_no_0_left(world: World) -> None:
    world.role("caffe-spark-demo-head-1")
    world.refuse("ListRoleTags", "AccessDenied")
    found = swept()
    assert not found.found.clean
    assert "not searched: global: role: these credentials lack the permission ListRoleTags" in found.said


def test_a_role_that_went_meanwhile_is_none(world: World) -> None:
    world.role("caffe-spark-demo-head-1")
    world.refuse("ListRoleTags", "NoSuchEntity")
    assert swept().found.clean

"""Leftover buckets and IAM resources of an account."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from bootstrap.clouds.aws import code_of
from infra.aws.cost.prices import Prices
from infra.aws.sweep.kinds import cli, rank, tags_of
from infra.sweep.leak import FREE, GLOBAL, Leak
from infra.tags import PROJECT, STACK_TAG, is_projects

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import BucketTypeDef

NO_TAGS: Final = "NoSuchTagSet"
GONE: Final = frozenset({"NoSuchBucket", "NoSuchEntity", "404"})
"""Deleted by somebody else during the search."""
DENIED: Final = frozenset({"AccessDenied", "AllAccessDisabled", "403"})
LOOK_AT: Final = 10
"""Pages of 1000 versions that a bucket's size is summed over; of a larger one the price is not known."""
ASIDE: Final = 8
IAM_REGION: Final = "us-east-1"
AWSS_OWN: Final = ("/aws-service-role/", "/aws-reserved/")
"""Paths of roles that only AWS creates."""
GB: Final = Decimal(2**30)
Tags = dict[str, str]


@dataclass(frozen=True)
class Account:
    """An account to search; `regions` restricts the buckets unless it is None."""

    s3: S3Client
    iam: IAMClient
    stack: str | None
    prices: Prices
    regions: Collection[str] | None = None

    def leak(self, kind: str, name: str, tags: Mapping[str, str], command: str) -> Leak:
        """Return a leftover that has no region and costs nothing."""
        return Leak(GLOBAL, kind, name, name, tags.get(STACK_TAG, ""), FREE, command, rank(kind))


Finder = Callable[[Account], Iterator[Leak]]


def _buckets(account: Account) -> Iterator[Leak]:
    """Find buckets by their tags. A bucket whose tags are not readable is not the project's, unless its name
    says so."""
    pages = account.s3.get_paginator("list_buckets").paginate(PaginationConfig={"PageSize": 1000})
    found = [bucket for page in pages for bucket in page.get("Buckets", [])]
    with ThreadPoolExecutor(ASIDE) as pool:
        tagged = list(pool.map(lambda bucket: _bucket_tags(account.s3, bucket["Name"]), found))
    for bucket, tags in zip(found, tagged, strict=True):
        if isinstance(tags, dict) and is_projects(tags, account.stack):
            region = _region_of(account.s3, bucket)
            if account.regions is None or region in account.regions:
                yield _bucket(account, bucket["Name"], region, tags)
    for failure in tagged:
        if isinstance(failure, ClientError):
            raise failure  # only now, after the readable buckets have been reported


def _bucket_tags(s3: S3Client, name: str) -> dict[str, str] | ClientError:
    try:
        return tags_of(s3.get_bucket_tagging(Bucket=name)["TagSet"])
    except ClientError as error:
        code = code_of(error)
        if code == NO_TAGS or code in GONE or (code in DENIED and not name.startswith(PROJECT)):
            return {}
        return error


def _region_of(s3: S3Client, bucket: BucketTypeDef) -> str:
    known = bucket.get("BucketRegion")
    # The oldest region's name is empty here.
    return known or s3.get_bucket_location(Bucket=bucket["Name"])["LocationConstraint"] or "us-east-1"


def _bucket(account: Account, name: str, region: str, tags: Mapping[str, str]) -> Leak:
    versions, size = _contents(account.s3, name)
    if versions == 0:
        command = cli("s3api", "delete-bucket", "--bucket", name, region=region)
    else:
        # `aws s3 rb --force` leaves old versions, and then fails because of them.
        program = (
            f'import boto3; b = boto3.resource("s3", "{region}").Bucket("{name}"); '
            "b.object_versions.delete(); b.delete()"
        )
        command = shlex.join(["python3", "-c", program])
    unit = account.prices.of(region).services.s3_gb_month
    usd = None if size is None or unit is None else unit * size / GB
    return Leak(region, "bucket", name, name, tags.get(STACK_TAG, ""), usd, command, rank("bucket"))


def _contents(s3: S3Client, name: str) -> tuple[int | None, int | None]:
    """Return (number of versions and delete markers, bytes); None if the list is too long or not readable."""
    count = size = 0
    try:
        for number, page in enumerate(s3.get_paginator("list_object_versions").paginate(Bucket=name)):
            if number == LOOK_AT:
                return count, None
            versions = page.get("Versions", [])
            count += len(versions) + len(page.get("DeleteMarkers", []))
            size += sum(version["Size"] for version in versions)
    except ClientError as error:
        if code_of(error) in DENIED:
            return None, None
        raise
    return count, size


def _profiles(account: Account) -> Iterator[Leak]:
    iam = account.iam
    pages = iam.get_paginator("list_instance_profiles").paginate()
    profiles = {one["InstanceProfileName"]: one for page in pages for one in page["InstanceProfiles"]}

    def ask(name: str) -> Tags:
        return tags_of(iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"].get("Tags"))

    for name, tags in _ours(account, {name: name for name in profiles}, ask):
        named = ("--instance-profile-name", name)
        steps = [
            _iam("remove-role-from-instance-profile", *named, "--role-name", role["RoleName"])
            for role in profiles[name].get("Roles", [])
        ]
        command = " && ".join([*steps, _iam("delete-instance-profile", *named)])
        yield account.leak("instance profile", name, tags, command)


def _roles(account: Account) -> Iterator[Leak]:
    iam = account.iam
    pages = iam.get_paginator("list_roles").paginate()
    names = [
        role["RoleName"] for page in pages for role in page["Roles"] if not role["Path"].startswith(AWSS_OWN)
    ]

    def ask(name: str) -> Tags:
        return tags_of(iam.list_role_tags(RoleName=name)["Tags"])

    for name, tags in _ours(account, {name: name for name in names}, ask):
        yield account.leak("role", name, tags, _remove_role(iam, name))


def _remove_role(iam: IAMClient, name: str) -> str:
    named = ("--role-name", name)
    attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    inline = iam.list_role_policies(RoleName=name)["PolicyNames"]
    steps = [
        *(_iam("detach-role-policy", *named, "--policy-arn", one["PolicyArn"]) for one in attached),
        *(_iam("delete-role-policy", *named, "--policy-name", one) for one in inline),
        _iam("delete-role", *named),
    ]
    return " && ".join(steps)


def _policies(account: Account) -> Iterator[Leak]:
    iam = account.iam
    pages = iam.get_paginator("list_policies").paginate(Scope="Local")
    names = {policy["Arn"]: policy["PolicyName"] for page in pages for policy in page["Policies"]}

    def ask(arn: str) -> Tags:
        return tags_of(iam.list_policy_tags(PolicyArn=arn)["Tags"])

    for arn, tags in _ours(account, names, ask):
        versions = iam.list_policy_versions(PolicyArn=arn)["Versions"]
        named = ("--policy-arn", arn)
        old = [one["VersionId"] for one in versions if not one["IsDefaultVersion"]]
        steps = [_iam("delete-policy-version", *named, "--version-id", one) for one in old]
        command = " && ".join([*steps, _iam("delete-policy", *named)])
        yield account.leak("policy", arn, tags, command)


def _ours(
    account: Account, names: Mapping[str, str], ask: Callable[[str], Tags]
) -> Iterator[tuple[str, Tags]]:
    """Yield the ids (id → name) of IAM resources with the project's tags, whatever their name, and the tags.

    Lists of IAM have no tags, and the Resource Groups Tagging API does not find roles (read on 2026-11-30):
    https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/supported-services.html. So each
    one is asked for its tags. One whose tags are not readable is not the project's, unless its name says so.
    """

    def look(key: str) -> Tags | ClientError:
        try:
            return ask(key)
        except ClientError as error:
            code = code_of(error)
            if code in GONE or (code in DENIED and not names[key].startswith(PROJECT)):
                return {}
            return error

    with ThreadPoolExecutor(ASIDE) as pool:
        found = list(zip(names, pool.map(look, names), strict=True))
    for key, tags in found:
        if isinstance(tags, dict) and is_projects(tags, account.stack):
            yield key, tags
    for _, failure in found:
        if isinstance(failure, ClientError):
            raise failure  # only now, after those that are readable have been reported


def _iam(*words: str) -> str:
    """Format an IAM command; IAM has no region, but the CLI may require one."""
    return cli("iam", *words, region=IAM_REGION)


FINDERS: Final[dict[str, Finder]] = {
    "bucket": _buckets,
    "instance profile": _profiles,
    "role": _roles,
    "policy": _policies,
}

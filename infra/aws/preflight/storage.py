"""Check that a network of the company leads to S3 by an endpoint."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from infra import tags
from infra.aws.preflight.cloud import Cloud
from infra.aws.preflight.routes import Endpoint, endpoints_of, tables_of
from infra.preflight.finding import Finding

if TYPE_CHECKING:
    from infra.aws.settings.config import AwsConfig
    from infra.aws.settings.existing import Subnets

STORAGE: Final = "network: S3"
ALL: Final = ("*", ["*"])


def by_endpoint(cloud: Cloud, config: AwsConfig, subnets: Subnets, stack: str) -> Finding:
    """Return the finding: each byte of the bucket goes by a free gateway endpoint, or pays for its way."""
    names = list(dict.fromkeys((subnets.head, *subnets.workers)))
    found = tables_of(cloud.ec2, str(config.vpc), names)
    storage = [one for one in endpoints_of(cloud.ec2, str(config.vpc), config.region) if one.service == "s3"]
    everywhere = any(not one.gateway and one.private_names for one in storage)
    reached = {table for one in storage for table in one.tables}
    missing = [one for one in names if not everywhere and found[one].id not in reached]
    if missing:
        tables = sorted({found[one].id for one in missing})
        cut_off = any(found[one].way == "none" for one in missing)
        return Finding(
            STORAGE,
            "failed" if cut_off else "note",
            f"{', '.join(tables)} of {', '.join(missing)} have no gateway endpoint of S3: "
            + ("the bucket cannot be reached" if cut_off else "each byte pays for the way out"),
            f"Ask for it, it is free of charge: `{_gateway(config, storage, tables)}`.",
        )
    strict = [one.id for one in storage if not _is_open(one.policy)]
    if strict:
        bucket = f"{tags.full_name(stack).lower()}-*"
        return Finding(
            STORAGE,
            "note",
            f"{', '.join(strict)} has a policy of its own",
            f"It has to let the machines' roles read and write buckets {bucket}.",
        )
    return Finding(STORAGE, "passed", f"by {', '.join(one.id for one in storage)}")


def _is_open(policy: str) -> bool:
    """Return whether an endpoint has AWS's default policy, which lets everybody do everything."""
    try:
        statements = json.loads(policy)["Statement"] if policy else []
    except (ValueError, KeyError, TypeError):
        return False
    allows = [one for one in statements if one.get("Effect") == "Allow" and "Condition" not in one]
    everything = any(one.get("Action") in ALL and one.get("Resource") in ALL for one in allows)
    return not policy or (everything and all(one.get("Effect") == "Allow" for one in statements))


def _gateway(config: AwsConfig, storage: Sequence[Endpoint], tables: Sequence[str]) -> str:
    there = next((one.id for one in storage if one.gateway), None)
    if there:
        return (
            f"aws ec2 modify-vpc-endpoint --vpc-endpoint-id {there} --add-route-table-ids "
            f"{' '.join(tables)} --region {config.region}"
        )
    return (
        f"aws ec2 create-vpc-endpoint --vpc-id {config.vpc} --service-name "
        f"com.amazonaws.{config.region}.s3 --route-table-ids {' '.join(tables)} --region {config.region}"
    )

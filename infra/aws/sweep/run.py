"""Search of all regions of an AWS account, in parallel."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import boto3
from botocore.exceptions import ClientError
from rich.console import Console

from bootstrap.clouds import aws
from bootstrap.console import print_line
from bootstrap.errors import CaffeSparkError, ConfigError, ServiceDown
from infra.aws.cost import prices
from infra.aws.sweep import account, machines, network, texts
from infra.aws.sweep.kinds import NO_PAGER
from infra.aws.sweep.region import RegionSearch
from infra.sweep.leak import GLOBAL, Leak, Results, Unsearched
from infra.sweep.report import SweepResult, counted, print_report

HOME: Final = "us-east-1"
"""Region for global services and for the list of regions, if the operator has configured none."""
SIDE_BY_SIDE: Final = 12
"""Number of regions searched in parallel; a search mostly waits for AWS."""
REGIONAL: Final = {**machines.FINDERS, **network.FINDERS, **texts.FINDERS}

Asked = TypeVar("Asked", RegionSearch, account.Account)


def sweep(
    stack: str | None,
    regions: Sequence[str] | None,
    console: Console,
    *,
    alive: Collection[str] = (),
) -> SweepResult:
    """Search for resources with the project's tags, print the report, and return it.

    `stack` restricts the search to one stack, `regions` to some regions (buckets, too); None is everything.
    `alive` stacks exist, so that their resources are in use.

    If something could not be searched, the result is not `clean`, whatever was found.

    Raises:
        ConfigError: credentials are missing, wrong or expired, or may not list regions; or a region does not
            exist.
        ServiceDown: AWS cannot be reached at all.
    """
    session = aws.session()
    with aws.translate_errors("asking who we are"):
        sts = session.client("sts", region_name=session.region_name or HOME, config=aws.RETRY)
        number = sts.get_caller_identity()["Account"]
    enabled, disabled = _regions(session, regions)
    where = f"{counted(len(enabled), 'region')} of account {number}"
    print_line(console, f"searching {where}")
    table = prices.load()
    jobs: list[Callable[[], Results]] = [_account_job(session, stack, table, regions)]
    # Sessions are not thread-safe; clients are.
    jobs += [_region_job(_region_search(session, region, stack, table)) for region in enabled]
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        results = list(pool.map(lambda search: search(), jobs))
    leaks = sorted((leak for one in results for leak in one.leaks), key=lambda leak: leak.order)
    found = SweepResult(
        where=where,
        regions=tuple(enabled),
        stack=stack,
        leaks=tuple(leak for leak in leaks if leak.stack not in alive or not leak.stack),
        in_use=tuple(leak for leak in leaks if leak.stack and leak.stack in alive),
        unsearched=(*disabled, *(gap for one in results for gap in one.unsearched)),
        first=(NO_PAGER,),
    )
    print_report(found, console)
    return found


def _regions(
    session: boto3.session.Session, wanted: Sequence[str] | None
) -> tuple[list[str], list[Unsearched]]:
    """Return the regions to search, and those of `wanted` that the account has not enabled."""
    with aws.translate_errors("listing regions"):
        ec2 = session.client("ec2", region_name=session.region_name or HOME, config=aws.RETRY)
        known = ec2.describe_regions(AllRegions=True)["Regions"]
    enabled = {one["RegionName"]: one.get("OptInStatus") != "not-opted-in" for one in known}
    if wanted is None:
        return sorted(name for name, on in enabled.items() if on), []
    for name in wanted:
        if name not in enabled:
            raise ConfigError(
                f"region {name!r}", f"AWS has {', '.join(sorted(enabled))}", "Use one of these, or none."
            )
    named = list(dict.fromkeys(wanted))
    off = [
        Unsearched(name, "everything", "this account has not enabled it")
        for name in named
        if not enabled[name]
    ]
    return [name for name in named if enabled[name]], off


def _region_search(
    session: boto3.session.Session, region: str, stack: str | None, table: prices.Prices
) -> RegionSearch:
    return RegionSearch(
        region=region,
        ec2=session.client("ec2", region_name=region, config=aws.RETRY),
        autoscaling=session.client("autoscaling", region_name=region, config=aws.RETRY),
        logs=session.client("logs", region_name=region, config=aws.RETRY),
        ssm=session.client("ssm", region_name=region, config=aws.RETRY),
        stack=stack,
        prices=table.of(region),
    )


def _region_job(search: RegionSearch) -> Callable[[], Results]:
    return lambda: _search(search.region, REGIONAL, search)


def _account_job(
    session: boto3.session.Session, stack: str | None, table: prices.Prices, regions: Sequence[str] | None
) -> Callable[[], Results]:
    home = session.region_name or HOME
    asked = account.Account(
        s3=session.client("s3", region_name=home, config=aws.RETRY),
        iam=session.client("iam", region_name=home, config=aws.RETRY),
        stack=stack,
        prices=table,
        regions=regions,
    )
    return lambda: _search(GLOBAL, account.FINDERS, asked)


def _search(where: str, finders: Mapping[str, Callable[[Asked], Iterator[Leak]]], asked: Asked) -> Results:
    """Search for every kind of resource; one that cannot be listed does not stop the search."""
    results = Results()
    unreachable = ""
    for kind, find in finders.items():
        if unreachable:
            results.unsearched.append(Unsearched(where, kind, unreachable))
            continue
        try:
            with aws.translate_errors(f"listing {kind}s"):
                results.leaks += find(asked)
        except CaffeSparkError as error:
            results.unsearched.append(Unsearched(where, kind, error.why))
            if isinstance(error, ServiceDown) and not isinstance(error.__cause__, ClientError):
                unreachable = error.why  # no answer at all: the next kind would time out, too
    return results

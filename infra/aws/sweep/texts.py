"""Leftover log groups and parameters of a region."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from infra.aws.sweep.kinds import tags_of
from infra.aws.sweep.region import Finder, RegionSearch
from infra.sweep.leak import FREE, Leak
from infra.tags import PROJECT, PROJECT_TAG, STACK_TAG, is_projects

if TYPE_CHECKING:
    from mypy_boto3_ssm.type_defs import ParameterStringFilterTypeDef

GB: Final = Decimal(2**30)


def _log_groups(search: RegionSearch) -> Iterator[Leak]:
    """Find log groups by name, which contains the project's, and by tag; they cannot be filtered by tag."""
    unit = search.prices.services.logs_gb_month
    pages = search.logs.get_paginator("describe_log_groups").paginate(logGroupNamePattern=PROJECT)
    for page in pages:
        for group in page["logGroups"]:
            name = group["logGroupName"]
            arn = group.get("logGroupArn") or group["arn"].removesuffix(":*")
            tags = search.logs.list_tags_for_resource(resourceArn=arn)["tags"]
            if is_projects(tags, search.stack):
                usd = None if unit is None else unit * group.get("storedBytes", 0) / GB
                command = search.cli("logs", "delete-log-group", "--log-group-name", name)
                yield search.leak("log group", name, tags, usd, command)


def _parameters(search: RegionSearch) -> Iterator[Leak]:
    """Find parameters by tag, or below the path /caffe-spark/STACK/."""
    tagged: list[ParameterStringFilterTypeDef] = [{"Key": f"tag:{PROJECT_TAG}", "Values": [PROJECT]}]
    folder = f"/{PROJECT}/"
    if search.stack is not None:
        tagged.append({"Key": f"tag:{STACK_TAG}", "Values": [search.stack]})
        folder += f"{search.stack}/"
    named: list[ParameterStringFilterTypeDef] = [{"Key": "Name", "Option": "BeginsWith", "Values": [folder]}]
    for filters in (tagged, named):
        for page in search.ssm.get_paginator("describe_parameters").paginate(ParameterFilters=filters):
            for parameter in page["Parameters"]:
                name = parameter["Name"]
                if not search.has("parameter", name):
                    found = search.ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=name)
                    command = search.cli("ssm", "delete-parameter", "--name", name)
                    yield search.leak("parameter", name, tags_of(found.get("TagList")), FREE, command)


FINDERS: Final[dict[str, Finder]] = {"log group": _log_groups, "parameter": _parameters}

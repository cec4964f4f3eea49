"""HDInsight's validation of the request that would create the cluster."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from bootstrap.clouds import azure
from infra.azure.preflight.cloud import Cloud
from infra.preflight.finding import CloudCheck, Finding

if TYPE_CHECKING:
    from azure.mgmt.hdinsight.models import ValidationErrorInfo

    from infra.azure.settings.config import AzureConfig

NAME: Final = "request"
CONTENT: Final = "application/json"


def checks(config: AzureConfig, stack: str) -> list[CloudCheck[Cloud]]:
    """Return the check, which may have several findings."""
    return [CloudCheck(NAME, lambda cloud: _validate(cloud, config, stack))]


def _validate(cloud: Cloud, config: AzureConfig, stack: str) -> list[Finding]:
    if cloud.cluster is not None:
        return [Finding(NAME, "passed", "the cluster exists: HDInsight has accepted it")]
    # Pulumi's classes of the cluster take a second to import.
    from infra.azure.preflight.body import body, stand_ins

    request = json.dumps(body(config, stack, cloud.names, cloud.tenant)).encode()
    with azure.translate_errors("validating the request", stack):
        answer = cloud.locations.validate_cluster_create_request(
            config.region, io.BytesIO(request), content_type=CONTENT
        )
    unreal = stand_ins(config, cloud.names)
    found = [_said(one, unreal, stack, "failed") for one in answer.validation_errors or []]
    found += [_said(one, unreal, stack, "note") for one in answer.validation_warnings or []]
    if any(one.failed for one in found):
        return found
    minutes = answer.estimated_creation_duration
    takes = f", in about {minutes.total_seconds() / 60:.0f} minutes" if minutes else ""
    return [Finding(NAME, "passed", f"HDInsight would create this cluster{takes}"), *found]


def _said(one: ValidationErrorInfo, unreal: Mapping[str, str], stack: str, verdict: str) -> Finding:
    """Convert HDInsight's message; one about what the request has stand-ins for is only a note."""
    words = " ".join((one.message or "no message").split()).rstrip(".")
    said = f"{words} ({one.code})" if one.code else words
    about = " ".join([words, one.error_resource or "", *(one.message_arguments or [])]).lower()
    what = next((its for name, its in unreal.items() if name.lower() in about), "")
    if what:
        return Finding(NAME, "note", f"about {what}: {said}")
    if verdict == "note":
        return Finding(NAME, "note", said)
    return Finding(NAME, "failed", said, f"Fix the setting: `pulumi config --stack {stack}`, docs/azure.md.")

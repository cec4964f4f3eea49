"""Settings that may not change while a stack is up, compared with what it exported last."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pulumi
from pulumi.runtime import invoke
from pulumi.runtime.proto.engine_pb2_grpc import EngineStub
from pulumi.runtime.settings import get_engine

from bootstrap.cluster import HDINSIGHT, SparkLine
from bootstrap.errors import ConfigError
from infra.tags import PROJECT

_OUTPUTS: Final = "pulumi:pulumi:readStackOutputs"
"""Look-up of Pulumi's own; unlike a `StackReference` it leaves no resource in the state."""


def last_outputs(stack: str) -> Mapping[str, Any]:
    """Return the outputs of the last successful update; empty before the first, and once destroyed."""
    if not isinstance(get_engine(), EngineStub):
        # A recorder of programs, which knows no earlier update.
        return {}
    organization = pulumi.get_organization() or "organization"
    found = invoke(_OUTPUTS, {"name": f"{organization}/{PROJECT}/{stack}"}).value
    outputs: Mapping[str, Any] = (found or {}).get("outputs") or {}
    return outputs


def check(spark: SparkLine, stack: str, outputs: Mapping[str, Any]) -> None:
    """Refuse another release of Spark than that of the nodes that are up. Pure.

    Raises:
        ConfigError: the stack is up with another one.
    """
    cluster = outputs.get("cluster")
    if not isinstance(cluster, Mapping):
        return
    # Documents without it are those of earlier versions, which had one release.
    running = cluster.get("spark", HDINSIGHT)
    if spark != running:
        raise ConfigError(
            f"{PROJECT}:spark = {spark}",
            f"stack {stack!r} is up with Spark {running}, and what its HDFS and nodes hold is not converted",
            f"Keep it: `pulumi config set spark {running} --stack {stack}`; "
            f"or run `pulumi destroy --stack {stack}` first, which deletes it.",
        )

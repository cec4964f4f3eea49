"""The `bootstrap.cluster.ClusterDocument` of a stack on AWS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pulumi

from bootstrap.cluster import VERSION
from infra import tags
from infra.aws import access
from infra.aws.settings.config import AwsConfig
from infra.aws.site import Site, planned
from infra.settings.budget import limits

Outputs = dict[str, Any]

# What a worker's memory goes to before Spark may give any to executors' JVMs, in MB.
RESERVED_MB: Final = {
    "system, SSM agent and page cache": 1024,
    "Spark worker daemon": 320,
}
RANK_MB: Final = 2048
"""Of each GPU's trainer, or of the CPUs': Python, pycaffe or its GPU's buffers, gradients."""
KERNEL_SHARE: Final = 0.05
"""Of the nominal memory; no instance ever sees it."""
SSH_PORT: Final = 22


def spark_memory_mb(memory_mib: int, gpus: int = 0) -> int:
    """Return the MiB that Spark may hand out on an instance of that size."""
    return int(memory_mib * (1 - KERNEL_SHARE)) - sum(RESERVED_MB.values()) - RANK_MB * max(1, gpus)


def group_name(stack: str) -> str:
    """Return the name of the workers' Auto Scaling group, which machines and `fab` know in advance."""
    return tags.full_name(stack, "workers")


def log_group(stack: str) -> str:
    """Return the name of the stack's log group in CloudWatch."""
    return f"{tags.PROJECT}/{stack}"


def document(
    config: AwsConfig,
    stack: str,
    *,
    site: Site | None = None,
    shared_storage: pulumi.Input[str],
    spark_secret: pulumi.Input[str],
    private_key: pulumi.Input[str] | None,
    job_role: pulumi.Input[str],
    signing: Mapping[str, pulumi.Input[str]] | None = None,
    instance: pulumi.Input[str] = "",
    ssh_target: pulumi.Input[str] = "",
    prices: Outputs | None = None,
) -> Outputs:
    """The document, with outputs at its leaves where they are given: only secrets are secret.

    `site` has the head's address; by default, as planned in the stack's own network.
    `private_key` is the stack's own; None where the operator's key pair is used. `job_role` is the ARN of the
    jobs' role. `signing` is a `bootstrap.signing.SigningKey`, None in the document that machines' scripts are
    rendered from. `instance` and `ssh_target` are the head's. `prices` is a `bootstrap.cluster.Prices`, None
    in that document too: scripts are the same whatever nodes cost.
    """
    key = (
        {"private_key_file": config.private_key_file} if private_key is None else {"private_key": private_key}
    )
    return {
        "version": VERSION,
        "stack": stack,
        "provider": "aws",
        "head": {
            "name": tags.HEAD,
            # No host key: each machine reports its own when it is up.
            "address": (site or planned(config)).head_address,
            "ssh_target": ssh_target,
            "instance": instance,
        },
        "scheduler": {"kind": "standalone", "master": f"spark://{tags.HEAD}:7077"},
        "storage": {"kind": "s3", "uri": shared_storage, "region": config.region, "job_role": job_role},
        "members": {
            "kind": "auto_scaling_group",
            "name": group_name(stack),
            "region": config.region,
            "desired_capacity": config.workers,
            "market": "spot" if config.spot else "on_demand",
            "min_size": config.min_workers,
            "watched": True,
            "fallback_seconds": config.fallback_after,
            "scales": config.scale_to_queue,
            "max_size": config.max_workers,
        },
        "ssh": {
            "user": config.ssh_user,
            **key,
            "port": SSH_PORT,
            "proxy_command": None if config.admin_cidrs else access.proxy_command(config.region),
            "jump": True,
        },
        "spark_secret": spark_secret,
        "signing": signing,
        "spark": config.spark,
        "worker": {
            "cores": config.vcpus,
            "memory_mb": spark_memory_mb(config.memory_mib, config.gpus),
            "gpus": config.gpus,
            "compute_capabilities": list(config.compute_capabilities),
            "instance_store": any(kind.nvme_gb for kind in config.types),
            "efa": config.efa_interfaces,
            "cpu_training": config.cpu_training,
        },
        "package_proxy": config.package_proxy,
        "cloud_logs": {"group": log_group(stack), "region": config.region} if config.cloud_logs else None,
        "prices": prices,
        "limits": limits(config),
    }

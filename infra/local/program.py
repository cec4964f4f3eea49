"""Pulumi program of a cluster on this machine, as a bill of materials."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from typing import Any, Final

import pulumi

from bootstrap.cluster import VERSION
from infra import tags
from infra.keys import Secret, SigningKeyPair, SshKey
from infra.local import image, nft, nodes
from infra.local.cost.prices import PRICES
from infra.local.firewall import Firewall
from infra.local.network import EmbeddedNetwork, Leftovers
from infra.local.preflight import machine
from infra.local.settings.config import LocalConfig
from infra.settings.budget import limits

Outputs = dict[str, Any]

RESOURCE_MANAGER_PORT: Final = 8088

# Memory of a worker that Spark may not give to executors' JVMs, in MB.
RESERVED_MB: Final = {
    "systemd, sshd and page cache": 192,
    "HDFS DataNode": 384,
    "Spark worker daemon": 320,
    "the trainer: Python, pycaffe, gradients": 640,
}


# The same for YARN, whose containers' memory includes the trainer's.
RESERVED_BESIDE_YARN_MB: Final = {
    "systemd, sshd and page cache": 192,
    "HDFS DataNode": 384,
    "YARN NodeManager": 384,
}


def spark_memory_mb(node_memory_mb: int) -> int:
    """Return the memory that Spark may allocate on a node of that size."""
    return node_memory_mb - sum(RESERVED_MB.values())


YARN_STEP_MB: Final = 128


def yarn_memory_mb(node_memory_mb: int) -> int:
    """Return the memory that YARN may allocate on a node of that size."""
    return node_memory_mb - sum(RESERVED_BESIDE_YARN_MB.values())


def worker_memory_mb(config: LocalConfig) -> int:
    """Memory that the scheduler may hand out on a worker."""
    hands_out = spark_memory_mb if config.scheduler == "standalone" else yarn_memory_mb
    return hands_out(config.memory_mb)


def program(config: LocalConfig, stack: str, home: str) -> Outputs:
    """Register the stack's resources and return its outputs.

    Raises:
        ConfigError, StackError: this machine cannot run the stack; nothing has been registered then.
    """
    labels = tags.labels(stack, home)
    engine = machine.check(config, stack, labels).kind
    network_name = tags.full_name(stack)
    image_tag, recipe = image.describe(config.image)

    leftovers = Leftovers("leftovers", engine=engine, network=network_name, labels=labels)
    base = image.BaseImage("base-image", engine=engine, tag=image_tag, recipe=recipe)
    network = EmbeddedNetwork(
        "network",
        engine=engine,
        network=network_name,
        subnet=str(config.subnet),
        labels=labels,
        opts=pulumi.ResourceOptions(depends_on=[leftovers]),
    )
    firewall = Firewall(
        "firewall",
        engine=engine,
        network=network.network,
        subnet=str(config.subnet),
        users=nft.operators(os.getuid(), os.environ),
        table=nft.table_name(labels),
    )
    operator = SshKey("operator-key")
    spark_secret = Secret("spark-secret")
    signing = SigningKeyPair("signing-key")
    blob_key = Secret("blob-key").value.apply(account_key) if config.blobs else None
    names = [tags.HEAD, *tags.worker_names(config.workers)]
    machines = [
        nodes.EmbeddedNode(
            name,
            stack=stack,
            engine=engine,
            address=str(config.address(number)),
            network=network.network,
            image=base.tag,
            vcpu=config.vcpu,
            memory_mb=config.memory_mb,
            authorized_key=operator.public_key,
            labels=labels,
            # No node listens before it is decided who may connect.
            opts=pulumi.ResourceOptions(depends_on=[firewall]),
        )
        for number, name in enumerate(names)
    ]
    return {
        "cluster": _cluster(
            config, stack, machines, operator, spark_secret, signing=signing, blob_key=blob_key
        ),
        "nodes": {name: str(config.address(number)) for number, name in enumerate(names)},
        "engine": pulumi.Output.concat(engine, ": ", machines[0].flags),
        "firewall": firewall.state,
        "kept": image.kept(engine, image_tag),
        "next": f"fab build-headnode --stack {stack}, then fab submit-mnist --stack {stack}",
        "destroy": f"pulumi destroy --stack {stack}",
    }


def _cluster(
    config: LocalConfig,
    stack: str,
    machines: Sequence[nodes.EmbeddedNode],
    operator: SshKey,
    spark_secret: Secret,
    *,
    signing: SigningKeyPair,
    blob_key: pulumi.Output[str] | None,
) -> Outputs:
    """`bootstrap.cluster.ClusterDocument`, with outputs at its leaves: only secrets are secret."""
    return {
        "version": VERSION,
        "stack": stack,
        "provider": "local",
        "head": _node(machines[0]),
        "scheduler": _scheduler(config),
        "storage": _storage(config, blob_key),
        "members": {"kind": "fixed", "workers": [_node(worker) for worker in machines[1:]]},
        "ssh": {"user": nodes.USER, "private_key": operator.private_key, "port": nodes.PORT},
        "spark_secret": spark_secret.value,
        "signing": signing.document,
        "spark": config.spark,
        "worker": {"cores": config.vcpu, "memory_mb": worker_memory_mb(config), "gpus": 0},
        "prices": PRICES.model_dump(mode="json"),
        "limits": limits(config),
    }


def account_key(secret: str) -> str:
    """A storage account's key is base64. Pure."""
    return base64.b64encode(secret.encode()).decode()


def _scheduler(config: LocalConfig) -> Outputs:
    if config.scheduler == "standalone":
        return {"kind": "standalone", "master": f"spark://{tags.HEAD}:7077"}
    return {
        "kind": "yarn",
        "resource_manager": f"http://{tags.HEAD}:{RESOURCE_MANAGER_PORT}",
        "container_memory_mb": worker_memory_mb(config),
        "container_cores": config.vcpu,
        "step_mb": YARN_STEP_MB,
    }


def _storage(config: LocalConfig, blob_key: pulumi.Output[str] | None) -> Outputs:
    if config.blobs is not None:
        account, head = config.blobs.account, str(config.address(0))
        return {
            "kind": "blob",
            "uri": f"wasb://{config.blobs.container}@{account}.blob.core.windows.net",
            "key": blob_key,
            "server": head,
        }
    if config.s3 is None or config.s3_secret_key is None:
        return {"kind": "hdfs", "uri": f"hdfs://{tags.HEAD}:9000"}
    s3 = config.s3
    return {
        "kind": "s3",
        "uri": f"s3a://{s3.bucket}",
        "endpoint": s3.endpoint,
        "region": s3.region,
        "access_key": s3.access_key,
        "secret_key": pulumi.Output.secret(config.s3_secret_key.get_secret_value()),
    }


def _node(node: nodes.EmbeddedNode) -> Outputs:
    return {"name": node.hostname, "address": node.address, "host_key": node.host_public_key}

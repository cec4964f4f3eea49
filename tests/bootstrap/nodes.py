"""Bare nodes for tests marked `cluster`: the dev stack's image, network and containers, without Pulumi."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Network

from bootstrap.cluster import Cluster
from infra import tags
from infra.keys import SshKeyProvider
from infra.local import image, nodes
from infra.local.engine import Engine
from infra.local.network import NetworkProvider
from infra.local.settings.config import DebstrapImage
from infra.provider import Props
from tests.conftest import cluster_of
from tests.outputs import outputs_of

CANDIDATES = list(IPv4Network("10.96.0.0/12").subnets(new_prefix=24))


@contextmanager
def bare_nodes(names: Sequence[str], *, vcpu: int = 2, memory_mb: int = 1024) -> Iterator[Cluster]:
    """Boot nodes of these names, the first one as head; they and their network go in the end."""
    where = engine()
    stack = f"test-{os.getpid()}"
    labels = tags.labels(stack, tempfile.gettempdir())
    with ExitStack() as stack_of_things:
        made = stack_of_things.enter_context
        image_tag, recipe = image.describe(DebstrapImage(source="mmdebstrap"))
        image.BaseImageProvider().create({"engine": where.kind, "tag": image_tag, "recipe": recipe})
        subnet = _free_subnet(where)
        network = made(
            _network(
                {"engine": where.kind, "network": tags.full_name(stack), "subnet": subnet, "labels": labels}
            )
        )
        operator = _key("operator")
        found = []
        for number, name in enumerate(names):
            host_key = _key(name)
            address = str(IPv4Network(subnet)[10 + number])
            made(
                _node(
                    {
                        "engine": where.kind,
                        "container": tags.full_name(stack, name),
                        "hostname": name,
                        "address": address,
                        "network": network,
                        "image": image_tag,
                        "vcpu": vcpu,
                        "memory_mb": memory_mb,
                        "host_private_key": host_key["private_key"],
                        "host_public_key": host_key["public_key"],
                        "authorized_key": operator["public_key"],
                        "labels": labels,
                    }
                )
            )
            found.append({"name": name, "address": address, "host_key": host_key["public_key"]})
        yield cluster_of(
            {
                "stack": stack,
                "provider": "local",
                "head": found[0],
                "scheduler": {"kind": "standalone", "master": f"spark://{names[0]}:7077"},
                "storage": {"kind": "hdfs", "uri": f"hdfs://{names[0]}:9000"},
                # A cluster has a worker; where a test wants one node alone, the head is that one.
                "members": {"kind": "fixed", "workers": found[1:] or found},
                "ssh": {"user": nodes.USER, "private_key": operator["private_key"]},
                "spark_secret": "secret-of-the-test",
                "worker": {"cores": vcpu, "memory_mb": memory_mb},
            }
        )


def container_of(cluster: Cluster, name: str) -> str:
    """Container name of a node of `bare_nodes`."""
    return tags.full_name(cluster.stack, name)


def engine() -> Engine:
    """The engine that `bare_nodes` uses."""
    return Engine("podman" if shutil.which("podman") else "docker")


def _key(purpose: str) -> Props:
    return outputs_of(SshKeyProvider(), purpose=purpose)


@contextmanager
def _network(props: Props) -> Iterator[str]:
    NetworkProvider().create(props)
    try:
        yield props["network"]
    finally:
        NetworkProvider().delete(props["network"], props)


@contextmanager
def _node(props: Props) -> Iterator[None]:
    made = nodes.NodeProvider().create(props)
    try:
        yield
    finally:
        nodes.NodeProvider().delete(made.id, props)


def _free_subnet(where: Engine) -> str:
    taken = [subnet for network in where.networks() for subnet in network.subnets]
    # Runs side by side start at different places, and so hardly ever want the same one.
    start = os.getpid() % len(CANDIDATES)
    for candidate in CANDIDATES[start:] + CANDIDATES[:start]:
        if not any(candidate.overlaps(subnet) for subnet in taken):
            return str(candidate)
    raise AssertionError("every subnet for tests is taken")

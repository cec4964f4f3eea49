"""Collection of a support bundle, part by part; what a part needs and cannot have is named as missing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from bootstrap.cluster import Cluster, ClusterDocument
from bootstrap.errors import CaffeSparkError, StackError
from bootstrap.inventory import joining
from bootstrap.inventory.resolve import resolve
from bootstrap.inventory.stack import ask_of_stack
from bootstrap.inventory.stack_secrets import passphrase, stack_secrets
from bootstrap.support.bundle import Bundle
from bootstrap.support.cloud import add_cloud
from bootstrap.support.masking import Masking, named_secrets, of_environment
from bootstrap.support.nodes import add_findings, add_nodes
from bootstrap.support.operator import add_document, add_operator

SECRETS: Final = "masking"


def begin(root: Path, stack: str, env: Mapping[str, str]) -> Bundle:
    """Return a bundle that masks the stack's secrets, with the operator's part.

    Where the stack's secrets cannot be read, only what looks like a credential is masked, and that is told.
    """
    known, why = {passphrase(env), *of_environment(env)}, ""
    try:
        for value in stack_secrets(root, stack, env):
            known |= {value} if isinstance(value, str) else named_secrets(value)
    except (StackError, ValueError) as error:
        why = f"{error} Only what looks like a credential is masked."
    bundle = Bundle(Masking(known))
    if why:
        bundle.lack(SECRETS, why)
    add_operator(bundle, root, stack, env)
    return bundle


def document_of(bundle: Bundle, root: Path, stack: str, env: Mapping[str, str]) -> ClusterDocument | None:
    """Add the cluster that a stack declares, and return it; None where it cannot be read."""

    with bundle.part("cluster.json"):
        text = ask_of_stack(root, stack, env, "stack", "output", "--json", "--show-secrets", "--stack", stack)
        outputs: dict[str, Any] = json.loads(text or "{}")
        document = ClusterDocument.from_outputs(stack, outputs)
        add_document(bundle, document)
        return document
    return None


def nodes_of(bundle: Bundle, document: ClusterDocument, console: Console) -> Cluster | None:
    """Return the cluster with its nodes; None where the cloud does not tell them."""
    with bundle.part("nodes"):
        return resolve(document, console, wait=False, stopped=True)
    return None


def add_cluster(bundle: Bundle, document: ClusterDocument, cluster: Cluster | None) -> None:
    """Add what the cloud and the nodes tell."""
    add_cloud(bundle, document)
    if cluster is None:
        return
    failing = None
    try:
        failing = joining.finding(cluster)
    except CaffeSparkError as error:
        bundle.lack("cloud/joining", str(error))
    add_findings(bundle, cluster, also=[failing] if failing else [])
    add_nodes(bundle, cluster)

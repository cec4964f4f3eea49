"""Names of Azure resources, unique where Azure requires it. Pure.

Unique names contain a digest of the resource group's id, which includes the subscription: the same stack gets
the same names again, and a stack of that name elsewhere gets others.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from infra.azure.settings.name_rules import MAX_CLUSTER_NAME
from infra.tags import full_name

MAX_GROUP: Final = 90
CLUSTER_DIGEST: Final = 6
ACCOUNT_DIGEST: Final = 13
"""Hexadecimal digits; with its prefix an account's name has 24 characters, Azure's limit."""
BLOB_HOST: Final = "blob.core.windows.net"
DFS_HOST: Final = "dfs.core.windows.net"
CLUSTER_HOST: Final = "azurehdinsight.net"


def resource_group(stack: str) -> str:
    """Return the name of the stack's resource group."""
    return _plain(full_name(stack))[:MAX_GROUP].rstrip("-")


def cluster(stack: str, group_id: str) -> str:
    """Return the default name of the cluster."""
    room = MAX_CLUSTER_NAME - CLUSTER_DIGEST - 1
    return f"{_plain(full_name(stack))[:room].rstrip('-')}-{_digest(group_id)[:CLUSTER_DIGEST]}"


def account(group_id: str) -> str:
    """Return the name of the storage account of the file system; of scripts, too, unless they need their
    own."""
    return f"caffespark{_digest(group_id)[:ACCOUNT_DIGEST]}"


def scripts_account(group_id: str) -> str:
    """Return the name of the scripts' own storage account, if HDInsight cannot read scripts from the other
    one."""
    return f"caffesparka{_digest(group_id)[:ACCOUNT_DIGEST]}"


def subscription(group_id: str) -> str:
    """Return the subscription in a resource group's id `/subscriptions/ID/resourceGroups/NAME`."""
    return group_id.partition("/resourceGroups/")[0].removeprefix("/subscriptions/")


def ssh_host(cluster_name: str) -> str:
    """Return the SSH endpoint: port 22 is the active head, 23 the other one."""
    return f"{cluster_name}-ssh.{CLUSTER_HOST}"


def gateway_url(cluster_name: str) -> str:
    """Return the URL of the gateway to Ambari, Livy and YARN's pages."""
    return f"https://{cluster_name}.{CLUSTER_HOST}"


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _digest(text: str) -> str:
    # The case of Azure's ids depends on the service that returns them.
    return hashlib.sha256(text.lower().encode()).hexdigest()

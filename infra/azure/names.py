"""Physical names on Azure: whose the thing is, and what makes it unlike any other in the world. Pure.

What has to be unique is so by a digest of its resource group's id, which holds the subscription: the same
stack gets the same names again, and a stack of that name elsewhere gets others.
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
"""Hexadecimal digits; with the words before them an account's name has 24 characters, Azure's limit."""
BLOB_HOST: Final = "blob.core.windows.net"
DFS_HOST: Final = "dfs.core.windows.net"
CLUSTER_HOST: Final = "azurehdinsight.net"


def resource_group(stack: str) -> str:
    """The stack's resource group."""
    return _plain(full_name(stack))[:MAX_GROUP].rstrip("-")


def cluster(stack: str, group_id: str) -> str:
    """The cluster's name, where the stack gives none."""
    room = MAX_CLUSTER_NAME - CLUSTER_DIGEST - 1
    return f"{_plain(full_name(stack))[:room].rstrip('-')}-{_digest(group_id)[:CLUSTER_DIGEST]}"


def account(group_id: str) -> str:
    """The storage account of the file system, and of scripts where these have none of their own."""
    return f"caffespark{_digest(group_id)[:ACCOUNT_DIGEST]}"


def scripts_account(group_id: str) -> str:
    """The storage account of scripts beside one that HDInsight reads no scripts from."""
    return f"caffesparka{_digest(group_id)[:ACCOUNT_DIGEST]}"


def subscription(group_id: str) -> str:
    """The subscription that a resource group is in, from its id `/subscriptions/ID/resourceGroups/NAME`."""
    return group_id.partition("/resourceGroups/")[0].removeprefix("/subscriptions/")


def ssh_host(cluster_name: str) -> str:
    """Port 22 there is the active head's, 23 the other one's."""
    return f"{cluster_name}-ssh.{CLUSTER_HOST}"


def gateway_url(cluster_name: str) -> str:
    """Ambari, Livy and YARN's pages."""
    return f"https://{cluster_name}.{CLUSTER_HOST}"


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _digest(text: str) -> str:
    # Azure's ids differ in their letters' case, depending on who answers.
    return hashlib.sha256(text.lower().encode()).hexdigest()

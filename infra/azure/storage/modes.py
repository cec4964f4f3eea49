"""How the cluster comes to its storage: as HDInsight takes it, for each storage mode."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_azure_native import hdinsight

from infra.azure import names
from infra.azure.settings.config import StorageMode
from infra.azure.settings.name_rules import ARTIFACTS


@dataclass(frozen=True)
class ClusterStorage:
    """The accounts that the cluster reaches; `identity` is its own there, `key` the scripts account's."""

    mode: StorageMode
    account: pulumi.Output[str]
    account_id: pulumi.Output[str]
    scripts_account: pulumi.Output[str]
    container: pulumi.Input[str]
    key: pulumi.Output[str] | None = None
    identity: pulumi.Input[str] | None = None


def identity(storage: ClusterStorage) -> hdinsight.ClusterIdentityArgs | None:
    """The managed identity, where the cluster has one."""
    if storage.identity is None:
        return None
    return hdinsight.ClusterIdentityArgs(
        type=hdinsight.ResourceIdentityType.USER_ASSIGNED,
        user_assigned_identities=pulumi.Output.from_input(storage.identity).apply(
            lambda one: {one: hdinsight.UserAssignedIdentityArgs()}
        ),
    )


def accounts(storage: ClusterStorage) -> list[hdinsight.StorageAccountArgs]:
    """The file system first, then the scripts where these are elsewhere."""
    blob = pulumi.Output.concat(storage.account, ".", names.BLOB_HOST)
    if storage.mode == "wasbs-key":
        return [
            hdinsight.StorageAccountArgs(
                name=blob, is_default=True, container=storage.container, key=storage.key
            )
        ]
    if storage.mode == "wasbs-msi":
        return [
            hdinsight.StorageAccountArgs(
                name=blob,
                is_default=True,
                container=storage.container,
                resource_id=storage.account_id,
                msi_resource_id=storage.identity,
            )
        ]
    return [
        hdinsight.StorageAccountArgs(
            name=pulumi.Output.concat(storage.account, ".", names.DFS_HOST),
            is_default=True,
            file_system=storage.container,
            resource_id=storage.account_id,
            msi_resource_id=storage.identity,
        ),
        # Script actions are not read from Data Lake Storage.
        hdinsight.StorageAccountArgs(
            name=pulumi.Output.concat(storage.scripts_account, ".", names.BLOB_HOST),
            is_default=False,
            container=ARTIFACTS,
            key=storage.key,
        ),
    ]

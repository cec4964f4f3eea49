"""Storage of the cluster in HDInsight's terms, for each storage mode."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_azure_native import hdinsight

from infra.azure import names
from infra.azure.settings.config import StorageMode
from infra.azure.settings.name_rules import ARTIFACTS


@dataclass(frozen=True)
class ClusterStorage:
    """Accounts that the cluster uses: `identity` gives access to the file system, `key` to the scripts."""

    mode: StorageMode
    account: pulumi.Output[str]
    account_id: pulumi.Output[str]
    scripts_account: pulumi.Output[str]
    container: pulumi.Input[str]
    key: pulumi.Output[str] | None = None
    identity: pulumi.Input[str] | None = None


def identity(storage: ClusterStorage) -> hdinsight.ClusterIdentityArgs | None:
    """Return the managed identity, if the mode has one."""
    if storage.identity is None:
        return None
    return hdinsight.ClusterIdentityArgs(
        type=hdinsight.ResourceIdentityType.USER_ASSIGNED,
        user_assigned_identities=pulumi.Output.from_input(storage.identity).apply(
            lambda one: {one: hdinsight.UserAssignedIdentityArgs()}
        ),
    )


def accounts(storage: ClusterStorage) -> list[hdinsight.StorageAccountArgs]:
    """Return the file system's account, and that of the scripts if it is another one."""
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

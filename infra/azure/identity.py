"""Who the cluster is towards its storage, where it comes without the account's key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_azure_native import authorization, managedidentity

from infra.azure.names import subscription

BLOB_DATA_OWNER: Final = "b7e6dc6d-f1e8-4753-8033-0f276bb0955b"
"""Azure's role `Storage Blob Data Owner`; with Contributor, HDInsight refuses to make the cluster:
https://learn.microsoft.com/azure/role-based-access-control/built-in-roles/storage"""


@dataclass(frozen=True)
class IdentityArgs:
    """`account_id`: the storage account that the identity may do everything in, and nothing elsewhere."""

    group: pulumi.Input[str]
    group_id: pulumi.Input[str]
    region: str
    account_id: pulumi.Input[str]
    tags: Mapping[str, str]


class Identity(pulumi.ComponentResource):
    """A user-assigned identity and its one right."""

    id: pulumi.Output[str]
    ready: pulumi.Resource
    """What has to be there before the cluster asks for its storage."""

    def __init__(self, name: str, args: IdentityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("caffe-spark:azure:Identity", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        made = managedidentity.UserAssignedIdentity(
            f"{name}-cluster",
            resource_group_name=args.group,
            location=args.region,
            tags=args.tags,
            opts=child,
        )
        self.id = made.id
        self.ready = authorization.RoleAssignment(
            f"{name}-storage",
            scope=args.account_id,
            principal_id=made.principal_id,
            # A new identity is not known everywhere at once; with its type, Azure does not look it up.
            principal_type=authorization.PrincipalType.SERVICE_PRINCIPAL,
            role_definition_id=pulumi.Output.from_input(args.group_id).apply(role_definition),
            opts=child,
        )
        self.register_outputs({"id": self.id})


def role_definition(group_id: str) -> str:
    """The role's id, as the subscription of a resource group has it. Pure."""
    where = f"/subscriptions/{subscription(group_id)}/providers/Microsoft.Authorization"
    return f"{where}/roleDefinitions/{BLOB_DATA_OWNER}"

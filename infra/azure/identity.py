"""Managed identity that the cluster uses to access storage without the account's key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_azure_native import authorization, managedidentity

from infra.azure.names import subscription
from infra.azure.settings.given import parts

BLOB_DATA_OWNER: Final = "b7e6dc6d-f1e8-4753-8033-0f276bb0955b"
"""Id of the role `Storage Blob Data Owner`; with Contributor, HDInsight refuses to create the cluster:
https://learn.microsoft.com/azure/role-based-access-control/built-in-roles/storage"""


@dataclass(frozen=True)
class IdentityArgs:
    """`account_id`: the storage account that the identity has full access to; it has none elsewhere.

    `given`: id of an existing identity; without `gives_role` it has its role already.
    """

    group: pulumi.Input[str]
    group_id: pulumi.Input[str]
    region: str
    account_id: pulumi.Input[str]
    tags: Mapping[str, str]
    given: str | None = None
    gives_role: bool = True


class Identity(pulumi.ComponentResource):
    """A user-assigned identity and its role assignment, each unless it exists."""

    id: pulumi.Output[str]
    ready: list[pulumi.Resource]
    """Resources that must exist before the cluster accesses its storage."""

    def __init__(self, name: str, args: IdentityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("caffe-spark:azure:Identity", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        if args.given:
            self.id, principal = pulumi.Output.from_input(args.given), self._principal(args)
        else:
            made = managedidentity.UserAssignedIdentity(
                f"{name}-cluster",
                resource_group_name=args.group,
                location=args.region,
                tags=args.tags,
                opts=child,
            )
            self.id, principal = made.id, made.principal_id
        self.ready = [self._role(name, args, principal, child)] if principal is not None else []
        self.register_outputs({"id": self.id})

    def _principal(self, args: IdentityArgs) -> pulumi.Output[str] | None:
        """Look up the principal of an existing identity, which only an assignment needs."""
        if not (args.given and args.gives_role):
            return None
        known = parts(args.given)
        return managedidentity.get_user_assigned_identity_output(
            resource_group_name=known.group,
            resource_name=known.name,
            opts=pulumi.InvokeOutputOptions(parent=self),
        ).principal_id

    def _role(
        self,
        name: str,
        args: IdentityArgs,
        principal: pulumi.Output[str],
        child: pulumi.ResourceOptions,
    ) -> authorization.RoleAssignment:
        return authorization.RoleAssignment(
            f"{name}-storage",
            scope=args.account_id,
            principal_id=principal,
            # A new identity takes time to propagate; with its type given, Azure does not look it up.
            principal_type=authorization.PrincipalType.SERVICE_PRINCIPAL,
            role_definition_id=pulumi.Output.from_input(args.group_id).apply(role_definition),
            opts=child,
        )


def role_definition(group_id: str) -> str:
    """Return the role's id in the subscription of a resource group. Pure."""
    where = f"/subscriptions/{subscription(group_id)}/providers/Microsoft.Authorization"
    return f"{where}/roleDefinitions/{BLOB_DATA_OWNER}"

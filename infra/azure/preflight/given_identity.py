"""Checks of the identity that the stack is given (`identityId`), and of its role on the storage account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bootstrap.clouds import azure
from infra.azure.arm import IDENTITY, ROLES
from infra.azure.identity import BLOB_DATA_OWNER
from infra.azure.preflight.cloud import Cloud
from infra.azure.preflight.given_read import read
from infra.azure.settings.given import parts
from infra.preflight.finding import CloudCheck, Finding

if TYPE_CHECKING:
    from infra.azure.settings.config import AzureConfig

NAME: Final = "identity"
ROLE: Final = "identity's role"
OWNER: Final = "Storage Blob Data Owner"


def checks(config: AzureConfig, stack: str) -> list[CloudCheck[Cloud]]:
    """Return the check; none with an identity of the stack's own."""
    if config.identity_id is None:
        return []
    identity_id = config.identity_id
    return [CloudCheck(NAME, lambda cloud: _identity(cloud, config, identity_id, stack))]


def _identity(cloud: Cloud, config: AzureConfig, identity_id: str, stack: str) -> list[Finding]:
    fix = f"Run `pulumi config set identityId ID --stack {stack}`."
    found = read(cloud, identity_id, IDENTITY, name=NAME, what="identity", stack=stack, fix=fix)
    if isinstance(found, Finding):
        return [found]
    principal = str(found.get("properties", {}).get("principalId", ""))
    there = Finding(NAME, "passed", f"{parts(identity_id).name}; used as it is")
    account_id = config.storage_account_id
    return [there] if account_id is None else [there, _role(cloud, config, account_id, principal, stack)]


def _role(cloud: Cloud, config: AzureConfig, account_id: str, principal: str, stack: str) -> Finding:
    """Compare the identity's role on an existing account with who is to assign it."""
    path, account = f"{account_id}/providers/Microsoft.Authorization/roleAssignments", parts(account_id).name
    try:
        with azure.translate_errors("asking for the identity's roles", stack):
            given = list(cloud.arm.list_all(path, ROLES, **{"$filter": f"principalId eq '{principal}'"}))
    except azure.Denied as error:
        return Finding(ROLE, "skipped", f"roles on {account} cannot be read: {error.why}", error.fix)
    scopes = [
        str(one.get("properties", {}).get("scope", ""))
        for one in given
        if str(one.get("properties", {}).get("roleDefinitionId", "")).lower().endswith(BLOB_DATA_OWNER)
    ]
    has = f"it is {OWNER} on {account}"
    if not config.gives_role:
        if scopes:
            return Finding(ROLE, "passed", has)
        return Finding(
            ROLE,
            "failed",
            f"it is not {OWNER} on {account}, without which HDInsight creates no cluster",
            f"Let its owner run `{assign(principal, account_id)}`, or "
            f"`pulumi config set assignRole true --stack {stack}`.",
        )
    # Azure refuses a second assignment of the same role at the same scope.
    if any(scope.lower() == account_id.lower() for scope in scopes) and cloud.cluster is None:
        fix = f"Run `pulumi config rm assignRole --stack {stack}`."
        return Finding(ROLE, "failed", f"{has} already, and Azure refuses to assign that again", fix)
    return Finding(
        ROLE, "passed", f"`pulumi up` makes it {OWNER} on {account}, and `pulumi destroy` ends that"
    )


def assign(principal: str, account_id: str) -> str:
    """Return the command that gives the identity its role."""
    return (
        f"az role assignment create --assignee-object-id {principal} "
        f"--assignee-principal-type ServicePrincipal --role '{OWNER}' --scope {account_id}"
    )

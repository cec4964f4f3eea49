"""Request that would create the cluster, built by the program's own code before any resource exists.

Values that are known only to `pulumi up` (ids of the network, the account's key) are replaced by stand-ins of
the same form.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

import pulumi

# Private functions, with which Pulumi itself converts arguments to a request: converting its classes here
# would be more code to maintain. The lock file pins the version, and a test compares the result with the
# program's own.
from pulumi._types import input_type_to_dict, is_input_type

from infra.azure import hdinsight, operator_key, scripts, secrets
from infra.azure.document import artifacts
from infra.azure.settings.given import parts
from infra.azure.storage import modes
from infra.keys import SshKeyProvider
from infra.tags import PROJECT

if TYPE_CHECKING:
    from infra.azure.settings.config import AzureConfig

RENAMED: Final = {"autoscaleConfiguration": "autoscale"}
"""Pulumi's name of a property → Azure's."""
TYPE: Final = "Microsoft.HDInsight/clusters"
KEY: Final = "bm90IG1hZGUgeWV0"
MADE_FIRST: Final = "resources that `pulumi up` creates before the cluster"
KEYED: Final = "an account whose key this request does not have"
VNET: Final = f"{PROJECT}-vnet"
SUBNET: Final = f"{PROJECT}-nodes"
IDENTITY: Final = f"{PROJECT}-identity"


def body(config: AzureConfig, stack: str, names: Mapping[str, str], tenant: str) -> dict[str, Any]:
    """Return the body of HDInsight's validation request.

    Raises:
        ConfigError: the operator's public key is not valid.
    """
    made = asyncio.run(_resolved(config, stack, names))
    return {
        "name": names["cluster"],
        "type": TYPE,
        "location": config.region,
        **made,
        "tenantId": tenant,
        "fetchAaddsResource": False,
    }


def stand_ins(config: AzureConfig, names: Mapping[str, str]) -> dict[str, str]:
    """Return names that the request has stand-ins for, with what they are: messages about them say nothing.

    What the stack is given exists, but the key of an account is not asked for.
    """
    made = [names["group_id"]]
    made += [] if config.subnet_id else [VNET, SUBNET]
    made += [] if config.identity_id else [IDENTITY]
    made += [] if config.storage_account_id else [names["account"], names["scripts_account"]]
    found = dict.fromkeys(made, MADE_FIRST)
    keyed = config.scripts_account_id or (None if config.by_identity else config.storage_account_id)
    return {**found, parts(keyed).name: KEYED} if keyed else found


async def _resolved(config: AzureConfig, stack: str, names: Mapping[str, str]) -> dict[str, Any]:
    here = f"{names['group_id']}/providers"
    subnet_id = config.subnet_id or f"{here}/Microsoft.Network/virtualNetworks/{VNET}/subnets/{SUBNET}"
    identity = config.identity_id or f"{here}/Microsoft.ManagedIdentity/userAssignedIdentities/{IDENTITY}"
    account_id = config.storage_account_id or f"{here}/Microsoft.Storage/storageAccounts/{names['account']}"
    account = parts(account_id).name
    scripts_account = names["scripts_account"] if config.hierarchical else account
    if config.scripts_account_id:
        scripts_account = parts(config.scripts_account_id).name
    known = pulumi.Output.from_input
    storage = modes.ClusterStorage(
        config.storage_mode,
        known(account),
        known(account_id),
        known(scripts_account),
        config.container,
        key=None if config.storage_mode == "wasbs-msi" else known(KEY),
        identity=identity if config.by_identity else None,
    )
    script = scripts.script_of(
        config,
        stack,
        {
            "group_id": names["group_id"],
            "group": names["group"],
            "cluster": names["cluster"],
            "account": account,
            "scripts_account": scripts_account,
            "container": config.container,
        },
    )
    arguments = hdinsight.HdInsightArgs(
        config=config,
        group=names["group"],
        name=names["cluster"],
        storage=storage,
        vnet_id=parts(subnet_id).parent,
        subnet_id=subnet_id,
        public_key=_public_key(config, stack),
        # The stack's own password is generated later, or not readable: any valid one is checked alike.
        password=secrets.generate(config.users),
        script_name=scripts.NAME,
        script=f"{artifacts(scripts_account)}/{scripts.path_of(script)}",
        tags={},
        after=[],
    )
    who = modes.identity(storage)
    found = {"properties": await _plain(hdinsight.properties(arguments))}
    return found if who is None else {**found, "identity": await _plain(who)}


def _public_key(config: AzureConfig, stack: str) -> str:
    if config.public_key_file:
        return operator_key.public_key(config.public_key_file, stack)
    made = SshKeyProvider().create({"purpose": "preflight", "kind": "rsa"})
    return str((made.outs or {})["public_key"]).strip()


async def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever a request holds
    """Convert Pulumi's arguments to JSON, resolving outputs."""
    if isinstance(value, pulumi.Output):
        return await _plain(await value.future())
    if is_input_type(type(value)):
        value = input_type_to_dict(value)
    if isinstance(value, Mapping):
        return {RENAMED.get(key, key): await _plain(one) for key, one in value.items() if one is not None}
    if isinstance(value, list | tuple):
        return [await _plain(one) for one in value]
    return value.value if isinstance(value, Enum) else value

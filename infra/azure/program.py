"""Pulumi program of a cluster on Azure HDInsight, or of storage that outlives clusters, as a bill of
materials."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pulumi

from bootstrap.cluster import Prices
from infra.azure import document, names, network_plan, operator_key, scripts, security, subscription
from infra.azure.context import StackContext, make_context
from infra.azure.cost import hourly, prices
from infra.azure.cost.document import cluster_prices
from infra.azure.document import Outputs
from infra.azure.hdinsight import HdInsightArgs, HdInsightCluster
from infra.azure.identity import Identity, IdentityArgs
from infra.azure.logs import Logs, LogsArgs
from infra.azure.network import FoundNetwork, Network, NetworkArgs
from infra.azure.outputs import closing
from infra.azure.private_link import PrivateLink, PrivateLinkArgs
from infra.azure.secrets import gateway_password, require_encrypted
from infra.azure.settings import examples, few_workers, given
from infra.azure.settings.config import AzureConfig
from infra.azure.storage import reference
from infra.azure.storage import stack as storage_stack
from infra.azure.storage.account import account_key
from infra.azure.storage.modes import ClusterStorage
from infra.azure.storage.reference import FoundStorage
from infra.keys import Secret, SigningKeyPair, SshKey
from infra.settings import budget, stack_file


def program(config: AzureConfig, stack: str, home: str) -> Outputs:
    """Register the stack's resources and return its outputs; the configuration has been validated.

    If it raises, nothing has been registered.

    Raises:
        ConfigError: the operator's public key is not valid, the password is plain text, an address is from
            documentation, the operator's price file is not valid, the stack costs more an hour than its
            budget allows, or no subscription is selected.
        StackError: by its file, the storage's stack cannot be used by this one.
        ServiceDown: Azure does not answer when asked for the subscription.
    """
    require_encrypted(config, stack)
    _refuse_examples(config, stack)
    known = prices.load()
    bill = hourly.hourly(config, known)
    budget.require_within(config, bill, stack, hourly.lower(config))
    for warning in (few_workers.warning(config, stack), budget.warning(config, bill)):
        if warning:
            pulumi.log.warn(warning)
    theirs = operator_key.public_key(config.public_key_file, stack) if config.public_key_file else None
    chosen = subscription.id_of(given.subscription_of(config), stack, os.environ)
    if config.storage_stack:
        file = storage_stack.file_of(config.storage_stack, stack_file.project(Path(home)))
        if file is not None:
            storage_stack.check_file(config, stack, file, chosen)
    context = make_context(config, stack, chosen)
    if config.part == "storage":
        return _storage(config, context)
    return _cluster(config, context, theirs, bill.total_text, cluster_prices(config, known))


def _storage(config: AzureConfig, context: StackContext) -> Outputs:
    found = reference.own(config, context, subnet_id=None)
    return {
        reference.OUTPUT: reference.document(config, found),
        "region": config.region,
        "shared_storage": document.uri(config.storage_mode, found.container, found.account),
        "next": f"pulumi config set storageStack {context.stack}, in a cluster's stack",
        "destroy": f"pulumi destroy --stack {context.stack}, when no cluster uses it any more",
    }


def _cluster(
    config: AzureConfig, context: StackContext, theirs: str | None, bill: str, known: Prices
) -> Outputs:
    stack, here = context.stack, context.here
    operator = None if theirs else SshKey("operator-key", kind="rsa")
    password, spark_secret = gateway_password(config), Secret("spark-secret")
    name = (
        pulumi.Output.from_input(config.cluster_name)
        if config.cluster_name
        else context.group_id.apply(partial(names.cluster, stack))
    )

    network = _network(config, context)
    # The account's firewall allows the subnet, so it is created after it, and deleted before it.
    found = _storage_of(config, context, network)
    storage, ready = _access(config, context, found)
    script = scripts.NodeScript(
        "node-script",
        scripts.rendered(
            config,
            stack,
            group_id=context.group_id,
            group=context.group,
            cluster=name,
            account=found.account,
            scripts_account=found.scripts_account,
            container=found.container,
        ),
        group=found.group,
        account=found.scripts_account,
        after=found.ready,
        opts=here,
    )
    cluster = HdInsightCluster(
        "cluster",
        HdInsightArgs(
            config=config,
            group=context.group,
            name=name,
            storage=storage,
            vnet_id=network.vnet_id,
            subnet_id=network.subnet_id,
            public_key=operator.public_key if operator else str(theirs),
            password=password,
            script_name=scripts.NAME,
            script=script.uri,
            tags=context.tags,
            after=[*network.ready, script.blob, *ready],
        ),
        here,
    )
    if network.endpoints_subnet_id is not None:
        PrivateLink(
            "private-link",
            PrivateLinkArgs(
                context.group,
                config.region,
                cluster.id,
                network.vnet_id,
                network.endpoints_subnet_id,
                context.tags,
            ),
            here,
        )
    if config.log_analytics:
        Logs("logs", LogsArgs(context.group, config.region, cluster.name, context.tags), here)
    return {
        "cluster": document.document(
            config,
            stack,
            group_id=context.group_id,
            group=context.group,
            cluster=cluster.name,
            account=found.account,
            scripts_account=found.scripts_account,
            container=found.container,
            spark_secret=spark_secret.value,
            # In identity modes, people use their own login, as the cluster uses its identity.
            key=None if config.by_identity else storage.key,
            private_key=operator.private_key if operator else None,
            gateway_password=password,
            signing=SigningKeyPair("signing-key").document,
            prices=known.model_dump(mode="json"),
        ),
        "region": config.region,
        "resource_group": context.group,
        "shared_storage": document.uri(config.storage_mode, found.container, found.account),
        "gateway_user": config.gateway_user,
        "gateway_password": password,
        **closing(config, stack, cluster.name, bill),
    }


def _network(config: AzureConfig, context: StackContext) -> FoundNetwork:
    """Return the subnet that the stack is given, or create a network."""
    if config.subnet_id:
        return FoundNetwork.given(config.subnet_id)
    return FoundNetwork.own(
        Network(
            "network",
            NetworkArgs(
                context.group,
                config.region,
                network_plan.plan(config.cidr),
                security.rules(config),
                context.tags,
                private_link=config.private_link,
            ),
            context.here,
        )
    )


def _storage_of(config: AzureConfig, context: StackContext, network: FoundNetwork) -> FoundStorage:
    """Return the storage that the stack is given, another stack's, or its own."""
    if config.storage_account_id:
        return reference.given(config, config.storage_account_id)
    if config.storage_stack:
        return reference.of_stack(config, context.stack, config.storage_stack, context.subscription)
    return reference.own(config, context, subnet_id=network.subnet_id)


def _access(
    config: AzureConfig, context: StackContext, found: FoundStorage
) -> tuple[ClusterStorage, list[pulumi.Resource]]:
    """Return how the cluster accesses its storage, and what it depends on."""
    identity = (
        Identity(
            "identity",
            IdentityArgs(
                context.group,
                context.group_id,
                config.region,
                found.account_id,
                context.tags,
                given=config.identity_id,
                gives_role=config.gives_role,
            ),
            context.here,
        )
        if config.by_identity
        else None
    )
    # The cluster accesses a separate account of scripts by its key.
    by_key = config.storage_mode != "wasbs-msi"
    storage = ClusterStorage(
        config.storage_mode,
        found.account,
        found.account_id,
        found.scripts_account,
        found.container,
        key=account_key(found.scripts_account, found.group, provider=context.provider) if by_key else None,
        identity=identity.id if identity else None,
    )
    return storage, [*found.ready, *(identity.ready if identity else [])]


def _refuse_examples(config: AzureConfig, stack: str) -> None:
    fault = examples.fault(config, stack)
    if fault is None:
        return
    if not pulumi.runtime.is_dry_run():
        raise fault
    pulumi.log.warn(str(fault))

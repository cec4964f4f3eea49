"""Pulumi program of a cluster on AWS, as a bill of materials."""

from __future__ import annotations

from functools import partial

import pulumi
import pulumi_aws as aws

from infra import tags
from infra.aws import access, cloud_logs, document, existing, fabric, images, volume_key
from infra.aws.cost import hourly, now, prices
from infra.aws.cost.document import cluster_prices
from infra.aws.document import Outputs
from infra.aws.ground import ground
from infra.aws.head import HeadNode, HeadNodeArgs
from infra.aws.limits import LimitsFile, limits_text
from infra.aws.machine import ROOT_DEVICES
from infra.aws.roles import Identity, IdentityArgs
from infra.aws.scripts import BootScripts
from infra.aws.settings.config import AwsConfig
from infra.aws.site import Site
from infra.aws.storage import SharedStorage, SharedStorageArgs
from infra.aws.workers import GpuSpotWorkers, GpuSpotWorkersArgs
from infra.keys import Secret, SigningKeyPair, SshKey
from infra.settings import budget


def program(config: AwsConfig, stack: str, _home: str) -> Outputs:
    """Register the stack's resources and return its outputs; the configuration has been validated.

    Raises:
        ConfigError: the operator's price file cannot be read, the stack costs more an hour than its budget
            allows, or a network or an instance profile that it names does not fit; nothing has been
            registered then.
        ServiceDown: AWS does not answer about such a network or profile.
    """
    given = existing.look_up(config, stack)
    known = now.current(config, prices.load())
    bill = hourly.hourly(config, known)
    budget.require_within(config, hourly.worst(config, known), stack, hourly.lower(config))
    labels = tags.aws_tags(stack, config.tags)
    provider = aws.Provider(
        "aws", region=config.region, default_tags=aws.ProviderDefaultTagsArgs(tags=labels)
    )
    here = pulumi.ResourceOptions(provider=provider)
    group, site = document.group_name(stack), given.site

    storage = SharedStorage(
        "storage", SharedStorageArgs(stack, config.region, force_destroy=config.force_destroy), here
    )
    # Resources are destroyed in reverse order: a bucket that must not be emptied leaves no NAT gateway
    # behind.
    close = [fabric.placement_group("placement", stack, here)] if config.placement_group else []
    place = ground(config, stack, after=[storage.contents, *close], opts=here)
    identity = Identity(
        "identity",
        IdentityArgs(stack, storage.arn, given.profiles, boundary=config.permissions_boundary),
        here,
    )
    # Where machines send their logs, before the first of them boots.
    logs = (
        [cloud_logs.CloudLogs("logs", config.cloud_logs, stack, identity, here)] if config.cloud_logs else []
    )
    found = images.resolve(config, stack, provider)
    key = volume_key.resolve(config, provider)
    operator = None if config.key_pair else SshKey("operator-key")
    spark_secret = Secret("spark-secret")
    signing = SigningKeyPair("signing-key")
    scripts = BootScripts(
        config,
        stack,
        storage,
        spark_secret,
        operator,
        site=site,
        signing=signing,
        job_role=identity.job_role,
    )

    head = HeadNode(
        "head",
        HeadNodeArgs(
            name=tags.full_name(stack, tags.HEAD),
            instance_type=config.head_type,
            image=found.head,
            volume_gb=config.head_volume_gb,
            volume_key=key,
            identity=identity.head,
            user_data=scripts.user_data("head", identity.head),
            key_pair=config.key_pair,
            protect=config.termination_protection,
            subnet_id=place.head_subnet,
            address=site.head_address,
            public_address=config.head_public_address,
            security_group_ids=place.head_groups,
            tags=labels,
            after=[*place.after, found.pins, scripts.objects["head"], *logs],
        ),
        here,
    )
    limits = LimitsFile(
        "limits",
        region=config.region,
        bucket=storage.bucket,
        content=identity.worker.role_id.apply(partial(limits_text, config, stack, known)),
        opts=pulumi.ResourceOptions(depends_on=[storage.contents]),
    )
    workers = GpuSpotWorkers(
        "workers",
        GpuSpotWorkersArgs(
            stack=stack,
            region=config.region,
            group=group,
            min_size=config.min_workers,
            max_size=config.max_workers,
            desired_capacity=config.workers,
            instance_types=config.instance_types,
            image=found.worker,
            root_device=ROOT_DEVICES[config.distribution],
            volume_gb=config.worker_volume_gb,
            volume_key=key,
            grant_key=config.kms_grant,
            identity=identity.worker,
            head_role=identity.head.role_name,
            user_data=scripts.user_data("worker", identity.worker),
            key_pair=config.key_pair,
            on_demand_base=config.on_demand_base,
            on_demand_percentage=config.on_demand_percentage,
            reservation=config.reservation,
            capacity_block=config.capacity_block,
            max_price=config.max_price,
            capacity_rebalance=config.capacity_rebalance,
            fallback=config.fallback_after is not None,
            scales=config.scale_to_queue,
            efa_interfaces=config.efa_interfaces,
            placement_group=close[0].name if close else None,
            subnet_ids=place.worker_subnets,
            security_group_ids=place.worker_groups,
            tags=labels,
            # The head, which sets the on-demand base by the limits, reads new ones before `Capacity` does.
            after=[*place.after, found.pins, scripts.objects["worker"], limits, *logs],
        ),
        here,
    )
    return {
        "cluster": document.document(
            config,
            stack,
            site=site,
            shared_storage=pulumi.Output.concat("s3a://", storage.bucket),
            spark_secret=spark_secret.value,
            private_key=operator.private_key if operator else None,
            job_role=identity.job_role,
            signing=signing.document,
            instance=head.instance_id,
            ssh_target=_ssh_target(config, site, head),
            prices=cluster_prices(config, known).model_dump(mode="json"),
        ),
        "region": config.region,
        "zones": list(site.all_zones),
        "bucket": storage.bucket,
        "head": head.instance_id,
        "worker_group": workers.group,
        "images": found.pins.images,
        "cost": bill.total_text,
        "egress": hourly.egress_text(config, known),
        **({"logs": cloud_logs.command(config.region, stack)} if config.cloud_logs else {}),
        **_closing(config, stack, site, head),
    }


def _closing(config: AwsConfig, stack: str, site: Site, head: HeadNode) -> Outputs:
    """Return the outputs for people: nodes, maximum cost, how to connect, what to run next."""
    commands = _commands(config, stack, site, head)
    limit = "the on-demand price" if config.max_price is None else f"{config.max_price} USD/h"
    return {
        "nodes": nodes(config, site),
        "cap": f"at most {config.max_workers} workers"
        + (f", a spot worker at most {limit}" if config.spot else ""),
        "connect": commands.apply(lambda typed: typed.shell),
        "spark_ui": commands.apply(lambda typed: typed.spark_ui),
        "next": f"fab build-headnode --stack {stack}, then fab submit-mnist --stack {stack}",
        "destroy": f"pulumi destroy --stack {stack}, then fab sweep --stack {stack}",
    }


def _ssh_target(config: AwsConfig, site: Site, head: HeadNode) -> pulumi.Input[str]:
    """Return what SSH connects to: an instance through Session Manager, or one of the head's addresses."""
    if config.login == "session_manager":
        return head.instance_id
    return head.public_ip if config.login == "public_address" else site.head_address


def _commands(config: AwsConfig, stack: str, site: Site, head: HeadNode) -> pulumi.Output[access.Commands]:
    target = pulumi.Output.from_input(_ssh_target(config, site, head))
    if config.login == "session_manager":
        return target.apply(lambda one: access.by_session(config.region, one, site.head_address))
    user, key_file = config.ssh_user, config.private_key_file
    return target.apply(lambda ip: access.by_ssh(stack, f"{user}@{ip}", site.head_address, key_file))


def nodes(config: AwsConfig, site: Site) -> dict[str, str]:
    """Describe the nodes. Pure."""
    base = f", {config.on_demand_base} of them on demand" if config.on_demand_base else ""
    above = (
        f", {config.on_demand_percentage} % of the others on demand" if config.on_demand_percentage else ""
    )
    if config.reservation:
        base, above = f" in {'block' if config.capacity_block else 'reservation'} {config.reservation}", ""
    market = "on demand" if config.reservation else "spot"
    if config.fallback_after is not None:
        above += f", on demand after {config.fallback_after // 60} min without spot capacity"
    above += f", with {config.efa_interfaces} EFA interfaces each" if config.efa else ""
    above += ", in a placement group" if config.placement_group else ""
    size = f"{config.workers} ({config.min_workers} to {config.max_workers})"
    kinds, zones = ", ".join(config.instance_types), ", ".join(site.zones)
    return {
        "head": f"{config.head_type} on demand, {site.head_address}, {site.head_zone}",
        "workers": f"{size} {market}{base}{above}: {kinds} in {zones}",
    }

"""HDInsight cluster. It is immutable in Azure: other sizes, scripts or passwords replace it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
from pulumi_azure_native import hdinsight

from infra.azure.named import named
from infra.azure.settings.autoscale import Autoscale
from infra.azure.settings.config import HEADS, ZOOKEEPERS, AzureConfig
from infra.azure.storage.modes import ClusterStorage, accounts, identity

VERSION: Final = "5.1"
"""The only version that can still be created."""
COMPONENT_VERSION: Final = "3.3"
"""Version of Spark, which is 3.3.1 there; Azure accepts two numbers only:
https://learn.microsoft.com/azure/hdinsight/component-version-validation-error-arm-templates"""
TLS: Final = "1.2"
CREATE: Final = "90m"
"""Creation usually takes a quarter of an hour, and each script action may take another hour."""
DELETE: Final = "60m"
WORKER_ROLE: Final = 1
"""Index of the worker role."""


@dataclass(frozen=True)
class HdInsightArgs:
    """Arguments of the cluster: `script` is the URI of the script action on every head and worker, `after`
    what the cluster depends on."""

    config: AzureConfig
    group: pulumi.Input[str]
    name: pulumi.Input[str]
    storage: ClusterStorage
    vnet_id: pulumi.Input[str]
    subnet_id: pulumi.Input[str]
    public_key: pulumi.Input[str]
    password: pulumi.Input[str]
    script_name: str
    script: pulumi.Input[str]
    tags: Mapping[str, str]
    after: Sequence[pulumi.Resource]


class HdInsightCluster(pulumi.ComponentResource):
    """A Spark cluster on HDInsight."""

    id: pulumi.Output[str]
    name: pulumi.Output[str]

    def __init__(self, name: str, args: HdInsightArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("caffe-spark:azure:HdInsightCluster", name, None, opts)
        made = hdinsight.Cluster(
            f"{name}-hdinsight",
            cluster_name=args.name,
            resource_group_name=args.group,
            location=args.config.region,
            identity=identity(args.storage),
            properties=properties(args),
            tags=args.tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=list(args.after),
                # Azure changes none of this in place, and would refuse an update.
                replace_on_changes=["properties", "identity", "location", "clusterName"],
                # The replacement needs the same name and container.
                delete_before_replace=True,
                ignore_changes=ignored(args.config),
                custom_timeouts=pulumi.CustomTimeouts(create=CREATE, delete=DELETE),
            ),
        )
        self.id, self.name = made.id, named(made, args.name)
        self.register_outputs({"id": self.id, "name": self.name})


def properties(args: HdInsightArgs) -> hdinsight.ClusterCreatePropertiesArgs:
    """Return the properties of the cluster, as in Azure's API."""
    config = args.config
    return hdinsight.ClusterCreatePropertiesArgs(
        cluster_version=VERSION,
        os_type=hdinsight.OSType.LINUX,
        tier=hdinsight.Tier.STANDARD,
        min_supported_tls_version=TLS,
        cluster_definition=hdinsight.ClusterDefinitionArgs(
            kind="SPARK",
            component_version={"Spark": COMPONENT_VERSION},
            configurations={
                "gateway": {
                    "restAuthCredential.isEnabled": True,
                    "restAuthCredential.username": config.gateway_user,
                    "restAuthCredential.password": args.password,
                }
            },
        ),
        compute_profile=hdinsight.ComputeProfileArgs(roles=roles(args)),
        storage_profile=hdinsight.StorageProfileArgs(storageaccounts=accounts(args.storage)),
        # Between the machines; traffic to storage and the gateway uses TLS anyway.
        encryption_in_transit_properties=hdinsight.EncryptionInTransitPropertiesArgs(
            is_encryption_in_transit_enabled=True
        ),
        disk_encryption_properties=(
            hdinsight.DiskEncryptionPropertiesArgs(encryption_at_host=True)
            if config.encryption_at_host
            else None
        ),
        network_properties=hdinsight.NetworkPropertiesArgs(
            resource_provider_connection=config.resource_provider_connection.capitalize(),
            private_link=(
                hdinsight.PrivateLink.ENABLED if config.private_link else hdinsight.PrivateLink.DISABLED
            ),
        ),
    )


def roles(args: HdInsightArgs) -> list[hdinsight.RoleArgs]:
    """Return the roles: heads, workers, ZooKeepers. The script action runs on the first two."""
    config = args.config
    script = hdinsight.ScriptActionArgs(name=args.script_name, uri=args.script, parameters="")
    scale = autoscale(config.autoscale) if config.autoscale else None

    def role(name: str, size: str, count: int, **more: Any) -> hdinsight.RoleArgs:  # noqa: ANN401
        return hdinsight.RoleArgs(
            name=name,
            target_instance_count=count,
            hardware_profile=hdinsight.HardwareProfileArgs(vm_size=size),
            os_profile=hdinsight.OsProfileArgs(
                linux_operating_system_profile=hdinsight.LinuxOperatingSystemProfileArgs(
                    username=config.ssh_user,
                    ssh_profile=hdinsight.SshProfileArgs(
                        public_keys=[hdinsight.SshPublicKeyArgs(certificate_data=args.public_key)]
                    ),
                )
            ),
            # `subnet` is documented as a name, but must be the full id.
            virtual_network_profile=hdinsight.VirtualNetworkProfileArgs(
                id=args.vnet_id, subnet=args.subnet_id
            ),
            **more,
        )

    return [
        role("headnode", config.head_size, HEADS, script_actions=[script]),
        role(
            "workernode",
            config.worker_size,
            config.workers,
            script_actions=[script],
            autoscale_configuration=scale,
        ),
        role("zookeepernode", config.zookeeper_size, ZOOKEEPERS),
    ]


def ignored(config: AzureConfig) -> list[str]:
    """Return the properties that may change without replacing the cluster.

    Azure does not rerun a changed script: `fab bootstrap` does. With autoscale, Azure itself changes the
    number of workers. Changed tags would be sent with the whole cluster, by the request that creates one;
    whether HDInsight accepts that for an existing cluster is not known, so that it keeps its original tags.
    """
    role = "properties.computeProfile.roles"
    scripts = [f"{role}[{place}].scriptActions" for place in (0, WORKER_ROLE)]
    count = [f"{role}[{WORKER_ROLE}].targetInstanceCount"] if config.autoscale else []
    return ["tags", *scripts, *count]


def autoscale(scale: Autoscale) -> hdinsight.AutoscaleArgs:
    """Return the autoscale configuration, by load or by schedule."""
    if scale.by_load:
        low, high = scale.bounds
        return hdinsight.AutoscaleArgs(
            capacity=hdinsight.AutoscaleCapacityArgs(min_instance_count=low, max_instance_count=high)
        )
    return hdinsight.AutoscaleArgs(
        recurrence=hdinsight.AutoscaleRecurrenceArgs(
            time_zone=scale.time_zone,
            schedule=[
                hdinsight.AutoscaleScheduleArgs(
                    days=list(slot.days),
                    time_and_capacity=hdinsight.AutoscaleTimeAndCapacityArgs(
                        time=slot.time, min_instance_count=slot.min, max_instance_count=slot.max
                    ),
                )
                for slot in scale.schedule
            ],
        )
    )

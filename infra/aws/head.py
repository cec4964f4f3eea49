"""Head node: one on-demand instance with a fixed private address that workers know in advance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from infra.aws.machine import METADATA, VOLUME
from infra.aws.roles import Machine


@dataclass(frozen=True)
class HeadNodeArgs:
    """Arguments of the head node."""

    name: str
    """Name tag, as shown in the console."""
    # machine
    instance_type: str
    image: pulumi.Input[str]
    volume_gb: int
    identity: Machine
    user_data: pulumi.Input[str]
    key_pair: str | None
    protect: bool
    """Enable termination protection, which `pulumi destroy` does not override."""
    # network
    subnet_id: pulumi.Input[str]
    address: str
    public_address: bool
    """Give the head a public address beside it."""
    security_group_ids: Sequence[pulumi.Input[str]]
    tags: Mapping[str, str] = field(default_factory=dict)
    """Tags of the instance and its volume; the provider's default tags do not reach the volume in every
    version."""
    after: Sequence[pulumi.Resource] = ()
    """Resources that must exist when the instance boots."""
    volume_key: pulumi.Input[str] | None = None
    """ARN of the key of its volume; None for the account's default."""


class HeadNode(pulumi.ComponentResource):
    """The head node. A public address is for outgoing traffic; security groups decide what comes in.

    Another image, subnet or volume key replaces the instance. The old one is deleted first, since it has the
    address, and everything that is only on its disk is lost; the framework and all data are in shared
    storage, and workers find the new head by themselves. Another instance type or volume size changes it in
    place; a new type restarts it.
    """

    instance_id: pulumi.Output[str]
    public_ip: pulumi.Output[str]

    def __init__(self, name: str, args: HeadNodeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("caffe-spark:aws:HeadNode", name, None, opts)
        tags = {**args.tags, "Name": args.name, "Role": "head"}
        instance = aws.ec2.Instance(
            f"{name}-instance",
            ami=args.image,
            instance_type=args.instance_type,
            subnet_id=args.subnet_id,
            private_ip=args.address,
            associate_public_ip_address=args.public_address,
            vpc_security_group_ids=list(args.security_group_ids),
            iam_instance_profile=args.identity.profile_name,
            key_name=args.key_pair,
            user_data=args.user_data,
            user_data_replace_on_change=False,
            metadata_options=aws.ec2.InstanceMetadataOptionsArgs(**METADATA),
            root_block_device=aws.ec2.InstanceRootBlockDeviceArgs(
                volume_type=VOLUME,
                volume_size=args.volume_gb,
                encrypted=True,
                kms_key_id=args.volume_key,
                delete_on_termination=True,
                tags=tags,
            ),
            ebs_optimized=True,
            disable_api_termination=args.protect,
            tags=tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[*args.after, *args.identity.ready],
                delete_before_replace=True,
                # AWS changes user data of stopped instances only, and cloud-init runs it at the first boot
                # only: every change of a role would restart the head for nothing. `fab bootstrap` applies
                # such changes; the first script stays in the bucket for the next boot.
                ignore_changes=["user_data"],
            ),
        )
        self.instance_id, self.public_ip = instance.id, instance.public_ip
        self.register_outputs({"instance_id": self.instance_id, "public_ip": self.public_ip})

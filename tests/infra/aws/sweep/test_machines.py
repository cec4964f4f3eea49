"""Machines and what starts them, in one region of an account that is moto's."""

from __future__ import annotations

from decimal import Decimal

from tests.infra.aws.sweep.conftest import OURS, REGION, THEIRS, WITHOUT_STACK, World, swept


def test_an_instance_costs_its_hours_of_a_month_and_is_waited_for(world: World) -> None:
    id_ = world.instance()
    leak = swept().leaks[id_]
    assert (leak.kind, leak.region, leak.stack) == ("instance", REGION, "demo")
    assert leak.usd_month == Decimal("0.214") * 730
    assert leak.command == (
        f"aws ec2 terminate-instances --instance-ids {id_} --region {REGION}"
        f" && aws ec2 wait instance-terminated --instance-ids {id_} --region {REGION}"
    )


def test_a_protected_instance_loses_its_protection_first(world: World) -> None:
    id_ = world.instance()
    world.ec2().modify_instance_attribute(InstanceId=id_, DisableApiTermination={"Value": True})
    first, _, rest = swept().leaks[id_].command.partition(" && ")
    assert first == (
        "aws ec2 modify-instance-attribute --no-disable-api-termination"
        f" --instance-id {id_} --region {REGION}"
    )
    assert rest.startswith("aws ec2 terminate-instances")


def test_a_terminated_instance_is_none(world: World) -> None:
    id_ = world.instance()
    world.ec2().terminate_instances(InstanceIds=[id_])
    assert swept().found.clean


def test_a_stopped_instance_costs_nothing_itself(world: World) -> None:
    id_ = world.instance()
    world.ec2().stop_instances(InstanceIds=[id_])
    assert swept().leaks[id_].usd_month == 0


def test_a_disk_costs_its_size_and_goes_with_the_machine_that_is_found(world: World) -> None:
    id_ = world.instance()
    held = {"InstanceId": id_, "DeleteOnTermination": True}
    disk = {"VolumeId": "vol-1", "Size": 50, "Attachments": [held], "Tags": OURS}
    world.answers["DescribeVolumes"] = {"Volumes": [disk]}
    leak = swept().leaks["vol-1"]
    assert leak.usd_month == Decimal("0.088") * 50
    assert leak.command == f"# vol-1 goes with {id_}"


def test_a_type_without_a_price_is_not_free(world: World) -> None:
    id_ = world.instance(InstanceType="m6g.xlarge")
    found = swept()
    assert found.leaks[id_].usd_month is None
    assert "1 left (Project=caffe-spark), 1 without a price. To delete them" in found.said


def test_a_volume_that_nothing_holds_is_deleted_by_itself(world: World) -> None:
    id_ = world.volume()
    leak = swept().leaks[id_]
    assert leak.command == f"aws ec2 delete-volume --volume-id {id_} --region {REGION}"
    assert leak.usd_month == Decimal("8.8")


def test_a_snapshot_is_found(world: World) -> None:
    made = world.ec2().create_snapshot(
        VolumeId=world.volume(THEIRS), TagSpecifications=world.spec("snapshot", OURS)
    )
    found = swept()
    assert found.kinds == ["snapshot"]
    assert found.the("snapshot").command.startswith(
        f"aws ec2 delete-snapshot --snapshot-id {made['SnapshotId']}"
    )
    assert found.the("snapshot").usd_month == 5


def test_a_group_goes_before_the_instances_that_it_would_replace(world: World) -> None:
    template = world.launch_template()
    name = world.group(template)
    found = swept()
    assert found.kinds == ["Auto Scaling group", "instance", "launch template"]
    lines = [line for line in found.said.splitlines() if line.startswith("aws ")]
    assert lines[0] == (
        f"aws autoscaling delete-auto-scaling-group --force-delete --auto-scaling-group-name {name}"
        f" --region {REGION}"
    )
    assert lines[1].startswith("aws ec2 terminate-instances")
    assert lines[2] == f"aws ec2 delete-launch-template --launch-template-id {template} --region {REGION}"


def test_a_spot_request_is_cancelled_before_its_instance_ends(world: World) -> None:
    made = world.ec2().request_spot_instances(
        LaunchSpecification={"ImageId": "ami-12c6146b", "InstanceType": "g4dn.xlarge"},
        TagSpecifications=world.spec("spot-instances-request", OURS),
    )
    (request,) = made["SpotInstanceRequests"]
    leak = swept().the("spot request")
    assert leak.id == request["SpotInstanceRequestId"]
    assert leak.command.startswith("aws ec2 cancel-spot-instance-requests --spot-instance-request-ids sir-")


def test_a_cancelled_spot_request_is_none(world: World) -> None:
    ec2 = world.ec2()
    made = ec2.request_spot_instances(
        LaunchSpecification={"ImageId": "ami-12c6146b", "InstanceType": "g4dn.xlarge"},
        TagSpecifications=world.spec("spot-instances-request", OURS),
    )
    id_ = made["SpotInstanceRequests"][0]["SpotInstanceRequestId"]
    ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[id_])
    assert "spot request" not in swept().kinds


def test_a_key_pair_is_told_by_its_name(world: World) -> None:
    world.ec2().create_key_pair(KeyName="demo-key", TagSpecifications=world.spec("key-pair", OURS))
    leak = swept().the("key pair")
    assert leak.name == "demo-key"
    assert leak.command == f"aws ec2 delete-key-pair --key-name demo-key --region {REGION}"


def test_another_projects_machines_are_not_ours(world: World) -> None:
    world.instance(THEIRS)
    world.volume(THEIRS)
    world.group(world.launch_template(THEIRS), THEIRS)
    assert swept().found.clean


def test_a_thing_whose_stack_is_not_told_is_found_all_the_same(world: World) -> None:
    world.volume(WITHOUT_STACK)
    assert swept().the("volume").stack == ""
    assert swept(stack="demo").found.clean


def test_a_baked_image_is_deregistered_before_its_snapshots_are_deleted(world: World) -> None:
    made = world.ec2().create_image(
        InstanceId=world.instance(THEIRS), Name="baked", TagSpecifications=world.spec("image", OURS)
    )["ImageId"]
    disk = {"SnapshotId": "snap-1", "VolumeSize": 100, "Tags": OURS}
    world.answers["DescribeSnapshots"] = {"Snapshots": [disk]}
    found = swept()
    assert (found.kinds, found.the("image").usd_month) == (["image", "snapshot"], Decimal(0))
    assert found.the("snapshot").usd_month == 5, "what an image costs"
    lines = [line for line in found.said.splitlines() if line.startswith("aws ")]
    assert lines == [
        f"aws ec2 deregister-image --image-id {made} --region {REGION}",
        f"aws ec2 delete-snapshot --snapshot-id snap-1 --region {REGION}",
    ]


def test_a_baked_image_of_a_stack_that_is_up_is_in_use(world: World) -> None:
    world.ec2().create_image(
        InstanceId=world.instance(THEIRS), Name="baked", TagSpecifications=world.spec("image", OURS)
    )
    found = swept(alive=["demo"]).found
    assert ([leak.kind for leak in found.in_use], found.clean) == (["image"], True)

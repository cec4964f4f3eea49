"""Networks and what is in them, in one region of an account that is moto's."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.infra.aws.sweep.conftest import OURS, REGION, THEIRS, World, swept


def test_a_nat_gateway_costs_by_the_hour_and_goes_before_its_address(world: World) -> None:
    vpc = world.vpc()
    address = world.address()
    made = world.ec2().create_nat_gateway(
        SubnetId=world.subnet(vpc),
        AllocationId=address,
        TagSpecifications=world.spec("natgateway", OURS),
    )
    id_ = made["NatGateway"]["NatGatewayId"]
    found = swept()
    assert found.leaks[id_].usd_month == Decimal("0.048") * 730
    assert found.leaks[address].usd_month == Decimal("3.65")
    lines = [line for line in found.said.splitlines() if line.startswith("aws ")]
    order = [next(n for n, line in enumerate(lines) if part in line) for part in (id_, address, vpc)]
    assert order == sorted(order)
    assert f"&& aws ec2 wait nat-gateway-deleted --nat-gateway-ids {id_}" in found.leaks[id_].command


def test_a_deleted_nat_gateway_is_none(world: World) -> None:
    ec2 = world.ec2()
    made = ec2.create_nat_gateway(
        SubnetId=world.subnet(world.vpc(THEIRS), THEIRS), TagSpecifications=world.spec("natgateway", OURS)
    )
    ec2.delete_nat_gateway(NatGatewayId=made["NatGateway"]["NatGatewayId"])
    assert swept().found.clean


def test_interface_endpoints_cost_in_each_zone_and_gateway_endpoints_nothing(world: World) -> None:
    ec2, vpc = world.ec2(), world.vpc(THEIRS)
    asked = {"VpcId": vpc, "TagSpecifications": world.spec("vpc-endpoint", OURS)}
    ssm = ec2.create_vpc_endpoint(
        ServiceName=f"com.amazonaws.{REGION}.ssm",
        VpcEndpointType="Interface",
        SubnetIds=[world.subnet(vpc, THEIRS)],
        **asked,
    )["VpcEndpoint"]["VpcEndpointId"]
    s3 = ec2.create_vpc_endpoint(
        ServiceName=f"com.amazonaws.{REGION}.s3", VpcEndpointType="Gateway", **asked
    )["VpcEndpoint"]["VpcEndpointId"]
    found = swept()
    assert found.leaks[ssm].usd_month == Decimal("0.011") * 730
    assert found.leaks[ssm].name == f"com.amazonaws.{REGION}.ssm"
    assert "&& while aws ec2 describe-vpc-endpoints" in found.leaks[ssm].command
    assert found.leaks[s3].usd_month == 0
    assert found.leaks[s3].command == (
        f"aws ec2 delete-vpc-endpoints --vpc-endpoint-ids {s3} --region {REGION}"
    )


def test_security_groups_let_go_of_each_other_before_the_first_is_deleted(world: World) -> None:
    ec2, vpc = world.ec2(), world.vpc()
    head, worker = world.security_group(vpc, "head"), world.security_group(vpc, "worker")
    for one, other in ((head, worker), (worker, head)):
        ec2.authorize_security_group_ingress(
            GroupId=one,
            IpPermissions=[
                {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 2, "UserIdGroupPairs": [{"GroupId": other}]}
            ],
        )
    found = swept()
    lines = [line for line in found.said.splitlines() if "security-group" in line and line.startswith("aws")]
    verbs = [line.split()[2] for line in lines]
    assert verbs == ["revoke-security-group-ingress"] * 2 + ["delete-security-group"] * 2
    assert "--security-group-rule-ids sgr-" in lines[0]


def test_the_default_group_and_the_main_route_table_go_with_their_vpc(world: World) -> None:
    ec2, vpc = world.ec2(), world.vpc()
    mine = [{"Name": "vpc-id", "Values": [vpc]}]
    default = ec2.describe_security_groups(Filters=mine)["SecurityGroups"][0]["GroupId"]
    main = ec2.describe_route_tables(Filters=mine)["RouteTables"][0]["RouteTableId"]
    ec2.create_tags(Resources=[default, main], Tags=OURS)
    assert swept().kinds == ["VPC"]


def test_a_whole_network_is_told_in_an_order_in_which_it_can_go(world: World) -> None:
    ec2, vpc = world.ec2(), world.vpc()
    subnet = world.subnet(vpc)
    group = world.security_group(vpc, "head")
    table = ec2.create_route_table(VpcId=vpc, TagSpecifications=world.spec("route-table", OURS))
    gateway = ec2.create_internet_gateway(TagSpecifications=world.spec("internet-gateway", OURS))
    outside = gateway["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(VpcId=vpc, InternetGatewayId=outside)
    found = swept()
    said = [line for line in found.said.splitlines() if line.startswith("aws ")]
    ids = [group, subnet, table["RouteTable"]["RouteTableId"], outside, vpc]
    assert [next(one for one in ids if one in line) for line in said] == ids
    assert f"detach-internet-gateway --internet-gateway-id {outside} --vpc-id {vpc}" in said[3]


def test_an_interface_without_tags_is_found_in_a_vpc_of_ours(world: World) -> None:
    vpc = world.vpc()
    made = world.ec2().create_network_interface(SubnetId=world.subnet(vpc))
    id_ = made["NetworkInterface"]["NetworkInterfaceId"]
    leak = swept().leaks[id_]
    assert leak.stack == "demo"
    assert leak.command == f"aws ec2 delete-network-interface --network-interface-id {id_} --region {REGION}"


def test_an_interface_of_a_machine_that_is_found_goes_with_it(world: World) -> None:
    world.instance(SubnetId=world.subnet(world.vpc()))
    assert "network interface" not in swept().kinds


def test_an_interface_of_a_machine_that_lost_its_tags_tells_of_the_machine(world: World) -> None:
    machine = world.instance(THEIRS, SubnetId=world.subnet(world.vpc()))
    leak = swept().the("network interface")
    assert leak.command == f"aws ec2 terminate-instances --instance-ids {machine} --region {REGION}"


@pytest.mark.parametrize("kind", ["efa", "efa-only"])
def test_an_interface_of_efa_cannot_be_taken_from_its_machine(world: World, kind: str) -> None:
    held = {"AttachmentId": "eni-attach-1", "DeviceIndex": 1, "InstanceId": "i-1"}
    second = {"NetworkInterfaceId": "eni-1", "Attachment": held, "TagSet": OURS, "InterfaceType": kind}
    world.answers["DescribeNetworkInterfaces"] = {"NetworkInterfaces": [second]}
    assert swept().leaks["eni-1"].command.startswith("aws ec2 terminate-instances --instance-ids i-1 ")


def test_a_placement_group_is_found_by_its_tags_costs_nothing_and_goes_after_the_network(
    world: World,
) -> None:
    groups = (
        {"GroupName": "caffe-spark-demo-workers", "State": "available", "Tags": OURS},
        {"GroupName": "going", "State": "deleting", "Tags": OURS},
    )
    world.answers["DescribePlacementGroups"] = {"PlacementGroups": list(groups)}
    vpc = world.vpc()
    found = swept()
    assert found.kinds == ["VPC", "placement group"]
    leak = found.the("placement group")
    assert leak.usd_month == 0
    assert leak.command == (
        f"aws ec2 delete-placement-group --group-name caffe-spark-demo-workers --region {REGION}"
    )
    lines = [line for line in found.said.splitlines() if line.startswith("aws ")]
    assert [vpc in lines[0], "delete-placement-group" in lines[1]] == [True, True]


def test_an_interface_that_a_gateway_or_an_endpoint_made_goes_with_it(world: World) -> None:
    made = {"NetworkInterfaceId": "eni-1", "VpcId": world.vpc(), "RequesterManaged": True, "TagSet": OURS}
    world.answers["DescribeNetworkInterfaces"] = {"NetworkInterfaces": [made]}
    assert swept().kinds == ["VPC"]


def test_an_interface_that_something_else_holds_is_taken_from_it(world: World) -> None:
    held = {"AttachmentId": "eni-attach-1", "DeviceIndex": 1, "InstanceId": "i-1"}
    second = {"NetworkInterfaceId": "eni-1", "Attachment": held, "TagSet": OURS}
    world.answers["DescribeNetworkInterfaces"] = {"NetworkInterfaces": [second]}
    assert swept().leaks["eni-1"].command == (
        f"aws ec2 detach-network-interface --force --attachment-id eni-attach-1 --region {REGION}"
        f" && aws ec2 delete-network-interface --network-interface-id eni-1 --region {REGION}"
    )


def test_another_projects_network_is_not_ours(world: World) -> None:
    vpc = world.vpc(THEIRS)
    world.subnet(vpc, THEIRS)
    world.security_group(vpc, "head", THEIRS)
    world.address(THEIRS)
    assert swept().found.clean


def test_of_a_given_network_only_what_the_stack_made_there_is_found(world: World) -> None:
    ec2, vpc = world.ec2(), world.vpc(THEIRS)
    subnet = world.subnet(vpc, THEIRS)
    ec2.create_security_group(VpcId=vpc, GroupName="company", Description="theirs")
    theirs = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    ours = world.security_group(vpc, "head")
    found = swept()
    assert set(found.leaks) == {ours}
    assert not [part for part in (vpc, subnet, theirs) if part in found.said]

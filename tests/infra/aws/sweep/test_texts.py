"""Log groups and parameters, in one region of an account that is moto's."""

from __future__ import annotations

from decimal import Decimal

from tests.infra.aws.sweep.conftest import REGION, World, swept

TAGS = {"Project": "caffe-spark", "Stack": "demo"}


def test_a_log_group_of_ours_is_found_by_its_tags(world: World) -> None:
    logs = world.client("logs")
    logs.create_log_group(logGroupName="caffe-spark-demo-flows-1", tags=TAGS)
    logs.create_log_group(logGroupName="caffe-spark/demo", tags=TAGS)
    logs.create_log_group(logGroupName="caffe-spark-users-own")
    logs.create_log_group(logGroupName="another", tags={"Project": "another"})
    found = swept()
    names = ["caffe-spark-demo-flows-1", "caffe-spark/demo"]
    assert [leak.id for leak in found.found.leaks] == names
    for leak, name in zip(found.found.leaks, names, strict=True):
        assert leak.command == f"aws logs delete-log-group --log-group-name {name} --region {REGION}"
        assert (leak.kind, leak.usd_month) == ("log group", Decimal(0))


def test_a_parameter_is_found_by_its_tags_or_below_our_name(world: World) -> None:
    ssm = world.client("ssm")
    tags = [{"Key": key, "Value": value} for key, value in TAGS.items()]
    ssm.put_parameter(Name="/caffe-spark/demo/both", Value="1", Type="String", Tags=tags)
    ssm.put_parameter(Name="/caffe-spark/demo/name", Value="1", Type="String")
    ssm.put_parameter(Name="tags", Value="1", Type="String", Tags=tags)
    ssm.put_parameter(Name="/another/name", Value="1", Type="String")
    found = swept()
    assert sorted(found.leaks) == ["/caffe-spark/demo/both", "/caffe-spark/demo/name", "tags"]
    assert found.leaks["tags"].command == f"aws ssm delete-parameter --name tags --region {REGION}"


def test_another_stacks_texts_are_not_asked_for(world: World) -> None:
    world.client("logs").create_log_group(logGroupName="caffe-spark-demo-flows-1", tags=TAGS)
    world.client("ssm").put_parameter(Name="/caffe-spark/demo/name", Value="1", Type="String")
    assert swept(stack="other").found.clean
    assert swept(stack="demo").kinds == ["log group", "parameter"]

"""The head, as it is registered."""

from __future__ import annotations

from functools import cache
from typing import Any

from infra.aws.head import HeadNode, HeadNodeArgs
from tests.infra.aws.conftest import Recording, Registration, record
from tests.infra.aws.identities import identity

INSTANCE = "aws:ec2/instance:Instance"
TAGS = {"Project": "caffe-spark", "Stack": "test", "ManagedBy": "pulumi"}


@cache
def made(key_pair: str | None = None, protect: bool = False, volume_key: str | None = None) -> Recording:
    def build() -> None:
        args = HeadNodeArgs(
            name="caffe-spark-test-head",
            instance_type="m6i.xlarge",
            image="ami-0000000000000000a",
            volume_gb=50,
            identity=identity(),
            user_data="#!/bin/sh\n",
            key_pair=key_pair,
            protect=protect,
            subnet_id="subnet-1",
            address="10.40.224.10",
            public_address=True,
            security_group_ids=["sg-1"],
            tags=TAGS,
            volume_key=volume_key,
        )
        HeadNode("head", args)

    return record(build)


def instance(**given: Any) -> Registration:
    return made(**given).the(INSTANCE)


def test_metadata_is_given_to_callers_with_a_token_on_the_machine_itself_only() -> None:
    assert instance().inputs["metadataOptions"] == {
        "httpEndpoint": "enabled",
        "httpTokens": "required",
        "httpPutResponseHopLimit": 1,
        "instanceMetadataTags": "disabled",
    }


def test_its_disk_has_the_stacks_key_or_the_accounts_default() -> None:
    assert instance(volume_key="arn:key").inputs["rootBlockDevice"]["kmsKeyId"] == "arn:key"
    assert "kmsKeyId" not in instance().inputs["rootBlockDevice"]


def test_its_disk_is_encrypted_and_goes_with_it() -> None:
    disk = instance().inputs["rootBlockDevice"]
    assert (disk["volumeType"], disk["volumeSize"]) == ("gp3", 50)
    assert disk["encrypted"] is True
    assert disk["deleteOnTermination"] is True
    assert TAGS.items() <= disk["tags"].items(), "it bills by itself"


def test_it_has_the_address_that_workers_know() -> None:
    found = instance().inputs
    assert (found["privateIp"], found["subnetId"]) == ("10.40.224.10", "subnet-1")
    assert found["vpcSecurityGroupIds"] == ["sg-1"]
    assert found["associatePublicIpAddress"] is True, "its way out; what comes in is the group's matter"


def test_its_successor_can_have_the_address_because_it_goes_first() -> None:
    assert instance().options["delete_before_replace"]


def test_new_roles_do_not_restart_it() -> None:
    assert instance().options["ignore_changes"] == ("userData",)
    assert instance().inputs["userDataReplaceOnChange"] is False


def test_it_is_an_instance_on_demand() -> None:
    assert "instanceMarketOptions" not in instance().inputs
    assert instance().inputs["instanceType"] == "m6i.xlarge"


def test_protection_and_key_pair_are_settings() -> None:
    assert instance().inputs["disableApiTermination"] is False
    assert "keyName" not in instance().inputs
    assert instance(protect=True).inputs["disableApiTermination"] is True
    assert instance(key_pair="mine").inputs["keyName"] == "mine"


def test_consoles_show_whose_it_is() -> None:
    tags = instance().inputs["tags"]
    assert TAGS.items() <= tags.items()
    assert (tags["Name"], tags["Role"]) == ("caffe-spark-test-head", "head")

"""The whole program for a stack on AWS, against the recording engine: what is registered, and what is said.

That AWS takes what is registered is for the cross-check to show (docs/aws.md); what machines make of their
user data and scripts, for tests/end_to_end.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from bootstrap.cluster import S3, AutoScalingGroup, ClusterDocument, DeclaredNode
from bootstrap.join import user_data as boot
from infra.aws.settings import regions
from tests.infra.aws.conftest import REGION, ROOT, AwsProgram, Recording, Registration

SECRETS = ("value of spark-secret", "private operator-key", "private signing-key")
PROJECT_TAGS = {"Project": "caffe-spark", "Stack": "test", "ManagedBy": "pulumi"}
INSTANCE = "aws:ec2/instance:Instance"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
GROUP = "aws:autoscaling/group:Group"
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
UPLOAD = "pulumi-python:dynamic/aws:Upload"
PROVIDER = "pulumi:providers:aws"
CPU_ONLY = {
    "instanceTypes": '["c6i.xlarge", "c6i.2xlarge"]',
    "distribution": "debian-12",
    # Debian's images have no SSM agent.
    "adminCidrs": '["203.0.113.7/32"]',
}
ADMIN = {"adminCidrs": '["203.0.113.7/32"]'}


@cache
def recorded(**config: str) -> Recording:
    return AwsProgram([]).run(None, **config)


def user_data(recording: Recording, role: str) -> str:
    if role == "head":
        return str(recording.the(INSTANCE).inputs["userData"])
    return base64.b64decode(recording.the(TEMPLATE).inputs["userData"]).decode()


def settings(recording: Recording, role: str) -> dict[str, Any]:
    """The settings that the user data leave for boot.py, as the machine reads them."""
    found = re.search(
        r"cat >/etc/caffe-spark/boot.json <<'JSON'\n(.*?)\nJSON\n", user_data(recording, role), re.S
    )
    assert found
    read: dict[str, Any] = json.loads(found.group(1))
    return read


def script(recording: Recording, role: str) -> Registration:
    return recording.of(UPLOAD)[f"{role}-script"]


# The document


def test_the_cluster_output_is_the_document_that_bootstrap_reads() -> None:
    recording = recorded()
    cluster = ClusterDocument.from_outputs("test", recording.outputs)
    instance = recording.the(INSTANCE)
    assert (cluster.provider, cluster.head.name, cluster.head.address) == ("aws", "head", "10.40.224.10")
    assert cluster.head.instance == instance.id
    assert cluster.head.ssh_target == instance.id, "Session Manager asks for instances, not for addresses"
    assert type(cluster.head) is DeclaredNode, "the machine reports its own host key"
    assert isinstance(cluster.members, AutoScalingGroup)
    assert cluster.members.name == recording.the(GROUP).inputs["name"] == "caffe-spark-test-workers"
    assert (cluster.members.region, cluster.members.desired_capacity) == (REGION, 2)
    assert cluster.nodes == (cluster.head,)
    assert cluster.shared_storage == f"s3a://{recording.outputs['bucket']}"
    assert isinstance(cluster.storage, S3)
    assert (cluster.storage.region, cluster.storage.endpoint, cluster.storage.access_key) == (
        REGION,
        None,
        None,
    )
    assert cluster.spark_master == "spark://head:7077"
    assert cluster.spark_secret.get_secret_value() == "value of spark-secret"


@pytest.mark.parametrize(
    ("changes", "spot"),
    [
        ({}, True),
        ({"onDemandPercentage": "50"}, True),
        ({"onDemandBase": "2"}, True),
        ({"onDemandPercentage": "100"}, False),
        ({"onDemandBase": "4", "maxWorkers": "4"}, False),
    ],
)
def test_the_document_says_whether_a_worker_may_be_a_spot_instance(
    changes: dict[str, str], spot: bool
) -> None:
    assert ClusterDocument.from_outputs("test", recorded(**changes).outputs).members.spot is spot


def test_workers_offer_what_the_smallest_type_has() -> None:
    worker = ClusterDocument.from_outputs("test", recorded().outputs).worker
    assert (worker.cores, worker.gpus, worker.compute_capabilities) == (4, 1, ("7.5", "8.6"))
    assert 11_000 < worker.memory_mb < 13_000, "of 16 GiB"


@pytest.mark.parametrize("allowed", [False, True])
def test_the_document_says_whether_workers_may_leave_their_gpus_idle(allowed: bool) -> None:
    outputs = recorded(**({"cpuTraining": "true"} if allowed else {})).outputs
    assert ClusterDocument.from_outputs("test", outputs).worker.cpu_training is allowed


def test_volumes_of_head_and_workers_have_the_stacks_key_by_its_own_arn() -> None:
    recording = recorded(kmsKey="alias/volumes")
    key = recording.the(INSTANCE).inputs["rootBlockDevice"]["kmsKeyId"]
    assert key == "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    (mapping,) = recording.the(TEMPLATE).inputs["blockDeviceMappings"]
    assert mapping["ebs"]["kmsKeyId"] == recording.the("aws:kms/grant:Grant").inputs["keyId"] == key
    assert recording.of("aws:kms/keyPolicy:KeyPolicy") == {}, "a key's policy is its owner's"


def test_a_keys_arn_is_taken_as_it_is_and_nothing_is_asked() -> None:
    key = "arn:aws:kms:eu-west-1:123456789012:key/aaaaaaaa-12ab-34cd-56ef-1234567890ab"
    recording = recorded(kmsKey=key, kmsGrant="false")
    assert recording.the(INSTANCE).inputs["rootBlockDevice"]["kmsKeyId"] == key
    assert "aws:kms/getKey:getKey" not in {one.token for one in recording.invokes}
    assert recording.of("aws:kms/grant:Grant") == {}


def test_workers_without_gpus_offer_none() -> None:
    worker = ClusterDocument.from_outputs("test", recorded(**CPU_ONLY).outputs).worker
    assert (worker.cores, worker.gpus, worker.compute_capabilities) == (4, 0, ())
    assert 3_000 < worker.memory_mb < 5_000, "of 8 GiB"


def test_ssh_goes_through_session_manager_and_from_the_head_on() -> None:
    ssh = ClusterDocument.from_outputs("test", recorded().outputs).ssh
    assert (ssh.user, ssh.port, ssh.jump) == ("ubuntu", 22, True)
    assert ssh.proxy_command == (
        "aws ssm start-session --target %h --document-name AWS-StartSSHSession "
        f"--parameters portNumber=%p --region {REGION}"
    )
    assert ssh.private_key is not None
    assert ssh.private_key.get_secret_value() == "private operator-key"


def test_with_admin_cidrs_ssh_goes_straight_to_the_heads_public_address() -> None:
    recording = recorded(**ADMIN)
    cluster = ClusterDocument.from_outputs("test", recording.outputs)
    assert cluster.ssh.proxy_command is None
    assert cluster.head.ssh_target == recording.the(INSTANCE).outputs["publicIp"]
    assert cluster.head.instance == recording.the(INSTANCE).id


def test_a_key_pair_of_ones_own_is_used_and_no_key_is_made() -> None:
    recording = recorded(keyPair="mine", privateKeyFile="~/.ssh/mine")
    ssh = ClusterDocument.from_outputs("test", recording.outputs).ssh
    assert (ssh.private_key, ssh.private_key_file) == (None, "~/.ssh/mine")
    assert "operator-key" not in {one.name for one in recording.resources}
    assert recording.the(INSTANCE).inputs["keyName"] == recording.the(TEMPLATE).inputs["keyName"] == "mine"
    assert "authorized_keys" not in user_data(recording, "head")


def test_only_endpoints_need_a_package_proxy() -> None:
    assert not ClusterDocument.from_outputs("test", recorded().outputs).package_proxy
    assert ClusterDocument.from_outputs("test", recorded(egress="endpoints").outputs).package_proxy


# Secrets


def test_only_the_document_and_nothing_else_of_the_outputs_is_secret() -> None:
    assert recorded().secret_outputs == {"cluster"}


def test_only_the_scripts_hold_a_secret_and_they_are_marked() -> None:
    recording = recorded()
    for one in recording.resources:
        plain = {key: value for key, value in one.inputs.items() if key not in one.secrets}
        assert not [secret for secret in SECRETS if secret in json.dumps(plain)], one.name
    assert {one.name for one in recording.resources if one.secrets} == {"head-script", "worker-script"}


@pytest.mark.parametrize("role", ["head", "worker"])
def test_user_data_hold_no_secret_in_any_form(role: str) -> None:
    text = user_data(recorded(), role)
    for secret in SECRETS:
        assert secret not in text
        assert base64.b64encode(secret.encode()).decode().rstrip("=") not in text


def test_no_secret_is_in_an_output_beside_the_document() -> None:
    others = {key: value for key, value in recorded().outputs.items() if key != "cluster"}
    assert not [secret for secret in SECRETS if secret in json.dumps(others)]


# How machines start


@pytest.mark.parametrize("role", ["head", "worker"])
def test_user_data_ask_for_the_script_that_is_in_the_bucket(role: str) -> None:
    recording = recorded()
    found, put = settings(recording, role), script(recording, role)
    assert found["sha256"] == hashlib.sha256(put.inputs["content"].encode()).hexdigest()
    assert found["script_key"] == put.inputs["key"] == boot.script_key(role, found["sha256"])
    assert put.inputs["bucket"] == recording.outputs["bucket"]
    assert found["bucket_url"] == f"https://{recording.outputs['bucket']}.s3.{REGION}.amazonaws.com"


@pytest.mark.parametrize("role", ["head", "worker"])
def test_a_machine_knows_its_role_as_iam_does(role: str) -> None:
    recording = recorded()
    assert settings(recording, role)["role_id"] == recording.named(f"identity-{role}").outputs["uniqueId"]


def test_workers_know_their_group_and_the_head_has_none() -> None:
    assert settings(recorded(), "worker")["autoscaling_group"] == "caffe-spark-test-workers"
    assert settings(recorded(), "head")["autoscaling_group"] == ""


def test_the_operators_public_key_is_let_in() -> None:
    for role in ("head", "worker"):
        assert "ssh-ed25519 operator-key" in user_data(recorded(), role)


@pytest.mark.parametrize("config", [{}, ADMIN, CPU_ONLY, {"egress": "endpoints"}], ids=str)
@pytest.mark.parametrize("role", ["head", "worker"])
def test_user_data_fit_into_what_ec2_takes(role: str, config: dict[str, str]) -> None:
    assert len(user_data(recorded(**config), role).encode()) < boot.LIMIT


def test_scripts_reach_shared_storage_and_not_the_operators_key() -> None:
    recording = recorded()
    for role in ("head", "worker"):
        text = script(recording, role).inputs["content"]
        assert f"s3a://{recording.outputs['bucket']}" in text
        assert "value of spark-secret" in text
        assert "private operator-key" not in text


def test_scripts_and_document_name_the_jobs_role() -> None:
    recording = recorded()
    arn = recording.named("identity-job").outputs["arn"]
    storage = ClusterDocument.from_outputs("test", recording.outputs).storage
    assert isinstance(storage, S3)
    assert storage.job_role == arn
    for role in ("head", "worker"):
        assert f'"job_role": "{arn}"' in script(recording, role).inputs["content"]


def test_another_bucket_or_secret_is_another_script_under_another_name() -> None:
    first, other = recorded(), recorded(headVolumeGb="60")
    assert script(first, "head").inputs["key"] == script(other, "head").inputs["key"]
    cores = recorded(instanceTypes='["g5.2xlarge"]')
    assert script(first, "worker").inputs["key"] != script(cores, "worker").inputs["key"]


RIGHTS = {
    role: (f"identity-{role}-policy", f"identity-{role}-jobs", "identity-job-policy")
    for role in ("head", "worker")
}


def test_machines_come_when_network_images_scripts_and_rights_are_there() -> None:
    recording = recorded()
    for role, kind in (("head", INSTANCE), ("worker", GROUP)):
        waits = recording.the(kind).depends_on
        for name in (f"{role}-script", *RIGHTS[role], "images", "network-s3"):
            assert recording.named(name).urn in waits, f"{role} does not wait for {name}"


# Images


def test_the_newest_images_of_the_distribution_are_asked_for_and_pinned() -> None:
    recording = recorded()
    names = {call.args["name"] for call in recording.invokes}
    assert names == {regions.table().images[kind]["ubuntu-24.04"] for kind in ("gpu", "plain")}
    pins = recording.named("images")
    assert pins.inputs["head"] == recording.the(INSTANCE).inputs["ami"]
    assert pins.inputs["worker"] == recording.the(TEMPLATE).inputs["imageId"]


def test_pinned_images_are_taken_and_nothing_is_asked() -> None:
    pins = {"headAmi": "ami-0000000000000000a", "workerAmi": "ami-0000000000000000b"}
    recording = recorded(**pins)
    assert recording.invokes == []
    assert recording.the(INSTANCE).inputs["ami"] == pins["headAmi"]
    assert recording.the(TEMPLATE).inputs["imageId"] == pins["workerAmi"]


def test_disks_grow_on_the_distributions_own_root_device() -> None:
    for config, device in (({}, "/dev/sda1"), (CPU_ONLY, "/dev/xvda")):
        (mapping,) = recorded(**config).the(TEMPLATE).inputs["blockDeviceMappings"]
        assert mapping["deviceName"] == device


# Rules that hold everywhere


FALLBACK = {"fallbackAfter": "10 min"}
VARIANTS: list[dict[str, str]] = [
    {},
    {"egress": "endpoints"},
    ADMIN,
    CPU_ONLY,
    {"flowLogs": "true"},
    FALLBACK,
    {"cloudLogs": "true", "egress": "endpoints"},
]
EVERY = pytest.mark.parametrize("config", VARIANTS, ids=lambda config: next(iter(config), "default"))


def test_the_fallback_reaches_the_head_the_group_and_whoever_reads_the_cluster() -> None:
    recording = recorded(**FALLBACK)
    limits = recording.named("limits")
    assert json.loads(limits.inputs["content"])["fallback_seconds"] == 600
    assert recording.named("workers-capacity").inputs["fallback"] is True
    assert limits.urn in recording.named("workers-group").depends_on, "the head reads it first"
    assert recording.outputs["cluster"]["members"]["fallback_seconds"] == 600
    assert "on demand after 10 min without spot capacity" in recording.outputs["nodes"]["workers"]


def test_a_group_that_scales_is_told_to_whoever_makes_it_larger_or_smaller() -> None:
    scales = {"scaleToQueue": "true", "idleStop": "30 min", "minWorkers": "1", "maxWorkers": "6"}
    recording = recorded(**scales)
    members = recording.outputs["cluster"]["members"]
    assert (members["scales"], members["max_size"], members["min_size"]) == (True, 6, 1)
    assert json.loads(recording.named("limits").inputs["content"])["idle_workers"] == 1
    assert recording.named("workers-capacity").inputs["scales"] is True


@EVERY
def test_nothing_comes_in_from_everywhere(config: dict[str, str]) -> None:
    for rule in recorded(**config).of(INGRESS).values():
        assert rule.inputs.get("cidrIpv4") != "0.0.0.0/0"
        assert "cidrIpv6" not in rule.inputs


def test_nothing_at_all_comes_in_from_outside_by_default() -> None:
    assert all("cidrIpv4" not in rule.inputs for rule in recorded().of(INGRESS).values())


def test_admin_cidrs_reach_the_heads_ssh_and_nothing_else() -> None:
    open_to = [rule.inputs for rule in recorded(**ADMIN).of(INGRESS).values() if "cidrIpv4" in rule.inputs]
    (rule,) = open_to
    assert (rule["cidrIpv4"], rule["fromPort"], rule["toPort"]) == ("203.0.113.7/32", 22, 22)
    head_group = recorded(**ADMIN).named("firewall-head").id
    assert rule["securityGroupId"] == head_group


@EVERY
def test_everything_goes_through_the_stacks_own_provider(config: dict[str, str]) -> None:
    """The default one would know neither the region nor the tags."""
    recording = recorded(**config)
    provider = recording.the(PROVIDER)
    assert provider.inputs["region"] == REGION
    assert json.loads(provider.inputs["defaultTags"]) == {"tags": PROJECT_TAGS}
    own = f"{provider.urn}::{provider.id}"
    assert {one.provider for one in recording.aws} == {own}
    assert {call.provider for call in recording.invokes} <= {own}


@EVERY
def test_every_volume_is_encrypted_and_every_machine_asks_for_a_token(config: dict[str, str]) -> None:
    recording = recorded(**config)
    assert recording.the(INSTANCE).inputs["rootBlockDevice"]["encrypted"] is True
    assert all(
        mapping["ebs"]["encrypted"] == "true"
        for mapping in recording.the(TEMPLATE).inputs["blockDeviceMappings"]
    )
    for kind in (INSTANCE, TEMPLATE):
        assert recording.the(kind).inputs["metadataOptions"]["httpTokens"] == "required"


@EVERY
def test_only_types_are_asked_for_that_a_zone_of_the_stack_offers(config: dict[str, str]) -> None:
    recording = recorded(**config)
    region, zones = regions.table().regions[REGION], recording.outputs["zones"]
    launch = recording.the(GROUP).inputs["mixedInstancesPolicy"]["launchTemplate"]
    for kind in (recording.the(INSTANCE).inputs["instanceType"], *_types(launch)):
        assert region.offered(kind, zones), kind


def _types(launch: dict[str, Any]) -> Iterator[str]:
    return (override["instanceType"] for override in launch["overrides"])


def test_workers_are_in_every_zone_and_the_head_in_the_first() -> None:
    recording = recorded()
    subnets = {subnet.id: subnet for subnet in recording.of("aws:ec2/subnet:Subnet").values()}
    there = [
        subnets[one].inputs["availabilityZone"] for one in recording.the(GROUP).inputs["vpcZoneIdentifiers"]
    ]
    assert sorted(there) == recording.outputs["zones"]
    head = subnets[recording.the(INSTANCE).inputs["subnetId"]]
    assert head.inputs["availabilityZone"] == recording.outputs["zones"][0]


@EVERY
def test_what_bills_by_the_hour_goes_before_the_bucket(config: dict[str, str]) -> None:
    """A bucket that must not be emptied ends `pulumi destroy`: nothing dear may be left then."""
    recording = recorded(**config)
    contents = recording.named("storage-contents").urn
    for one in recording.aws:
        if one.type in (INSTANCE, GROUP, "aws:ec2/natGateway:NatGateway", "aws:ec2/vpcEndpoint:VpcEndpoint"):
            assert contents in recording.needs(one), one.name


def test_the_names_of_resources_are_like_no_other() -> None:
    """Mocks let two resources of one URN pass; the engine does not."""
    urns = [one.urn for one in recorded().resources]
    assert len(urns) == len(set(urns))


# What `pulumi up` ends with


def test_the_closing_block_says_who_is_there_what_it_costs_and_what_to_type() -> None:
    recording = recorded()
    outputs = recording.outputs
    assert outputs["region"] == REGION
    assert outputs["zones"] == [f"{REGION}{letter}" for letter in "abc"]
    assert outputs["head"] == recording.the(INSTANCE).id
    assert outputs["worker_group"] == "caffe-spark-test-workers"
    assert outputs["nodes"]["head"] == f"m6i.xlarge on demand, 10.40.224.10, {REGION}a"
    assert outputs["nodes"]["workers"].startswith("2 (0 to 4) spot: g4dn.xlarge, ")
    assert "USD/h" in outputs["cost"]
    assert outputs["cap"] == "at most 4 workers, a spot worker at most the on-demand price"
    assert outputs["connect"] == f"aws ssm start-session --target {outputs['head']} --region {REGION}"
    assert "host=10.40.224.10,portNumber=8080" in outputs["spark_ui"]
    assert "fab build-headnode --stack test" in outputs["next"]
    assert outputs["destroy"] == "pulumi destroy --stack test, then fab sweep --stack test"


def test_prices_and_shares_are_said_as_they_are_set() -> None:
    outputs = recorded(maxPrice="0.80", onDemandBase="1", onDemandPercentage="25").outputs
    assert outputs["cap"].endswith("a spot worker at most 0.80 USD/h")
    workers = outputs["nodes"]["workers"]
    assert "spot, 1 of them on demand, 25 % of the others on demand:" in workers


def test_with_admin_cidrs_the_commands_are_ssh_and_the_key_is_in_no_file() -> None:
    recording = recorded(**ADMIN)
    address = f"ubuntu@{recording.the(INSTANCE).outputs['publicIp']}"
    assert recording.outputs["connect"].endswith(f"| ssh-add -q - && ssh {address}")
    assert recording.outputs["spark_ui"].endswith(f"ssh -N -L 8080:10.40.224.10:8080 {address}")
    theirs = recorded(keyPair="mine", privateKeyFile="~/.ssh/mine", **ADMIN)
    assert theirs.outputs["connect"] == f"ssh -i ~/.ssh/mine {address}"


# Failures before the first resource


def test_prices_that_cannot_be_read_are_refused_before_the_first_resource(
    aws_program: AwsProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAFFE_SPARK_PRICES", str(tmp_path / "none.yaml"))
    assert "there is no such file" in aws_program.refused()


# Reasons


def test_each_reason_for_what_checkov_finds_names_something_that_is_there() -> None:
    reasons = yaml.safe_load((ROOT / "infra" / "aws" / "checkov-reasons.yaml").read_text())
    names = {one.name for one in recorded().resources} | {
        one.name for one in recorded(flowLogs="true", egress="endpoints", cloudLogs="true").resources
    }
    for check, entry in reasons.items():
        assert re.fullmatch(r"CKV2?_AWS_\d+", check)
        assert set(entry["where"]) <= names, check
        assert len(entry["reason"]) > 40


def test_prices_and_limits_are_in_the_document_and_in_the_file_that_the_head_reads() -> None:
    recording = recorded(budget='{"total": 20}', idleStop="30 min")
    document = ClusterDocument.from_outputs("test", recording.outputs)
    assert document.prices is not None
    assert document.limits is not None
    assert (document.limits.total, document.limits.idle_seconds) == (Decimal(20), 1800)
    file = recording.the("pulumi-python:dynamic/aws:LimitsFile")
    sent = json.loads(file.inputs["content"])
    assert sent["prices"] == document.prices.model_dump(mode="json")
    assert sent["limits"]["total"] == "20"
    assert sent["max_join_failures"] == 3
    assert sent["worker_role"]
    assert isinstance(document.members, AutoScalingGroup)
    assert document.members.watched


def test_scripts_of_machines_are_the_same_whatever_nodes_may_cost() -> None:
    plain, limited = recorded(), recorded(budget='{"total": 20}', idleStop="30 min")
    assert user_data(plain, "head") == user_data(limited, "head")


def test_a_stack_above_its_budget_is_refused_before_anything_is_registered(aws_program: AwsProgram) -> None:
    line = aws_program.refused(budget='{"perHour": 0.5}')
    assert "caffe-spark:budget.perHour = 0.5: an hour of the stack is estimated to cost" in line
    assert "Lower workers (2), maxPrice (the on-demand price), instanceTypes (" in line


LARGE = {
    "instanceTypes": '["p4d.24xlarge"]',
    "zones": '["eu-west-1c"]',
    "onDemandPercentage": "100",
    "reservation": "cr-0123456789abcdef0",
}


def test_a_worker_with_eight_gpus_offers_them_all_and_leaves_memory_to_each_rank() -> None:
    worker = recorded(**LARGE).outputs["cluster"]["worker"]
    assert (worker["gpus"], worker["cores"], worker["instance_store"]) == (8, 96, True)
    assert worker["compute_capabilities"] == ["8.0"]
    assert worker["memory_mb"] == int(1179648 * 0.95) - 1024 - 320 - 8 * 2048


def test_a_stack_without_disks_of_its_machines_has_none_for_spark() -> None:
    assert recorded(**CPU_ONLY).outputs["cluster"]["worker"]["instance_store"] is False


def test_reserved_workers_are_told_as_such() -> None:
    outputs = recorded(**LARGE).outputs
    assert outputs["nodes"]["workers"] == (
        "2 (0 to 4) on demand in reservation cr-0123456789abcdef0: p4d.24xlarge in eu-west-1c"
    )
    assert outputs["cap"] == "at most 4 workers"
    assert outputs["cluster"]["members"]["market"] == "on_demand"
    block = recorded(**LARGE, capacityBlock="true").outputs
    assert " on demand in block cr-0123456789abcdef0: " in block["nodes"]["workers"]

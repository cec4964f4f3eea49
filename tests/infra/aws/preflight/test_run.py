"""Everything at once: what a user sees with a full account, an empty one, and with nothing at all."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from moto.core.authorization import enable_iam_authentication

from tests.infra.aws.preflight.conftest import Account, Preflight, Tools, config

CLOUDY = [
    "spot prices",
    "quota: spot, G and VT",
    "quota: on demand, standard",
    "quota: VPCs",
    "quota: elastic addresses",
    "images",
    "worker group",
    "volume key",
    "rights",
]
"""Checks that need AWS."""


def verdicts(preflight: Preflight) -> Counter[str]:
    return Counter(finding.verdict for finding in preflight.findings)


def test_an_account_that_has_everything_passes(account: Account, tools: Tools, preflight: Preflight) -> None:
    tools.has_all()
    account.has_newest_images(config())
    preflight.run(config())
    assert verdicts(preflight) == {"passed": 21}
    assert preflight.printed.splitlines()[-1] == "21 passed."


def test_nothing_is_asked_that_would_change_anything(
    account: Account, tools: Tools, preflight: Preflight
) -> None:
    preflight.run(config())
    assert account.changes == []
    account.denies("SimulatePrincipalPolicy")
    preflight.run(config(headAmi="ami-0123456789abcdef0"))
    assert "RunInstances" in account.asked, "as a dry run"
    assert account.changes == []


def test_a_new_account_fails_where_a_stack_would(
    account: Account, tools: Tools, preflight: Preflight
) -> None:
    tools.has_all()
    account.has_newest_images(config())
    account.quotas = {"L-3819A6DF": 0, "L-1216C47A": 5, "L-F678F1CE": 5, "L-0263D0A3": 5}
    preflight.run(config())
    assert [finding.name for finding in preflight.findings if finding.failed] == ["quota: spot, G and VT"]
    assert "  → Run `aws service-quotas request-service-quota-increase" in preflight.printed


def test_every_failure_has_a_line_that_says_what_to_type(account: Account, preflight: Preflight) -> None:
    account.default_quota = 0
    preflight.run(config(headAmi="ami-0123456789abcdef0", keyPair="mine", privateKeyFile="/nowhere/mine.pem"))
    failed = [finding for finding in preflight.findings if finding.failed]
    assert len(failed) == 11
    assert all(finding.fix and "\n" not in finding.fix + finding.detail for finding in failed)
    assert preflight.printed.count("  → ") == len(failed)


def test_without_credentials_this_machine_and_the_table_still_speak(
    no_credentials: None, tools: Tools, preflight: Preflight
) -> None:
    tools.has_all()
    found = preflight.run(config())
    assert [finding.name for finding in preflight.findings if finding.failed] == ["identity"]
    skipped = [finding for finding in preflight.findings if finding.verdict == "skipped"]
    assert [finding.name for finding in skipped] == ["region", *CLOUDY]
    assert {finding.detail for finding in skipped} == {"no valid credentials"}
    assert "by the table of" in found["instance types"].detail
    assert found["Pulumi"].verdict == found["key pair"].verdict == "passed"


@pytest.mark.parametrize(
    ("there", "missing"),
    [("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"), ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")],
)
def test_half_a_pair_of_credentials_names_the_half_that_is_missing(
    there: str, missing: str, no_credentials: None, preflight: Preflight, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(there, "half")
    assert preflight.run(config())["identity"].detail.startswith(f"{missing} is not set")


def test_a_profile_that_is_not_there_is_one_failure(
    no_credentials: None, preflight: Preflight, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert "list-profiles" in preflight.run(config())["identity"].fix


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("InvalidClientTokenId", "does not know this access key"),
        ("SignatureDoesNotMatch", "the secret"),
        ("ExpiredToken", "have expired"),
    ],
)
def test_credentials_that_are_no_good_say_so_once(
    code: str, words: str, account: Account, preflight: Preflight
) -> None:
    account.refuses("GetCallerIdentity", code)
    assert words in preflight.run(config())["identity"].detail
    assert preflight.printed.count(words) == 1
    assert account.asked == ["GetCallerIdentity"]


def test_without_a_way_to_aws_nothing_more_is_tried(account: Account, preflight: Preflight) -> None:
    def unreachable(_: object) -> dict[str, object]:
        raise EndpointConnectionError(endpoint_url="https://sts.us-east-1.example")

    account.answers["GetCallerIdentity"] = unreachable
    found = preflight.run(config())
    assert "cannot be reached" in found["identity"].detail
    assert found["images"].detail == "AWS cannot be reached"
    assert account.asked == ["GetCallerIdentity"]


def test_a_region_that_is_not_enabled_is_not_asked(account: Account, preflight: Preflight) -> None:
    account.answers["DescribeRegions"] = lambda _: {"Regions": [{"OptInStatus": "not-opted-in"}]}
    found = preflight.run(config())
    assert found["region"].failed
    assert found["images"].verdict == "skipped"
    assert "enable-region" in preflight.printed
    assert account.asked == ["GetCallerIdentity", "DescribeRegions"]


def test_throttling_of_one_call_leaves_the_others_their_answers(
    account: Account, tools: Tools, preflight: Preflight
) -> None:
    tools.has_all()
    account.has_newest_images(config())
    for operation in ("GetCallerIdentity", "DescribeRegions", "DescribeVpcs"):
        account.refuses(operation, "RequestLimitExceeded", "Request limit exceeded.")
    preflight.run(config())
    failed = [finding for finding in preflight.findings if finding.failed]
    assert [finding.name for finding in failed] == ["identity", "region", "quota: VPCs"]
    assert all("throttles" in finding.detail for finding in failed)
    assert verdicts(preflight)["passed"] == 17
    skipped = [finding for finding in preflight.findings if finding.verdict == "skipped"]
    assert [(finding.name, finding.detail) for finding in skipped] == [
        ("rights", "who is asking is not known")
    ]


def test_a_user_with_few_rights_is_told_each_action_that_is_lacking(
    account: Account, tools: Tools, preflight: Preflight, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools.has_all()
    iam = boto3.client("iam")
    iam.create_user(UserName="ops")
    allowed = ["sts:*", "ec2:DescribeRegions", "ec2:DescribeAvailabilityZones", "servicequotas:*"]
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": allowed, "Resource": "*"}]}
    iam.put_user_policy(UserName="ops", PolicyName="few", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName="ops")["AccessKey"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    account.denies("SimulatePrincipalPolicy")
    del account.answers["CreateVpc"]  # moto itself refuses it
    with enable_iam_authentication():
        found = preflight.run(config(headAmi="ami-0123456789abcdef0"))
    assert found["identity"].detail.endswith(":user/ops")
    assert found["zones"].verdict == found["quota: spot, G and VT"].verdict == "passed"
    lacking = {
        "instance types": ("skipped", "ec2:DescribeInstanceTypeOfferings"),
        "spot prices": ("skipped", "ec2:DescribeSpotPriceHistory"),
        "quota: VPCs": ("failed", "ec2:DescribeVpcs"),
        "quota: elastic addresses": ("failed", "ec2:DescribeAddresses"),
        "image of the head": ("failed", "ec2:DescribeImages"),
        "worker group": ("failed", "autoscaling:DescribeAutoScalingGroups"),
    }
    for name, (verdict, action) in lacking.items():
        assert found[name].verdict == verdict
        assert found[name].detail.startswith(f"these credentials lack the permission {action}")
        assert found[name].fix == f"Ask an administrator to allow `{action}`."
    assert found["rights"].failed
    for action in ("ec2:CreateVpc", "ec2:AllocateAddress", "ec2:CreateLaunchTemplate"):
        assert action in found["rights"].detail


def test_a_bug_in_one_check_keeps_its_traceback(account: Account, preflight: Preflight) -> None:
    account.answers["DescribeVpcs"] = lambda _: {}
    with pytest.raises(KeyError):
        preflight.run(config())


def test_the_stacks_own_region_is_asked(account: Account, tools: Tools, preflight: Preflight) -> None:
    stack = config(region="us-west-2")
    account.has_image(
        "ami-0dddddddddddddddd",
        "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20260918",
        region="us-west-2",
        parameter=stack.ami_parameter("head"),
    )
    found = preflight.run(stack)
    assert found["image of the head"].verdict == "passed"
    assert "us-west-2a" in found["zones"].detail


def test_a_key_pair_is_asked_about_on_both_sides(
    account: Account, preflight: Preflight, tmp_path: Path
) -> None:
    found = preflight.run(config(keyPair="mine", privateKeyFile=str(tmp_path / "mine.pem")))
    assert found["key pair"].failed
    assert found["private key"].failed

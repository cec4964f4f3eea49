"""Translation of AWS SDK errors: one line, with the next command."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    ReadTimeoutError,
    UnauthorizedSSOTokenError,
)
from moto import mock_aws
from moto.core.authorization import enable_iam_authentication

from bootstrap.clouds import aws
from bootstrap.errors import CaffeSparkError, ConfigError, ServiceDown
from tests.offline import ReachedOut, no_credentials, offline

__all__ = ["no_credentials", "offline"]

pytestmark = pytest.mark.usefixtures("no_credentials")


def refusal(code: str, message: str, operation: str = "DescribeInstances") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


def said_of(error: Exception) -> CaffeSparkError:
    with pytest.raises((ConfigError, ServiceDown)) as caught, aws.translate_errors("listing instances"):
        raise error
    return caught.value


def who_am_i() -> None:
    with aws.translate_errors("asking who this is"):
        client = aws.session().client("sts", region_name="us-east-1", config=aws.RETRY)
        client.get_caller_identity()


def test_without_credentials_both_variables_are_named() -> None:
    with pytest.raises(
        ConfigError, match="neither AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY nor AWS_PROFILE"
    ):
        who_am_i()


@pytest.mark.parametrize(
    ("there", "missing"),
    [
        ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"),
        ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    ],
)
def test_half_a_pair_in_the_environment_names_the_other_half(
    there: str, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(there, "half")
    with pytest.raises(ConfigError, match=rf"{missing} is not set.*`export {missing}=…`"):
        who_am_i()


def test_half_a_pair_is_reported_before_any_client_is_created(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "half")
    with pytest.raises(ConfigError, match="AWS_SECRET_ACCESS_KEY is not set"):
        aws.session()


def test_half_a_pair_in_a_profile_names_the_other_half(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "credentials").write_text("[default]\naws_access_key_id = AKIDEXAMPLE\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    with pytest.raises(ConfigError, match="AWS_SECRET_ACCESS_KEY is not set"):
        who_am_i()


def test_a_profile_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(ConfigError, match=r"AWS_PROFILE: .*nobody.*list-profiles"):
        aws.session()


def test_an_unknown_access_key_and_a_wrong_secret_are_distinguished(monkeypatch: pytest.MonkeyPatch) -> None:
    with mock_aws():
        iam = boto3.client("iam", aws_access_key_id="root", aws_secret_access_key="root")
        iam.create_user(UserName="ops")
        key = iam.create_access_key(UserName="ops")["AccessKey"]["AccessKeyId"]
        with enable_iam_authentication():
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIANOBODYHASTHIS")
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
            with pytest.raises(ConfigError, match=r"does not know this access key \(AWS_ACCESS_KEY_ID"):
                who_am_i()
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
            with pytest.raises(
                ConfigError, match=r"the secret \(AWS_SECRET_ACCESS_KEY.*is not this access key's"
            ):
                who_am_i()


@pytest.mark.parametrize(
    ("code", "message", "words"),
    [
        ("ExpiredToken", "The security token included in the request is expired", "have expired"),
        ("RequestExpired", "Request has expired.", "have expired"),
        ("AuthFailure", "AWS was not able to validate them", "has not enabled this region"),
        ("SignatureDoesNotMatch", "Signature expired: 1 is now earlier than 2", "clock is wrong"),
        ("RequestTimeTooSkewed", "The difference is too large", "clock is wrong"),
    ],
)
def test_invalid_and_expired_credentials_are_explained(code: str, message: str, words: str) -> None:
    error = said_of(refusal(code, message))
    assert isinstance(error, ConfigError)
    assert words in str(error)


def test_an_expired_sso_session_names_the_login_command() -> None:
    assert "`aws sso login`" in said_of(UnauthorizedSSOTokenError()).fix


@pytest.mark.parametrize(
    ("message", "action"),
    [
        (
            "You are not authorized to perform this operation. User: arn:aws:iam::1:user/ops is not "
            "authorized to perform: ec2:DescribeImages because no identity-based policy allows the "
            "ec2:DescribeImages action",
            "ec2:DescribeImages (no identity-based policy allows the ec2:DescribeImages action)",
        ),
        (
            "User: arn:aws:iam::1:user/ops is not authorized to perform: s3:PutObject on resource: "
            '"arn:aws:s3:::b/k" with an explicit deny in a service control policy',
            "s3:PutObject (with an explicit deny in a service control policy)",
        ),
        ("User: a is not authorized to perform: service-quotas:X.", "service-quotas:X"),
        (
            "You are not authorized to perform this operation. Encoded authorization failure message: 4GIOHl",
            "DescribeInstances",
        ),
        ("", "DescribeInstances"),
    ],
)
def test_a_missing_permission_is_named_as_in_policies(message: str, action: str) -> None:
    error = said_of(refusal("UnauthorizedOperation", message))
    assert isinstance(error, aws.Denied)
    assert error.operation == "DescribeInstances"
    assert error.why == f"these credentials lack the permission {action}"
    assert error.fix == f"Ask an administrator to allow `{action.split(maxsplit=1)[0]}`."


def test_throttling_beyond_all_retries_advises_to_wait() -> None:
    error = said_of(refusal("RequestLimitExceeded", "Request limit exceeded."))
    assert isinstance(error, ServiceDown)
    assert "throttles" in error.why
    assert "Wait a minute" in error.fix


def test_any_other_refusal_is_one_line_with_awss_message() -> None:
    error = said_of(refusal("InvalidGroup.NotFound", "The group\n 'x' does not exist"))
    assert isinstance(error, ServiceDown)
    assert error.why == "DescribeInstances failed: The group 'x' does not exist (InvalidGroup.NotFound)"


PAGE = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head>\n<body>Welcome to the hotel</body></html>"
LOAD_BALANCER = "<html><body><b>Http/1.1 Service Unavailable</b></body> </html>"
PROXY = "the response is not AWS's: it comes from a proxy, or a sign-in page of this network"


class Body(io.BytesIO):
    """A response's body, as botocore reads it."""

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self.read()


CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "ec2": ("describe_vpcs", {}),
    "autoscaling": ("describe_auto_scaling_groups", {}),
    "iam": ("list_roles", {}),
    "ssm": ("get_parameter", {"Name": "/a"}),
    "service-quotas": ("get_service_quota", {"ServiceCode": "ec2", "QuotaCode": "L-1"}),
    "s3": ("list_objects_v2", {"Bucket": "b"}),
    "sts": ("get_caller_identity", {}),
}
"""Service → a call; between them they speak all of AWS's protocols."""


def answered(status: int, page: str, service: str, monkeypatch: pytest.MonkeyPatch) -> ServiceDown:
    """The error of a call that is answered with that page; nothing leaves this process."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    once = aws.RETRY.merge(Config(retries={"mode": "standard", "total_max_attempts": 1}))
    session: Any = aws.session()
    client = session.client(service, region_name="eu-west-1", config=once)

    def send(request: Any, **_: object) -> AWSResponse:
        headers: Any = {"Content-Type": "text/html", "Content-Length": str(len(page))}
        return AWSResponse(request.url, status, headers, Body(page.encode()))

    client.meta.events.register("before-send", send)
    operation, arguments = CALLS[service]
    with pytest.raises(ServiceDown) as caught, aws.translate_errors("asking"):
        getattr(client, operation)(**arguments)
    assert "\n" not in str(caught.value)
    assert "<" not in str(caught.value)
    assert "hotel" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("service", CALLS)
def test_a_page_of_the_networks_own_is_one_line_whatever_it_was_taken_for(
    service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert answered(200, PAGE, service, monkeypatch).why == PROXY


@pytest.mark.parametrize("service", CALLS)
@pytest.mark.parametrize("page", [PAGE, LOAD_BALANCER, ""])
def test_a_500_is_one_line_with_or_without_a_page(
    page: str, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    why = answered(500, page, service, monkeypatch).why
    assert why == "AWS, or a proxy on the way, has a fault of its own (Internal Server Error, 500)"


@pytest.mark.parametrize("service", ["ec2", "ssm", "sts"])
def test_a_proxys_refusal_is_one_line(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert answered(407, PAGE, service, monkeypatch).why == PROXY


@pytest.mark.parametrize("code", ["InternalError", "ServiceUnavailable", "InternalFailure"])
def test_a_fault_of_awss_own_is_told_from_a_refusal(code: str) -> None:
    error = said_of(refusal(code, "An internal error\n has occurred"))
    assert isinstance(error, ServiceDown)
    assert (
        error.why
        == f"AWS, or a proxy on the way, has a fault of its own (An internal error has occurred, {code})"
    )
    assert error.fix.startswith("Wait a minute")


def test_an_object_that_is_a_web_page_is_read_as_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    with mock_aws():
        s3 = aws.session().client("s3", region_name="us-east-1", config=aws.RETRY)
        s3.create_bucket(Bucket="pages")
        s3.put_object(Bucket="pages", Key="index.html", Body=PAGE.encode())
        assert s3.get_object(Bucket="pages", Key="index.html")["Body"].read() == PAGE.encode()


def test_an_unreachable_aws_is_distinguished_from_a_timeout() -> None:
    assert isinstance(said_of(EndpointConnectionError(endpoint_url="https://ec2.nowhere")), aws.Offline)
    slow = said_of(ReadTimeoutError(endpoint_url="https://ec2.slow"))
    assert isinstance(slow, ServiceDown)
    assert not isinstance(slow, aws.Offline)


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(KeyError), aws.translate_errors("listing instances"):
        raise KeyError("Reservations")


def test_no_test_can_reach_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    with pytest.raises(ReachedOut):
        who_am_i()


def test_only_awss_own_errors_have_a_code() -> None:
    assert aws.code_of(refusal("Throttling", "slow down")) == "Throttling"
    assert aws.code_of(ValueError("Throttling")) == ""

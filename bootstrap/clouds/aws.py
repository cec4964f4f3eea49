"""AWS SDK sessions with retries; translates botocore errors.

Callers create typed clients: `aws.session().client("ec2", region_name=region, config=aws.RETRY)`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOTokenLoadError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)
from botocore.parsers import ResponseParserError

from bootstrap.errors import ConfigError, NoCredentials, ServiceDown

RETRY: Final = Config(
    retries={"mode": "adaptive", "max_attempts": 8},
    connect_timeout=5,
    read_timeout=30,
    user_agent_extra="caffe-spark",
)
"""Adaptive mode: the client slows down when AWS throttles."""
FAIL_FAST: Final = RETRY.merge(Config(retries={"mode": "standard", "max_attempts": 3}))
"""For a first call, which fails quickly when AWS cannot be reached."""

_THROTTLED: Final = frozenset(
    {"Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException", "SlowDown"}
)
_FAULTS: Final = frozenset(
    {
        *("InternalError", "InternalFailure", "InternalServerError", "InternalServerException"),
        *("InternalServiceError", "ServiceUnavailable", "ServiceUnavailableException", "Unavailable"),
    }
)
_SERVER_ERROR: Final = 500
"""The least of these HTTP status codes."""
_PAGE: Final = re.compile(rb"\s*<(!doctype\s+html|html)\b", re.IGNORECASE)
_NOT_AWSS: Final = "the response is not AWS's: it comes from a proxy, or a sign-in page of this network"
_DENIED: Final = frozenset(
    {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"}
)
_PREFLIGHT_CALLS: Final = frozenset(
    {
        "DescribeAvailabilityZones",
        "DescribeCapacityReservations",
        "DescribeDhcpOptions",
        "DescribeInstanceTypeOfferings",
        "DescribeKeyPairs",
        "DescribeRegions",
        "DescribeRouteTables",
        "DescribeSecurityGroupRules",
        "DescribeSpotPriceHistory",
        "DescribeVpcAttribute",
        "DescribeVpcEndpoints",
        "GetAWSDefaultServiceQuota",
        "GetEbsDefaultKmsKeyId",
        "GetPolicy",
        "GetPolicyVersion",
        "GetServiceQuota",
        "SimulateCustomPolicy",
        "SimulatePrincipalPolicy",
    }
)
"""Operations that `pulumi up` can do without."""
_EXPIRED: Final = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
_INVALID_KEY: Final = {
    **dict.fromkeys(
        ("InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId"),
        "AWS does not know this access key (AWS_ACCESS_KEY_ID, or the profile's)",
    ),
    "SignatureDoesNotMatch": "the secret (AWS_SECRET_ACCESS_KEY, or the profile's) is not this access key's",
    "AuthFailure": "AWS does not accept these credentials, or the account has not enabled this region",
}
"""Causes by AWS error code."""
_SKEWED: Final = ("Signature expired", "Signature not yet current")
_NO_PERMISSION: Final = re.compile(
    r"not authorized to perform: (?P<action>[\w-]+:\w+)(?: on resource: \S+)?( (because )?(?P<why>[^.]+))?"
)
"""AWS's message for a missing permission: the action as policies name it, and the policy if known.
https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html"""


class Denied(ConfigError):
    """Valid credentials that lack a permission. `operation` is the API call, e.g. `DescribeInstances`."""

    operation: str = ""

    @property
    def optional(self) -> bool:
        """True if only `fab preflight` makes this call, so that a stack can be created without it."""
        return self.operation in _PREFLIGHT_CALLS


class Offline(ServiceDown):
    """AWS cannot be reached: this machine is offline, or the region does not exist."""


class _WebPage(BotoCoreError):
    """A web page in the place of AWS's response."""

    fmt = _NOT_AWSS


def session() -> boto3.session.Session:
    """Return a session with the operator's own credentials: environment, profile, SSO, or instance role.

    Raises:
        ConfigError: AWS_PROFILE names a missing profile, or only one half of a key pair is set.
    """
    with translate_errors("reading the AWS configuration"):
        opened = boto3.session.Session()
        opened.events.register("before-parse", _refuse_page)
        # Report half a key pair here, not when a client is created. Without any, the first call fails.
        opened.get_credentials()
    return opened


def _refuse_page(response_dict: dict[str, Any], **_: object) -> None:
    """Refuse a web page before botocore takes it for an empty response, or fails in its own code.

    Raises:
        _WebPage: the response is one. The content of an object, which may be one too, comes as a stream.
    """
    body = response_dict["body"]
    if not isinstance(body, bytes) or not _PAGE.match(body):
        return
    if response_dict["status_code"] < _SERVER_ERROR:
        raise _WebPage
    # Without a body botocore goes by the status, and retries.
    response_dict["body"] = b""


def code_of(error: BaseException) -> str:
    """Return AWS's error code, such as `UnauthorizedOperation`; empty if the request never reached AWS."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


@contextmanager
def translate_errors(doing: str) -> Iterator[None]:
    """Translate botocore's errors; `doing` names the operation, e.g. `listing instances`.

    Raises:
        ConfigError: credentials are missing, partial, invalid or expired, or (`Denied`) lack a permission.
        ServiceDown: AWS throttles beyond all retries, refuses, fails, or (`Offline`) cannot be reached; or
            something else responds in its place.
    """
    try:
        yield
    except PartialCredentialsError as error:
        # botocore names environment variables in upper case, entries of a profile in lower case.
        raise _half_a_pair(str(error.kwargs.get("cred_var", "")).upper(), doing) from error
    except NoCredentialsError as error:
        # botocore treats the pair as absent if its first half is.
        if os.environ.get("AWS_SECRET_ACCESS_KEY") and not os.environ.get("AWS_ACCESS_KEY_ID"):
            raise _half_a_pair("AWS_ACCESS_KEY_ID", doing) from error
        raise NoCredentials(
            f"AWS credentials ({doing})",
            "there are no credentials, neither AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY nor AWS_PROFILE",
            "Run `aws configure` (or `aws sso login`), or export them.",
        ) from error
    except (UnauthorizedSSOTokenError, TokenRetrievalError, SSOTokenLoadError) as error:
        raise ConfigError(
            f"AWS credentials ({doing})",
            "the SSO session has expired or does not exist",
            "Run `aws sso login`.",
        ) from error
    except ProfileNotFound as error:
        raise ConfigError(
            "AWS_PROFILE", str(error), "Run `aws configure list-profiles` and set it to one of these."
        ) from error
    except ClientError as error:
        raise _refused(doing, error) from error
    except ConnectionError as error:
        raise Offline(
            f"AWS ({doing})", f"it cannot be reached: {error}", "Check the network and the region's name."
        ) from error
    except (ResponseParserError, _WebPage) as error:
        raise ServiceDown(f"AWS ({doing})", _NOT_AWSS, "Check the network's proxy.") from error
    except BotoCoreError as error:
        raise ServiceDown(f"AWS ({doing})", _line(str(error)), "Rerun the command.") from error


def _half_a_pair(missing: str, doing: str) -> ConfigError:
    return ConfigError(
        f"AWS credentials ({doing})",
        f"{missing} is not set, but the other half of the pair is",
        f"Run `export {missing}=…`, or `aws configure`.",
    )


def _refused(doing: str, error: ClientError) -> ConfigError | ServiceDown:
    code = code_of(error)
    message = _line(str(error.response.get("Error", {}).get("Message", ""))) or code
    given = f"AWS ({doing})"
    if code in _DENIED:
        return _denied(given, message, error.operation_name)
    if code in _EXPIRED:
        return ConfigError(
            given, f"the credentials have expired: {message}", "Run `aws sso login`, or export new ones."
        )
    if code == "RequestTimeTooSkewed" or message.startswith(_SKEWED):
        return ConfigError(given, "this machine's clock is wrong", "Run `timedatectl set-ntp true`.")
    if code in _INVALID_KEY:
        return ConfigError(given, _INVALID_KEY[code], "Run `aws configure`, or export valid ones.")
    if code in _THROTTLED:
        return ServiceDown(
            given, f"AWS throttles these calls ({message})", "Wait a minute, then rerun the command."
        )
    return _failed(given, code, message, error)


def _failed(given: str, code: str, message: str, error: ClientError) -> ServiceDown:
    """Translate a failure that is neither the credentials' nor throttling."""
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if status >= _SERVER_ERROR or code in _FAULTS:
        shown = code if message == code else f"{message}, {code}"
        return ServiceDown(
            given,
            f"AWS, or a proxy on the way, has a fault of its own ({shown})",
            "Wait a minute, then rerun the command; https://health.aws.amazon.com shows AWS's own faults.",
        )
    if not code:
        return ServiceDown(given, _NOT_AWSS, "Check the network's proxy.")
    return ServiceDown(
        given,
        f"{error.operation_name} failed: {message} ({code})",
        "Fix the cause above, then rerun the command.",
    )


def _line(text: str) -> str:
    """Return a message in one line."""
    return " ".join(text.split())


def _denied(given: str, message: str, operation: str) -> Denied:
    match = _NO_PERMISSION.search(message)
    action = match["action"] if match else operation
    why = f" ({match['why'].strip()})" if match and match["why"] else ""
    denied = Denied(
        given,
        f"these credentials lack the permission {action}{why}",
        f"Ask an administrator to allow `{action}`.",
    )
    denied.operation = operation
    return denied

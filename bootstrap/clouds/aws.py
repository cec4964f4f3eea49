"""AWS's own client as our commands use it: patient with throttling, and its failures in our words.

Callers make typed clients: `aws.session().client("ec2", region_name=region, config=aws.RETRY)`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

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

from bootstrap.errors import ConfigError, NoCredentials, ServiceDown

RETRY: Final = Config(
    retries={"mode": "adaptive", "max_attempts": 8},
    connect_timeout=5,
    read_timeout=30,
    user_agent_extra="caffe-spark",
)
"""Adaptive: slows down where AWS throttles, instead of failing."""
FAIL_FAST: Final = RETRY.merge(Config(retries={"mode": "standard", "max_attempts": 3}))
"""For a first question, which may find that there is no way to AWS at all."""

_THROTTLED: Final = frozenset(
    {"Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException", "SlowDown"}
)
_DENIED: Final = frozenset(
    {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"}
)
_LOOKS: Final = frozenset(
    {
        "DescribeAvailabilityZones",
        "DescribeInstanceTypeOfferings",
        "DescribeKeyPairs",
        "DescribeRegions",
        "DescribeSpotPriceHistory",
        "GetAWSDefaultServiceQuota",
        "GetServiceQuota",
    }
)
"""Calls that only a preflight makes."""
_STALE: Final = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
_WRONG_KEY: Final = {
    **dict.fromkeys(
        ("InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId"),
        "AWS does not know this access key (AWS_ACCESS_KEY_ID, or the profile's)",
    ),
    "SignatureDoesNotMatch": "the secret (AWS_SECRET_ACCESS_KEY, or the profile's) is not this access key's",
    "AuthFailure": "AWS does not take these credentials, or the account has not enabled this region",
}
"""By AWS's code, what is wrong."""
_SKEWED: Final = ("Signature expired", "Signature not yet current")
_NO_RIGHT: Final = re.compile(
    r"not authorized to perform: (?P<action>[\w-]+:\w+)(?: on resource: \S+)?( (because )?(?P<why>[^.]+))?"
)
"""What AWS says to whoever lacks a right: the action as policies call it, and where known which policy it is.
https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html"""


class Denied(ConfigError):
    """The credentials are good, and may not do this. `operation` is the call's name in AWS's interface."""

    operation: str = ""

    @property
    def optional(self) -> bool:
        """Whether only a preflight asks that: who may not can have a stack all the same."""
        return self.operation in _LOOKS


class Offline(ServiceDown):
    """AWS does not answer at all: this machine has no way there, or there is no such region."""


def session() -> boto3.session.Session:
    """A session with the operator's own credentials: environment, profile, SSO, or an instance's role.

    Raises:
        ConfigError: AWS_PROFILE names a profile that is not there, or there is half a pair of credentials.
    """
    with translate_errors("reading the AWS configuration"):
        made = boto3.session.Session()
        # Else making a client is what fails of half a pair. None at all is the first call's to say.
        made.get_credentials()
    return made


def code_of(error: BaseException) -> str:
    """AWS's own code for a failure, such as `UnauthorizedOperation`; empty for one that never reached AWS."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


@contextmanager
def translate_errors(doing: str) -> Iterator[None]:
    """Turn the client's expected failures into one line. `doing`: what was asked, e.g. `listing instances`.

    Raises:
        ConfigError: credentials are missing, partial, wrong or expired, or (`Denied`) lack a right.
        ServiceDown: AWS throttles for longer than our patience, refuses, or (`Offline`) cannot be reached.
    """
    try:
        yield
    except PartialCredentialsError as error:
        # From the environment in capitals, from a profile in small letters.
        raise _without(str(error.kwargs.get("cred_var", "")).upper(), doing) from error
    except NoCredentialsError as error:
        # botocore takes the pair for absent where its first half is.
        if os.environ.get("AWS_SECRET_ACCESS_KEY") and not os.environ.get("AWS_ACCESS_KEY_ID"):
            raise _without("AWS_ACCESS_KEY_ID", doing) from error
        raise NoCredentials(
            f"AWS credentials ({doing})",
            "there are no credentials, neither AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY nor AWS_PROFILE",
            "Run `aws configure` (or `aws sso login`), or export them.",
        ) from error
    except (UnauthorizedSSOTokenError, TokenRetrievalError, SSOTokenLoadError) as error:
        raise ConfigError(
            f"AWS credentials ({doing})",
            "the single sign-on is over, or has not begun",
            "Run `aws sso login`.",
        ) from error
    except ProfileNotFound as error:
        raise ConfigError(
            "AWS_PROFILE", str(error), "Run `aws configure list-profiles` and name one."
        ) from error
    except ClientError as error:
        raise _refused(doing, error) from error
    except ConnectionError as error:
        raise Offline(
            f"AWS ({doing})", f"it cannot be reached: {error}", "Look at the network and the region's name."
        ) from error
    except BotoCoreError as error:
        raise ServiceDown(f"AWS ({doing})", str(error), "Run the same command again.") from error


def _without(missing: str, doing: str) -> ConfigError:
    return ConfigError(
        f"AWS credentials ({doing})",
        f"{missing} is not set, and the other half of the pair is",
        f"Run `export {missing}=…`, or `aws configure`.",
    )


def _refused(doing: str, error: ClientError) -> ConfigError | ServiceDown:
    code = code_of(error)
    said = " ".join(str(error.response.get("Error", {}).get("Message", "")).split()) or code
    given = f"AWS ({doing})"
    if code in _DENIED:
        return _denied(given, said, error.operation_name)
    if code in _STALE:
        return ConfigError(
            given, f"the credentials have expired: {said}", "Run `aws sso login`, or export new ones."
        )
    if code == "RequestTimeTooSkewed" or said.startswith(_SKEWED):
        return ConfigError(given, "this machine's clock is wrong", "Run `timedatectl set-ntp true`.")
    if code in _WRONG_KEY:
        return ConfigError(given, _WRONG_KEY[code], "Run `aws configure`, or export the right ones.")
    if code in _THROTTLED:
        return ServiceDown(
            given, f"AWS throttles these calls ({said})", "Wait a minute, then the same command again."
        )
    return ServiceDown(
        given, f"{error.operation_name} failed: {said} ({code})", "Mend that, then run it again."
    )


def _denied(given: str, said: str, operation: str) -> Denied:
    found = _NO_RIGHT.search(said)
    action = found["action"] if found else operation
    why = f" ({found['why'].strip()})" if found and found["why"] else ""
    denied = Denied(
        given, f"these credentials may not {action}{why}", f"Let an administrator allow `{action}`."
    )
    denied.operation = operation
    return denied

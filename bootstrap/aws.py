"""AWS's own client as our commands use it: patient with throttling, and its failures in our words.

Callers make typed clients: `aws.session().client("ec2", region_name=region, config=aws.PATIENT)`.
"""

from __future__ import annotations

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
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)

from bootstrap.errors import ConfigError, ServiceDown

PATIENT: Final = Config(
    retries={"mode": "adaptive", "max_attempts": 8},
    connect_timeout=5,
    read_timeout=30,
    user_agent_extra="caffe-spark",
)
"""Adaptive: slows down where AWS throttles, instead of failing."""

_THROTTLED: Final = frozenset(
    {"Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException", "SlowDown"}
)
_DENIED: Final = frozenset(
    {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"}
)
_STALE: Final = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
_WRONG_KEY: Final = frozenset(
    {
        "AuthFailure",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
    }
)


def session() -> boto3.session.Session:
    """A session with the operator's own credentials: environment, profile, SSO, or an instance's role.

    Raises:
        ConfigError: AWS_PROFILE names a profile that is not there.
    """
    with in_our_words("reading the AWS configuration"):
        return boto3.session.Session()


def code_of(error: BaseException) -> str:
    """AWS's own code for a failure, such as `UnauthorizedOperation`; empty for one that never reached AWS."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


@contextmanager
def in_our_words(doing: str) -> Iterator[None]:
    """Turn the client's expected failures into one line. `doing`: what was asked, e.g. `listing instances`.

    Raises:
        ConfigError: credentials are missing, partial, wrong or expired, or lack a right.
        ServiceDown: AWS cannot be reached, throttles for longer than our patience, or refuses the call.
    """
    try:
        yield
    except PartialCredentialsError as error:
        names = {"aws_access_key_id": "AWS_ACCESS_KEY_ID", "aws_secret_access_key": "AWS_SECRET_ACCESS_KEY"}
        missing = names.get(str(error.kwargs.get("cred_var", "")), "one of the two keys")
        raise ConfigError(
            f"AWS credentials ({doing})",
            f"{missing} is not set",
            f"Run `export {missing}=…`, or `aws configure`.",
        ) from error
    except (NoCredentialsError, UnauthorizedSSOTokenError, TokenRetrievalError) as error:
        raise ConfigError(
            f"AWS credentials ({doing})",
            "there are none: neither AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, nor AWS_PROFILE",
            "Run `aws configure` (or `aws sso login`), or export them.",
        ) from error
    except ProfileNotFound as error:
        raise ConfigError(
            "AWS_PROFILE", str(error), "Run `aws configure list-profiles` and name one."
        ) from error
    except ClientError as error:
        raise _refused(doing, error) from error
    except ConnectionError as error:
        raise ServiceDown(
            f"AWS ({doing})", f"it cannot be reached: {error}", "Look at the network and the region's name."
        ) from error
    except BotoCoreError as error:
        raise ServiceDown(f"AWS ({doing})", str(error), "Run the same command again.") from error


def _refused(doing: str, error: ClientError) -> ConfigError | ServiceDown:
    code = code_of(error)
    said = str(error.response.get("Error", {}).get("Message", "")).strip() or code
    given = f"AWS ({doing})"
    if code in _DENIED:
        return ConfigError(
            given,
            f"these credentials may not {error.operation_name}: {said}",
            "Let an administrator allow it.",
        )
    if code in _STALE:
        return ConfigError(
            given, f"the credentials have expired: {said}", "Run `aws sso login`, or export new ones."
        )
    if code in _WRONG_KEY:
        return ConfigError(
            given,
            f"AWS does not know these credentials ({code})",
            "Mend AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
        )
    if code in _THROTTLED:
        return ServiceDown(
            given, f"AWS throttles these calls ({said})", "Wait a minute, then the same command again."
        )
    return ServiceDown(
        given, f"{error.operation_name} failed: {said} ({code})", "Mend that, then run it again."
    )

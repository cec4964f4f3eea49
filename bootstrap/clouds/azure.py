"""Azure SDK clients with retries; translates SDK errors.

The SDK's packages are `azure.…`; this module is always imported as `bootstrap.clouds.azure`.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NoReturn

from azure.core import PipelineClient
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    DecodeError,
    DeserializationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.core.pipeline.policies import (
    BearerTokenCredentialPolicy,
    HeadersPolicy,
    RequestIdPolicy,
    RetryPolicy,
    SansIOHTTPPolicy,
    UserAgentPolicy,
)

from bootstrap.cluster import HdInsight
from bootstrap.errors import ConfigError, NoCredentials, ServiceDown, StackError

if TYPE_CHECKING:
    # importing azure-identity and the management client takes most of a second
    from azure.core.credentials import TokenCredential
    from azure.mgmt.hdinsight import HDInsightManagementClient

RETRY: Final[Mapping[str, Any]] = {
    "retry_total": 6,
    "retry_connect": 2,
    "retry_backoff_max": 20,
    "connection_timeout": 5,
    "read_timeout": 60,
    "user_agent": "caffe-spark",
}
"""On throttling, the client waits for the time that Azure's response names."""
FAIL_FAST: Final[Mapping[str, Any]] = {**RETRY, "retry_total": 2, "retry_connect": 1, "read_timeout": 20}
"""For a first call, which fails quickly when Azure cannot be reached."""
PUBLIC: Final = "https://management.azure.com"
"""Azure Resource Manager of the public cloud."""
ENDPOINT: Final = "CAFFE_SPARK_ARM_ENDPOINT"
"""Environment variable: URL of a fake Azure Resource Manager, which gets no token. Only tests set it."""

UNAUTHORIZED, FORBIDDEN, NOT_FOUND, TOO_MANY, BUSY = 401, 403, 404, 429, 503
"""HTTP status codes."""

_Refusal = tuple[type[ConfigError] | type[StackError] | type[ServiceDown], str, str]
_THROTTLED: Final[_Refusal] = (
    ServiceDown,
    "Azure throttles these calls, or is busy: {message}",
    "Wait a minute, then rerun the command.",
)
_BY_STATUS: Final[Mapping[int, _Refusal]] = {
    UNAUTHORIZED: (ConfigError, "Azure does not accept the login: {message}", "Run `az login`."),
    NOT_FOUND: (
        StackError,
        "there is no such resource in Azure: {message}",
        "Run `pulumi up --refresh --stack {stack}`, which recreates missing resources.",
    ),
    TOO_MANY: _THROTTLED,
    BUSY: _THROTTLED,
}
_BY_CODE: Final[Mapping[str, _Refusal]] = {
    "InvalidAuthenticationTokenTenant": (
        ConfigError,
        "the login belongs to another tenant than the subscription",
        "Run `az login --tenant …` with the subscription's tenant.",
    ),
    "SubscriptionNotFound": (
        ConfigError,
        "this login has no such subscription: {message}",
        "Run `az account list`, and set the right subscription id in the stack's settings.",
    ),
    "MissingSubscriptionRegistration": (
        ConfigError,
        "the subscription is not registered for HDInsight",
        "Run `az provider register --namespace Microsoft.HDInsight --wait`.",
    ),
}
_PREFLIGHT_ACTIONS: Final = (
    "microsoft.authorization/permissions/",
    "microsoft.hdinsight/locations/",
    "microsoft.storage/checknameavailability/",
)
"""Prefixes of actions that only `fab preflight` takes, in lower case; Azure's case varies."""
_CREDENTIALS: Final = ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET")
_REASON: Final = re.compile(r"AADSTS\d+: [^.]*")
"""The error code and first sentence of Entra ID's refusal of a login."""
_NO_PERMISSION: Final = re.compile(
    r"object id '(?P<principal>[^']+)' does not have authorization to perform action '(?P<action>[^']+)'"
    r" over scope '(?P<scope>[^']+)'"
)
"""https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/error-code-authorization-failed"""

# The SDK logs errors that it also raises; without a handler it would print them a second time.
logging.getLogger("azure").addHandler(logging.NullHandler())


class Denied(ConfigError):
    """A valid login that lacks a permission. `operation` is the action as role definitions name it."""

    operation: str = ""

    @property
    def optional(self) -> bool:
        """True if only `fab preflight` takes this action, so that a stack can be created without it."""
        return self.operation.lower().startswith(_PREFLIGHT_ACTIONS)


class Offline(ServiceDown):
    """Azure cannot be reached from this machine."""


class _NoToken(SansIOHTTPPolicy[Any, Any]):
    """Authentication policy that adds no token."""


class _NoCredential:
    """A credential that must not be used."""

    def get_token(self, *_: str, **__: object) -> NoReturn:
        raise AssertionError("a token was requested for a fake endpoint")


def credential() -> TokenCredential:
    """Return the operator's credential, by azure-identity's chain: environment, `az login` and others."""
    from azure.identity import DefaultAzureCredential

    return DefaultAzureCredential()


def management(
    target: HdInsight | str, retries: Mapping[str, Any] = RETRY, *, poll: float = 10
) -> HDInsightManagementClient:
    """Return an HDInsight management client for a subscription id or a cluster; sends no request.

    `poll`: seconds between two polls of a long-running operation.
    """
    from azure.mgmt.hdinsight import HDInsightManagementClient

    subscription = target if isinstance(target, str) else target.subscription
    endpoint = os.environ.get(ENDPOINT)
    if endpoint:
        return HDInsightManagementClient(
            _NoCredential(),
            subscription,
            endpoint,
            authentication_policy=_NoToken(),
            polling_interval=poll,
            **retries,
        )
    return HDInsightManagementClient(credential(), subscription, polling_interval=poll, **retries)


def resource_manager(retries: Mapping[str, Any] = RETRY) -> PipelineClient[Any, Any]:
    """Return a client of Azure Resource Manager for plain requests; sends no request."""
    endpoint = os.environ.get(ENDPOINT)
    login = _NoToken() if endpoint else BearerTokenCredentialPolicy(credential(), f"{PUBLIC}/.default")
    return PipelineClient(
        endpoint or PUBLIC,
        policies=[
            RequestIdPolicy(),
            HeadersPolicy({"Accept": "application/json"}),
            UserAgentPolicy(**retries),
            RetryPolicy(**retries),
            login,
        ],
        **retries,
    )


def code_of(error: BaseException) -> str:
    """Return Azure's error code, such as `ResourceNotFound`; empty if the request never reached Azure."""
    if not isinstance(error, HttpResponseError):
        return ""
    code = getattr(error, "error_code", None) or (error.error.code if error.error else None)
    return str(getattr(code, "value", code) or "")


def words_of(error: AzureError) -> str:
    """Return Azure's error message in one line, without request ids."""
    parsed = error.error if isinstance(error, HttpResponseError) else None
    text = (parsed.message if parsed else None) or error.message or type(error).__name__
    return " ".join(re.split(r"RequestId:|Content:|ErrorCode:", text)[0].split())


@contextmanager
def translate_errors(doing: str, stack: str) -> Iterator[None]:
    """Translate the SDK's errors; `doing` names the operation, e.g. `listing hosts`.

    Raises:
        ConfigError: there is no login, it is not valid, or (`Denied`) it lacks a permission.
        StackError: the requested resource does not exist (any more).
        ServiceDown: Azure throttles beyond all retries, refuses, or (`Offline`) cannot be reached.
    """
    given = f"Azure ({doing})"
    again = "Rerun the command."
    try:
        yield
    except ClientAuthenticationError as error:
        reached = error.response is not None
        raise (_refused(given, stack, error) if reached else _not_logged_in(given, error)) from error
    except (DecodeError, DeserializationError) as error:
        why = "the response is not Azure's: it comes from a proxy, or a sign-in page of this network"
        raise ServiceDown(given, why, "Check the network's proxy.") from error
    except HttpResponseError as error:
        raise _refused(given, stack, error) from error
    except ServiceRequestError as error:
        why = f"it cannot be reached: {words_of(error)}"
        raise Offline(given, why, "Check the network and its proxy.") from error
    except ServiceResponseError as error:
        raise ServiceDown(given, f"it did not respond: {words_of(error)}", again) from error
    except AzureError as error:
        raise ServiceDown(given, words_of(error), again) from error


def _not_logged_in(given: str, error: ClientAuthenticationError) -> ConfigError:
    missing = [name for name in _CREDENTIALS if not os.environ.get(name)]
    if os.environ.get("AZURE_CLIENT_SECRET") and missing:
        why = f"{' and '.join(missing)} not set, but AZURE_CLIENT_SECRET is"
        return ConfigError(given, why, f"Run `export {missing[0]}=…`, or `az login`.")
    reason = _REASON.search(words_of(error))
    if reason:
        return ConfigError(given, f"the login is not valid: {reason[0]}", "Run `az login`.")
    variables = f"{', '.join(_CREDENTIALS[:-1])} and {_CREDENTIALS[-1]}"
    return NoCredentials(
        given, f"nobody is logged in, neither by `az login` nor by {variables}", "Run `az login`."
    )


def _refused(given: str, stack: str, error: HttpResponseError) -> ConfigError | StackError | ServiceDown:
    code, message = code_of(error), words_of(error)
    if error.status_code == FORBIDDEN:
        return _denied(given, message)
    kind, why, fix = (
        _BY_CODE.get(code)
        or _BY_STATUS.get(error.status_code or 0)
        or (
            ServiceDown,
            f"it is refused: {{message}} ({code or error.status_code})",
            "Fix the cause above, then rerun the command.",
        )
    )
    return kind(given, why.format(message=message), fix.format(stack=stack))


def _denied(given: str, message: str) -> Denied:
    match = _NO_PERMISSION.search(message)
    if match is None:
        return Denied(
            given, f"this login lacks the permission: {message}", "Ask an administrator to grant it."
        )
    action = match["action"]
    role = "Reader" if action.endswith("/read") else "Contributor"
    denied = Denied(
        given,
        f"this login lacks the permission {action}",
        f"Ask an administrator to run `az role assignment create --assignee {match['principal']} "
        f"--role {role} --scope {match['scope']}`.",
    )
    denied.operation = action
    return denied

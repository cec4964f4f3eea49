"""Azure's own clients as our commands use them: patient with throttling, and their failures in our words.

The SDK's packages are `azure.…`; this module is `bootstrap.clouds.azure` wherever it is named.
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
    # azure-identity and the management client take most of a second
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
"""Azure says how long a throttled caller shall wait, and the client does."""
FAIL_FAST: Final[Mapping[str, Any]] = {**RETRY, "retry_total": 2, "retry_connect": 1, "read_timeout": 20}
"""For a first question, which may find that there is no way to Azure at all."""
PUBLIC: Final = "https://management.azure.com"
"""The management interface of Azure's public cloud."""
ENDPOINT: Final = "CAFFE_SPARK_ARM_ENDPOINT"
"""URL of a stand-in for Azure's management interface, which gets no token. Only tests set it."""

UNAUTHORIZED, FORBIDDEN, NOT_FOUND, TOO_MANY, BUSY = 401, 403, 404, 429, 503
"""HTTP's own numbers."""

_Refusal = tuple[type[ConfigError] | type[StackError] | type[ServiceDown], str, str]
_THROTTLED: Final[_Refusal] = (
    ServiceDown,
    "Azure throttles these calls, or is busy: {said}",
    "Wait a minute, then the same command again.",
)
_BY_STATUS: Final[Mapping[int, _Refusal]] = {
    UNAUTHORIZED: (ConfigError, "Azure does not take the login: {said}", "Run `az login`."),
    NOT_FOUND: (
        StackError,
        "there is no such thing in Azure: {said}",
        "Run `pulumi up --refresh --stack {stack}`, which makes what is gone.",
    ),
    TOO_MANY: _THROTTLED,
    BUSY: _THROTTLED,
}
_BY_CODE: Final[Mapping[str, _Refusal]] = {
    "InvalidAuthenticationTokenTenant": (
        ConfigError,
        "the login is of another tenant than the subscription",
        "Run `az login --tenant …` with the subscription's own tenant.",
    ),
    "SubscriptionNotFound": (
        ConfigError,
        "this login sees no such subscription: {said}",
        "Run `az account list`, and put the right one's id into the stack's settings.",
    ),
    "MissingSubscriptionRegistration": (
        ConfigError,
        "the subscription is not registered for HDInsight",
        "Run `az provider register --namespace Microsoft.HDInsight --wait`.",
    ),
}
_LOOKS: Final = (
    "microsoft.authorization/permissions/",
    "microsoft.hdinsight/locations/",
    "microsoft.storage/checknameavailability/",
)
"""How the actions begin that only a preflight takes. Azure writes actions in whatever letters."""
_CREDENTIALS: Final = ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET")
_REASON: Final = re.compile(r"AADSTS\d+: [^.]*")
"""Why the directory refuses a login."""
_NO_RIGHT: Final = re.compile(
    r"object id '(?P<who>[^']+)' does not have authorization to perform action '(?P<action>[^']+)'"
    r" over scope '(?P<scope>[^']+)'"
)
"""https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/error-code-authorization-failed"""

# What it logs is raised as well, and said in one line; without a handler it would print it, too.
logging.getLogger("azure").addHandler(logging.NullHandler())


class Denied(ConfigError):
    """The login is good, and may not do this. `operation` is the action as roles call it."""

    operation: str = ""

    @property
    def optional(self) -> bool:
        """Whether only a preflight asks that: who may not can have a stack all the same."""
        return self.operation.lower().startswith(_LOOKS)


class Offline(ServiceDown):
    """Azure does not answer at all: this machine has no way there."""


class _NoToken(SansIOHTTPPolicy[Any, Any]):
    """Lets requests pass as they are."""


class _Nobody:
    """A credential that is never asked."""

    def get_token(self, *_: str, **__: object) -> NoReturn:
        raise AssertionError("a stand-in was to get a token")


def credential() -> TokenCredential:
    """The operator's own: environment, managed identity, `az login`, and what else azure-identity tries."""
    from azure.identity import DefaultAzureCredential

    return DefaultAzureCredential()


def management(
    given: HdInsight | str, patience: Mapping[str, Any] = RETRY, *, poll: float = 10
) -> HDInsightManagementClient:
    """A client of HDInsight's management interface for a subscription, or a cluster's; nothing is asked yet.

    `poll`: seconds between two looks at a long operation.
    """
    from azure.mgmt.hdinsight import HDInsightManagementClient

    subscription = given if isinstance(given, str) else given.subscription
    endpoint = os.environ.get(ENDPOINT)
    if endpoint:
        return HDInsightManagementClient(
            _Nobody(),
            subscription,
            endpoint,
            authentication_policy=_NoToken(),
            polling_interval=poll,
            **patience,
        )
    return HDInsightManagementClient(credential(), subscription, polling_interval=poll, **patience)


def resource_manager(patience: Mapping[str, Any] = RETRY) -> PipelineClient[Any, Any]:
    """A client of Azure's management interface itself, for plain requests; nothing is asked yet."""
    endpoint = os.environ.get(ENDPOINT)
    login = _NoToken() if endpoint else BearerTokenCredentialPolicy(credential(), f"{PUBLIC}/.default")
    return PipelineClient(
        endpoint or PUBLIC,
        policies=[
            RequestIdPolicy(),
            HeadersPolicy({"Accept": "application/json"}),
            UserAgentPolicy(**patience),
            RetryPolicy(**patience),
            login,
        ],
        **patience,
    )


def code_of(error: BaseException) -> str:
    """Azure's own code for a failure, such as `ResourceNotFound`; empty for one that never reached Azure."""
    if not isinstance(error, HttpResponseError):
        return ""
    code = getattr(error, "error_code", None) or (error.error.code if error.error else None)
    return str(getattr(code, "value", code) or "")


def words_of(error: AzureError) -> str:
    """What Azure says of a failure, in one line and without the request's ids."""
    parsed = error.error if isinstance(error, HttpResponseError) else None
    text = (parsed.message if parsed else None) or error.message or type(error).__name__
    return " ".join(re.split(r"RequestId:|Content:|ErrorCode:", text)[0].split())


@contextmanager
def translate_errors(doing: str, stack: str) -> Iterator[None]:
    """Turn the client's expected failures into one line. `doing`: what was asked, e.g. `listing hosts`.

    Raises:
        ConfigError: nobody is logged in, the login does not count, or (`Denied`) it lacks a right.
        StackError: what was asked for is not there (any more).
        ServiceDown: Azure throttles for longer than our patience, refuses, or (`Offline`) cannot be reached.
    """
    given = f"Azure ({doing})"
    again = "Run the same command again."
    try:
        yield
    except ClientAuthenticationError as error:
        reached = error.response is not None
        raise (_refused(given, stack, error) if reached else _not_logged_in(given, error)) from error
    except (DecodeError, DeserializationError) as error:
        why = "what answers is not Azure: a proxy, or a sign-in page of this network"
        raise ServiceDown(given, why, "Look at the network's proxy.") from error
    except HttpResponseError as error:
        raise _refused(given, stack, error) from error
    except ServiceRequestError as error:
        why = f"it cannot be reached: {words_of(error)}"
        raise Offline(given, why, "Look at the network and its proxy.") from error
    except ServiceResponseError as error:
        raise ServiceDown(given, f"no answer came: {words_of(error)}", again) from error
    except AzureError as error:
        raise ServiceDown(given, words_of(error), again) from error


def _not_logged_in(given: str, error: ClientAuthenticationError) -> ConfigError:
    missing = [name for name in _CREDENTIALS if not os.environ.get(name)]
    if os.environ.get("AZURE_CLIENT_SECRET") and missing:
        why = f"{' and '.join(missing)} not set, and AZURE_CLIENT_SECRET is"
        return ConfigError(given, why, f"Run `export {missing[0]}=…`, or `az login`.")
    reason = _REASON.search(words_of(error))
    if reason:
        return ConfigError(given, f"the login does not count: {reason[0]}", "Run `az login`.")
    variables = f"{', '.join(_CREDENTIALS[:-1])} and {_CREDENTIALS[-1]}"
    return NoCredentials(
        given, f"nobody is logged in, neither by `az login` nor by {variables}", "Run `az login`."
    )


def _refused(given: str, stack: str, error: HttpResponseError) -> ConfigError | StackError | ServiceDown:
    code, said = code_of(error), words_of(error)
    if error.status_code == FORBIDDEN:
        return _denied(given, said)
    kind, why, fix = (
        _BY_CODE.get(code)
        or _BY_STATUS.get(error.status_code or 0)
        or (
            ServiceDown,
            f"it is refused: {{said}} ({code or error.status_code})",
            "Mend that, then run it again.",
        )
    )
    return kind(given, why.format(said=said), fix.format(stack=stack))


def _denied(given: str, said: str) -> Denied:
    found = _NO_RIGHT.search(said)
    if found is None:
        return Denied(given, f"this login may not do it: {said}", "Let an administrator give it the right.")
    action = found["action"]
    role = "Reader" if action.endswith("/read") else "Contributor"
    denied = Denied(
        given,
        f"this login may not {action}",
        f"Let an administrator run `az role assignment create --assignee {found['who']} --role {role} "
        f"--scope {found['scope']}`.",
    )
    denied.operation = action
    return denied

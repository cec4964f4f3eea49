"""Azure SDK clients with retries; translates SDK errors.

The SDK's packages are `azure.…`; this module is always imported as `bootstrap.clouds.azure`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NoReturn

from azure.core import PipelineClient
from azure.core.exceptions import AzureError, DeserializationError
from azure.core.pipeline.policies import (
    BearerTokenCredentialPolicy,
    HeadersPolicy,
    RequestIdPolicy,
    RetryPolicy,
    SansIOHTTPPolicy,
    UserAgentPolicy,
)

from bootstrap.clouds.azure_errors import (
    FORBIDDEN,
    NOT_FOUND,
    UNAUTHORIZED,
    Denied,
    code_of,
    page_of,
    translated,
    words_of,
)
from bootstrap.clouds.azure_login import INSTALL_AZ, Offline, invalid_variables, log_in
from bootstrap.cluster import HdInsight

__all__ = [
    "ENDPOINT",
    "FAIL_FAST",
    "FORBIDDEN",
    "INSTALL_AZ",
    "NOT_FOUND",
    "PUBLIC",
    "RETRY",
    "UNAUTHORIZED",
    "Denied",
    "Offline",
    "code_of",
    "credential",
    "log_in",
    "management",
    "page_of",
    "resource_manager",
    "translate_errors",
    "words_of",
]

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

# The SDK logs errors that it also raises; without a handler it would print them a second time.
logging.getLogger("azure").addHandler(logging.NullHandler())


class _NoToken(SansIOHTTPPolicy[Any, Any]):
    """Authentication policy that adds no token."""


class _NoCredential:
    """A credential that must not be used."""

    def get_token(self, *_: str, **__: object) -> NoReturn:
        raise AssertionError("a token was requested for a fake endpoint")


def credential() -> TokenCredential:
    """Return the operator's credential, by azure-identity's chain: environment, `az login` and others.

    Raises:
        ConfigError: a variable of the environment is not valid, such as a tenant with blanks.
    """
    from azure.identity import DefaultAzureCredential

    try:
        return DefaultAzureCredential()
    except ValueError as error:
        raise invalid_variables(error) from None


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


@contextmanager
def translate_errors(doing: str, stack: str) -> Iterator[None]:
    """Translate the SDK's errors; `doing` names the operation, e.g. `listing hosts`.

    Raises:
        ConfigError: there is no login, it is not valid, or (`Denied`) it lacks a permission.
        StackError: the requested resource does not exist (any more).
        ServiceDown: Azure throttles beyond all retries, fails, refuses, a proxy responds in its place, or
            (`Offline`) it or its login server cannot be reached.
    """
    try:
        yield
    except (AzureError, DeserializationError) as error:
        raise translated(error, f"Azure ({doing})", stack) from error

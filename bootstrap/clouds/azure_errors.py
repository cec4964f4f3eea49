"""Errors of the Azure SDK as the project's own: refusals, no responses, pages that are not Azure's.

`bootstrap.clouds.azure` exports what other modules need.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Final

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    DecodeError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)

from bootstrap.clouds.azure_login import SHOWN, Offline, log_in, login_failure, one_line
from bootstrap.errors import CaffeSparkError, ConfigError, ServiceDown, StackError

UNAUTHORIZED, FORBIDDEN, NOT_FOUND, TOO_MANY, FAILED, BUSY = 401, 403, 404, 429, 500, 503
"""HTTP status codes."""

_Refusal = tuple[type[ConfigError] | type[StackError] | type[ServiceDown], str, str]
_THROTTLED: Final[_Refusal] = (
    ServiceDown,
    "Azure throttles these calls, or is busy: {message}",
    "Wait a minute, then rerun the command.",
)
_BY_STATUS: Final[Mapping[int, _Refusal]] = {
    UNAUTHORIZED: (ConfigError, "Azure does not accept the login: {message}", "{login}"),
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
_NO_PERMISSION: Final = re.compile(
    r"object id '(?P<principal>[^']+)' does not have authorization to perform action '(?P<action>[^']+)'"
    r" over scope '(?P<scope>[^']+)'"
)
"""https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/error-code-authorization-failed"""
_TITLE: Final = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)


class Denied(ConfigError):
    """A valid login that lacks a permission. `operation` is the action as role definitions name it."""

    operation: str = ""

    @property
    def optional(self) -> bool:
        """True if only `fab preflight` takes this action, so that a stack can be created without it."""
        return self.operation.lower().startswith(_PREFLIGHT_ACTIONS)


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
    return one_line(re.split(r"RequestId:|Content:|ErrorCode:", text)[0])


def page_of(error: BaseException) -> str | None:
    """Return the title of a web page that came instead of a response of Azure's; None if none came.

    Its status says nothing about Azure: a proxy's 404 is not a missing resource.
    """
    response = getattr(error, "response", None)
    if response is None:
        return None
    try:
        text = response.text()
    except Exception:  # the body may be streamed, or gone, in a way of each transport's own
        text = ""
    kind = str(response.headers.get("Content-Type") or "").lower()
    if "html" not in kind and not text.lstrip().lower().startswith(("<!doctype html", "<html")):
        return None
    title = _TITLE.search(text)
    return one_line(html.unescape(title[1]))[:SHOWN] if title else ""


def translated(error: Exception, given: str, stack: str) -> CaffeSparkError:
    """Convert an error of the SDK; `given` names the operation."""
    page = page_of(error)
    if page is not None:
        return _not_azures(given, error, page)
    if isinstance(error, ClientAuthenticationError) and error.response is None:
        return login_failure(given, error)
    if isinstance(error, HttpResponseError) and not isinstance(error, DecodeError):
        return _refused(given, stack, error)
    return _no_response(given, error)


def _not_azures(given: str, error: Exception, page: str) -> ServiceDown:
    status = getattr(error, "status_code", None) or 0
    titled = f" {page!r}" if page else ""
    whose = "a proxy's, or a sign-in page of this network"
    if status >= FAILED:
        whose = "a proxy's, or of Azure itself in an outage"
    return ServiceDown(
        given,
        f"the response is not Azure's, but a web page{titled} (HTTP {status or 'unknown'}): {whose}",
        "Rerun the command in a minute; if that fails again, check the network's proxy.",
    )


def _no_response(given: str, error: Exception) -> ServiceDown:
    """Convert an error without a response that could be read."""
    match error:
        case ServiceRequestError():
            why = f"it cannot be reached: {words_of(error)}"
            return Offline(given, why, "Check the network and its proxy.")
        case ServiceResponseError():
            return ServiceDown(given, f"it did not respond: {words_of(error)}", "Rerun the command.")
        case AzureError() if not isinstance(error, DecodeError):
            return ServiceDown(given, words_of(error), "Rerun the command.")
    why = "the response is not Azure's: it comes from a proxy, or a sign-in page of this network"
    return ServiceDown(given, why, "Check the network's proxy.")


def _refused(given: str, stack: str, error: HttpResponseError) -> CaffeSparkError:
    code, message, status = code_of(error), words_of(error), error.status_code or 0
    if status == FORBIDDEN:
        return _denied(given, message)
    refusal = _BY_CODE.get(code) or _BY_STATUS.get(status)
    if refusal is None and status >= FAILED:
        why = f"it fails on Azure's side: {message} ({code or status})"
        return ServiceDown(given, why, "Rerun the command in a minute.")
    kind, why, fix = refusal or (
        ServiceDown,
        f"it is refused: {{message}} ({code or status})",
        "Fix the cause above, then rerun the command.",
    )
    return kind(given, why.format(message=message), fix.format(stack=stack, login=log_in()))


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

"""Login of the operator at Azure: how to log in, and why that failed."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from typing import Final

from azure.core.exceptions import ClientAuthenticationError

from bootstrap.errors import ConfigError, NoCredentials, ServiceDown

CREDENTIALS: Final = ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET")
"""Environment variables of a service principal, which precede `az login`."""
INSTALL_AZ: Final = (
    "Install the Azure CLI (https://learn.microsoft.com/cli/azure/install-azure-cli; on Debian and Ubuntu "
    "`curl -sL https://aka.ms/InstallAzureCLIDeb | sudo bash`)"
)
SHOWN: Final = 160
"""Characters of a title, or of a library's own message."""

_REASON: Final = re.compile(r"AADSTS\d+: [^.]*")
"""The error code and first sentence of Entra ID's refusal of a login."""
_ATTEMPTS: Final = "Attempted credentials:"
_ELSEWHERE: Final = ("ManagedIdentityCredential",)
"""Credentials that ask this machine instead of the login server: no answer means that there is no login."""
_NO_WAY: Final = re.compile(
    r"failed to resolve|name or service not known|name resolution|getaddrinfo|max retries exceeded"
    r"|failed to establish|connection (?:refused|reset|aborted)|unreachable|no route to host|timed? ?out"
    r"|to proxy|tunnel connection|without response|certificate|\bssl\b",
    re.IGNORECASE,
)
"""Words of the network's failures, as Python, urllib3 and the Azure CLI have them; azure-identity keeps
nothing of an exception but its text."""
_NOISE: Final = re.compile(r"<[^<>]*>:? *|\w*Connection(?:Pool)?\([^()]*\):? *|^Authentication failed: ")


class Offline(ServiceDown):
    """Azure cannot be reached from this machine."""


def log_in() -> str:
    """Return the sentence about logging in; it begins with installing the Azure CLI where that is missing."""
    if os.environ.get("AZURE_CLIENT_SECRET"):
        return _correct()
    return "Run `az login`." if shutil.which("az") else f"{INSTALL_AZ}, then run `az login`."


def invalid_variables(error: ValueError) -> ConfigError:
    """Convert azure-identity's refusal of a variable, which it raises before any request."""
    said = one_line(str(error)).partition(". ")[0]
    return ConfigError(f"Azure ({_variables()})", f"the login is not valid: {said}", _correct())


def _correct() -> str:
    return f"Correct {_variables()}, or unset them and run `az login`."


def _variables() -> str:
    return f"{', '.join(CREDENTIALS[:-1])} and {CREDENTIALS[-1]}"


def one_line(text: str) -> str:
    """Return a text without line breaks."""
    return " ".join(text.split())


def login_failure(given: str, error: ClientAuthenticationError) -> ConfigError | Offline:
    """Convert a failed login: incomplete variables, a refusal, an unreachable login server, or no login."""
    missing = [name for name in CREDENTIALS if not os.environ.get(name)]
    if os.environ.get("AZURE_CLIENT_SECRET") and missing:
        why = f"{' and '.join(missing)} not set, but AZURE_CLIENT_SECRET is"
        return ConfigError(given, why, f"Run `export {missing[0]}=…`, or `az login`.")
    reason = _REASON.search(one_line(error.message))
    if reason:
        return ConfigError(given, f"the login is not valid: {reason[0]}", log_in())
    for said in _attempts(error.message):
        if _NO_WAY.search(said):
            why = f"the login server cannot be reached: {said}"
            return Offline(given, why, "Check the network and its proxy.")
    if not missing and "EnvironmentCredential" in error.message:
        said = next(_attempts(error.message), "no reason given")
        return ConfigError(given, f"the login by {_variables()} fails: {said}", log_in())
    return NoCredentials(given, f"nobody is logged in, neither by `az login` nor by {_variables()}", log_in())


def _attempts(message: str) -> Iterator[str]:
    """Yield the reasons for which credentials of azure-identity's chain failed at the login server."""
    for attempt in message.partition(_ATTEMPTS)[2].partition("\nTo mitigate")[0].split("\n\t"):
        credential, _, reason = attempt.strip().partition(": ")
        if reason and credential not in _ELSEWHERE:
            yield _NOISE.sub("", _NOISE.sub("", one_line(reason)))[:SHOWN]

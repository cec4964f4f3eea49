"""Translation of object store exceptions that Hadoop's clients print. Pure."""

from __future__ import annotations

import re
from typing import Final

from bootstrap.diagnosis import diagnose
from bootstrap.errors import ServiceDown

_KEYS: Final = "Fix the stack's keys for it, run `pulumi up`, then `fab bootstrap`."
_S3: Final = {
    "NoSuchBucket": (
        "there is no such bucket",
        "Run `pulumi up --refresh`, which creates the stack's bucket; or fix its setting.",
    ),
    "InvalidAccessKeyId": ("it does not know the access key", _KEYS),
    "SignatureDoesNotMatch": ("the secret key does not match the access key", _KEYS),
    "AccessDenied": (
        "it refuses this machine",
        "Grant the instance role, or the key, read and write access.",
    ),
    # A HEAD request gets no error code.
    "403 Forbidden": ("it refuses this machine: the key is wrong, or lacks the permission", _KEYS),
    "400 Bad Request": ("it refuses the request", "Check that the stack's region is the bucket's."),
    "ExpiredToken": ("the machine's credentials have expired", "Rerun the command."),
}
"""Cause and next command by S3 error code."""
_ANONYMOUS: Final = ("the nodes have no key for the account", "Run `fab bootstrap`, which writes it on them.")
_UNKNOWN: Final = (
    "the nodes cannot resolve the account's host name",
    "Check the account's name; if the cluster serves its blobs itself, run `fab bootstrap`.",
)
_IN_LOGS: Final = ("storage-firewall", "storage-key-refused", "container-missing")
"""Diagnoses shared with job logs; see the table of `bootstrap.diagnosis`."""
_WASB: Final = {
    "No credentials found for account": _ANONYMOUS,
    "no credentials found for them in the configuration": _ANONYMOUS,
    "Public access is not permitted on this storage account": _ANONYMOUS,
    "The specified account is disabled": ("the account is disabled", "Enable it in the subscription."),
    "This request is not authorized to perform this operation using": (
        "the nodes lack the permission",
        "Ask an administrator to grant their identity `Storage Blob Data Contributor` on the account.",
    ),
    "Key based authentication is not permitted": (
        "the account does not allow key access",
        "Allow key access on the account.",
    ),
    # Hadoop's client fails so on a key that is not base64.
    "StringIndexOutOfBoundsException": ("the account key on the nodes is not valid", _KEYS),
    "UnknownHostException": _UNKNOWN,
}
"""Cause and next command by message of the storage service or of Hadoop's client."""
_WORDLESS: Final = re.compile(r"StorageException: *$", re.MULTILINE)
"""Hadoop's client prints no more if the account's host name cannot be resolved."""
_UNREACHABLE: Final = re.compile(
    r"(Connection (?:refused|reset)|[Cc]onnect(?:ion)? timed out|UnknownHostException|No route to host)"
)


def refusal(uri: str, said: str) -> ServiceDown | None:
    """Translate Hadoop's stderr `said`; None if the failure is not one of the storage service."""
    scheme = uri.partition(":")[0]
    if scheme == "s3a":
        code = re.search(r"Error Code: ([^;)]+)", said)
        known = _S3.get(code[1]) if code else None
    elif scheme in ("wasb", "wasbs"):
        diagnosis = diagnose(said, only=_IN_LOGS)
        if diagnosis is not None:
            return ServiceDown(uri, diagnosis.why, diagnosis.fix)
        known = next((advice for text, advice in _WASB.items() if text in said), None)
        if known is None and _WORDLESS.search(said):
            known = _UNKNOWN
    else:
        return None
    if known:
        return ServiceDown(uri, *known)
    unreachable = _UNREACHABLE.search(said)
    if unreachable:
        fix = "Check the server, its name in the stack's settings, and the network in between."
        return ServiceDown(uri, f"it does not answer ({unreachable[1]})", fix)
    return None

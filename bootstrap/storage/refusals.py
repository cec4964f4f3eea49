"""Translation of object store exceptions that Hadoop's clients print. Pure."""

from __future__ import annotations

import re
from typing import Final

from bootstrap.diagnosis import diagnose
from bootstrap.errors import ServiceDown

_KEYS: Final = "Fix the stack's keys for it, run `pulumi up`, then `fab bootstrap`."
_FORBIDDEN: Final = ("it refuses this machine: the key is wrong, or lacks the permission", _KEYS)
_BAD_REQUEST: Final = ("it refuses the request", "Check that the stack's region is the bucket's.")
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
    # A HEAD request gets no error code: AWS's SDK v1 says the status with its words, v2 the number.
    "403 Forbidden": _FORBIDDEN,
    "403": _FORBIDDEN,
    "400 Bad Request": _BAD_REQUEST,
    "400": _BAD_REQUEST,
    "ExpiredToken": ("the machine's credentials have expired", "Rerun the command."),
}
"""Cause and next command by S3 error code."""
_S3_CODES: Final = (
    # SDK v1, of Hadoop 3.3: `…; Status Code: 403; Error Code: AccessDenied; …`
    re.compile(r"Error Code: ([^;)]+)"),
    # SDK v2, of Hadoop 3.5: `… (Service: S3, Status Code: 403, …) (SDK Attempt Count: 1):AccessDenied`
    re.compile(r"\(SDK Attempt Count: \d+\):([A-Z]\w+)"),
    re.compile(r"\(Service: S3, Status Code: (\d+)"),
)
"""Places of the code in what Hadoop's clients print; an earlier pattern precedes those after it."""
_NO_ROLE: Final = (
    "this machine gets no credentials for it",
    "Run `fab doctor`, which says why jobs get none; `pulumi up --refresh` restores the machine's role.",
)
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


def _of_s3(said: str) -> tuple[str, str] | None:
    codes = [code[1] for pattern in _S3_CODES if (code := pattern.search(said))]
    known = _S3.get(codes[0]) if codes else None
    return _NO_ROLE if known is None and "NoAwsCredentialsException" in said else known


def refusal(uri: str, said: str) -> ServiceDown | None:
    """Translate Hadoop's stderr `said`; None if the failure is not one of the storage service."""
    scheme = uri.partition(":")[0]
    if scheme == "s3a":
        known = _of_s3(said)
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

"""What an object store means by an exception that Hadoop's client of it prints. Pure."""

from __future__ import annotations

import re
from typing import Final

from bootstrap.diagnosis import diagnose
from bootstrap.errors import ServiceDown

_KEYS: Final = "Mend the stack's keys for it, run `pulumi up`, then `fab bootstrap`."
_S3: Final = {
    "NoSuchBucket": (
        "there is no such bucket",
        "Run `pulumi up --refresh`, which makes the stack's; or mend its setting.",
    ),
    "InvalidAccessKeyId": ("it does not know the access key", _KEYS),
    "SignatureDoesNotMatch": ("the secret key is not the access key's", _KEYS),
    "AccessDenied": ("it refuses this machine", "Let the machine's role, or the key, read and write there."),
    # A request for an object's head gets no further word.
    "403 Forbidden": ("it refuses this machine: the key is wrong, or may not do that", _KEYS),
    "400 Bad Request": ("it refuses the request", "Look whether the region is the bucket's own."),
    "ExpiredToken": ("the machine's credentials have expired", "Run the same command again."),
}
"""By S3's code."""
_ANONYMOUS: Final = ("the nodes have no key for the account", "Run `fab bootstrap`, which writes it on them.")
_UNKNOWN: Final = (
    "no name server of the nodes knows the account",
    "Look at the account's name; where a server stands for it, run `fab bootstrap`.",
)
_IN_LOGS: Final = ("storage-firewall", "storage-key-refused", "container-missing")
"""What logs of jobs show as well, and the table of `bootstrap.diagnosis` therefore tells."""
_WASB: Final = {
    "No credentials found for account": _ANONYMOUS,
    "no credentials found for them in the configuration": _ANONYMOUS,
    "Public access is not permitted on this storage account": _ANONYMOUS,
    "The specified account is disabled": ("the account is disabled", "Enable it in the subscription."),
    "This request is not authorized to perform this operation using": (
        "the nodes may not do that",
        "Let an administrator give their login the role `Storage Blob Data Contributor` on the account.",
    ),
    "Key based authentication is not permitted": ("the account takes no keys", "Let it take them."),
    # What Hadoop's client makes of a key that is not base64.
    "StringIndexOutOfBoundsException": ("the account's key on the nodes is no key", _KEYS),
    "UnknownHostException": _UNKNOWN,
}
"""By what storage, or Hadoop's client, says of it."""
_WORDLESS: Final = re.compile(r"StorageException: *$", re.MULTILINE)
"""All that Hadoop's client prints where the account's name has no address."""
_UNREACHABLE: Final = re.compile(
    r"(Connection (?:refused|reset)|[Cc]onnect(?:ion)? timed out|UnknownHostException|No route to host)"
)


def refusal(uri: str, said: str) -> ServiceDown | None:
    """The failure in our words; None for one that says nothing about the service. `said`: Hadoop's stderr."""
    scheme = uri.partition(":")[0]
    if scheme == "s3a":
        code = re.search(r"Error Code: ([^;)]+)", said)
        known = _S3.get(code[1]) if code else None
    elif scheme in ("wasb", "wasbs"):
        found = diagnose(said, only=_IN_LOGS)
        if found is not None:
            return ServiceDown(uri, found.why, found.fix)
        known = next((meant for text, meant in _WASB.items() if text in said), None)
        if known is None and _WORDLESS.search(said):
            known = _UNKNOWN
    else:
        return None
    if known:
        return ServiceDown(uri, *known)
    unreachable = _UNREACHABLE.search(said)
    if unreachable:
        fix = "Look at the server, its name in the stack's settings, and the network between."
        return ServiceDown(uri, f"it does not answer ({unreachable[1]})", fix)
    return None

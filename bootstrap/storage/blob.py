"""A cluster's blob storage, seen from the operator's machine: small files by their path in a container."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from azure.core import MatchConditions
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
    ServiceRequestError,
)
from azure.storage.blob import ContainerClient

from bootstrap.clouds import azure
from bootstrap.cluster import Blob, ClusterDocument, HdInsight
from bootstrap.errors import ConfigError, ServiceDown, StackError
from bootstrap.script_actions.action import ScriptAction

SCHEMES: Final = ("wasb", "wasbs", "abfs", "abfss")
_OPTIONS: Final[Mapping[str, Any]] = {
    "retry_total": 2,
    "retry_connect": 1,
    # The client's own pauses are for programs: fifteen seconds before it asks a second time.
    "initial_backoff": 1,
    "increment_base": 2,
    "random_jitter_range": 1,
    "connection_timeout": 5,
    "read_timeout": 60,
    "user_agent": "caffe-spark",
}
TRIES: Final = 20
"""Of changing a file that others are changing."""
_CONTAINER_MISSING: Final = "ContainerNotFound"
_WRONG_KEY: Final = ("AuthenticationFailed", "InvalidAuthenticationInfo")
_KEPT_OUT: Final = "AuthorizationFailure"
_NO_RIGHT: Final = (
    azure.Denied,
    "this login may not read and write there",
    "Let an administrator give it the role `Storage Blob Data Contributor` on the storage account {account}.",
)
_CODES: Final[Mapping[str, tuple[type[ConfigError] | type[StackError], str, str]]] = {
    _WRONG_KEY[0]: (
        ConfigError,
        "the storage account does not take the stack's key for it: it was renewed, or is another's",
        "Run {mend}, which reads it anew; on HDInsight look at `pulumi preview --stack {stack}` first: there "
        "a renewed key means another cluster.",
    ),
    _CONTAINER_MISSING: (
        StackError,
        "there is no such container",
        "Run {mend}, which makes it.",
    ),
    "AuthorizationPermissionMismatch": _NO_RIGHT,
    "InsufficientAccountPermissions": _NO_RIGHT,
    _KEPT_OUT: (
        ConfigError,
        "the storage account's network rules keep this machine out",
        "Add this machine's address to the stack's `adminCidrs`, then run {mend}; an account that the stack "
        "has not made is its owner's to open.",
    ),
    "KeyBasedAuthenticationNotPermitted": (
        ConfigError,
        "the storage account takes no keys, and the stack has one for it",
        "Let the account take keys, or run {mend}.",
    ),
}
"""By storage's code, what is wrong and what to type."""
_NO_NAME: Final = ("Failed to resolve", "Name or service not known", "nodename nor servname")


@dataclass(frozen=True)
class Blobs:
    """The container behind a URI such as `wasbs://artifacts@account.blob.core.windows.net`."""

    uri: str
    """Without trailing slash."""
    stack: str
    client: ContainerClient
    mend: str
    """The command that makes a container, or reads a key anew."""
    served: bool = False
    """Whether a server of our own stands for the account; it has no network rules."""
    keyed: bool = False
    """Whether the account's key opens it; else it is the operator's own login."""

    @classmethod
    def of(cls, cluster: ClusterDocument, uri: str | None = None) -> Blobs:
        """The cluster's shared storage, or another container: the artefacts' one. Nothing is asked yet.

        Raises:
            ConfigError: the URI is not one of Azure's, or the account's key is no key.
        """
        uri = (uri or cluster.shared_storage).rstrip("/")
        where, stack = urlsplit(uri), cluster.stack
        container, account = where.username or "", (where.hostname or "").split(".")[0]
        if where.scheme not in SCHEMES or not container or not account:
            raise ConfigError(
                uri,
                "it is no URI of blob storage (wasbs://CONTAINER@ACCOUNT.blob.core.windows.net)",
                f"Mend the stack's settings, then run `pulumi up --stack {stack}`.",
            )
        storage = cluster.storage
        access = storage if isinstance(storage, Blob) and storage.account == account else None
        key = access.key.get_secret_value() if access and access.key is not None else None
        server = access.server if access else ""
        mend = f"`fab bootstrap --stack {stack}`" if server else f"`pulumi up --refresh --stack {stack}`"
        if (server and key is None) or (key is not None and not _is_key(key)):
            raise ConfigError(uri, "the account's key in the stack is no key", f"Run {mend}.")
        # By its address, a server has the account in the path and not in the host name; and an account
        # with a hierarchical name space answers at both of its names.
        host = (where.hostname or "").replace(".dfs.", ".blob.", 1)
        url = f"http://{server}/{account}" if server else f"https://{host}"
        # The client finds the account's name in a host name, and not behind an address.
        credential = AzureNamedKeyCredential(account, key) if key else azure.credential()
        client = ContainerClient(url, container, credential=credential, **_OPTIONS)
        return cls(uri, stack, client, mend, served=bool(server), keyed=key is not None)

    def url(self, path: str) -> str:
        """The full URI of a path in the container."""
        return f"{self.uri}/{path.lstrip('/')}"

    def read(self, path: str) -> bytes | None:
        """A file's bytes; None when there is no such file.

        Raises:
            ConfigError, StackError: no login, no right, a wrong key; there is no such container.
            ServiceDown: storage cannot be reached.
        """
        with self._translate_errors(f"reading {self.url(path)}"):
            return self._read(path)[0]

    def write(self, path: str, data: bytes) -> None:
        """Write a file, replacing what is there, visible at once.

        Raises:
            ConfigError, StackError, ServiceDown: as for `read`.
        """
        with self._translate_errors(f"writing {self.url(path)}"):
            self.client.upload_blob(path.lstrip("/"), data, overwrite=True)

    def update(self, path: str, change: Callable[[bytes | None], bytes | None]) -> None:
        """Replace a file's bytes (None: there is no file) by what `change` gives; None leaves it as it is.

        Where somebody else writes the file meanwhile, `change` is asked again, with their bytes.

        Raises:
            ConfigError, StackError, ServiceDown: as for `read`.
        """
        with self._translate_errors(f"writing {self.url(path)}"):
            for left in reversed(range(TRIES)):
                before, unless_changed = self._read(path)
                after = change(before)
                if after is None:
                    return
                try:
                    self.client.upload_blob(path.lstrip("/"), after, **unless_changed)
                    return
                except (ResourceExistsError, ResourceModifiedError):
                    if not left:
                        raise

    def _read(self, path: str) -> tuple[bytes | None, dict[str, Any]]:
        """A file's bytes, and what makes a write fail where somebody else has written meanwhile."""
        try:
            found = self.client.download_blob(path.lstrip("/"))
        except ResourceNotFoundError as error:
            if azure.code_of(error) == _CONTAINER_MISSING:
                raise
            return None, {"overwrite": False}
        unchanged = {"etag": found.properties.etag, "match_condition": MatchConditions.IfNotModified}
        return found.readall(), {"overwrite": True, **unchanged}

    def exists(self, path: str) -> bool:
        """Whether there is such a file.

        Raises:
            ConfigError, StackError, ServiceDown: as for `read`.
        """
        with self._translate_errors(f"looking for {self.url(path)}"):
            blob = self.client.get_blob_client(path.lstrip("/"))
            try:
                blob.get_blob_properties()
            except ResourceNotFoundError as error:
                if azure.code_of(error) == _CONTAINER_MISSING:
                    raise
                return False
            return True

    def list(self, prefix: str = "") -> list[str]:
        """The paths of all files below a prefix, in order.

        Raises:
            ConfigError, StackError, ServiceDown: as for `read`.
        """
        with self._translate_errors(f"listing {self.url(prefix)}"):
            return sorted(self.client.list_blob_names(name_starts_with=prefix.lstrip("/") or None))

    @contextmanager
    def _translate_errors(self, doing: str) -> Iterator[None]:
        """What storage says in its own way; the rest is said as for any other service of Azure."""
        with azure.translate_errors(doing, self.stack):
            try:
                yield
            except (HttpResponseError, ServiceRequestError) as error:
                refusal = _refusal(self, error)
                if refusal is None:
                    raise
                raise refusal from error


def upload(cluster: ClusterDocument, action: ScriptAction) -> str:
    """Put a script where HDInsight, or its rehearsal, fetches it from; the URI. The same text is put once.

    Its name is its content, and who else has the account's key may have written something else there.

    Raises:
        ConfigError, StackError, ServiceDown: as for `Blobs.read`.
    """
    artifacts = cluster.members.artifacts if isinstance(cluster.members, HdInsight) else None
    blobs = Blobs.of(cluster, artifacts)
    script = action.script.encode()
    if blobs.read(action.path) != script:
        blobs.write(action.path, script)
    return blobs.url(action.path)


def _is_key(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True))
    except ValueError:
        return False


def _refusal(blobs: Blobs, error: AzureError) -> ConfigError | StackError | ServiceDown | None:
    """What a failure of storage means; None for one that any service of Azure could have."""
    code, said = azure.code_of(error), azure.words_of(error)
    uri, host = blobs.uri, blobs.client.primary_hostname or ""
    if isinstance(error, ServiceRequestError):
        if any(text in said for text in _NO_NAME):
            why = f"no name server knows {host}: there is no such account, or this machine is offline"
            return azure.Offline(uri, why, "Look at the account's name and at the network.")
        why = f"it does not answer: {said}"
        return azure.Offline(uri, why, "Run `fab doctor`; look at the server and the network between.")
    if code in _WRONG_KEY or (blobs.served and code == _KEPT_OUT):  # Azurite's code for a wrong key
        if "too old" in str(error):
            return ConfigError(uri, "this machine's clock is wrong", "Run `timedatectl set-ntp true`.")
        # Without a key it is the login that does not count.
        code = _WRONG_KEY[0] if blobs.keyed else ""
    if code not in _CODES:
        return None
    kind, why, fix = _CODES[code]
    return kind(uri, why, fix.format(mend=blobs.mend, stack=blobs.stack, account=host.split(".")[0]))

"""Blob storage of a cluster, accessed from the operator's machine: small files in a container."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final
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
from bootstrap.errors import CommandFailed, ConfigError, ServiceDown, StackError
from bootstrap.script_actions.action import ScriptAction
from bootstrap.storage.programs import LONGEST

SCHEMES: Final = ("wasb", "wasbs", "abfs", "abfss")
_OPTIONS: Final[Mapping[str, Any]] = {
    "retry_total": 2,
    "retry_connect": 1,
    # The SDK's default waits fifteen seconds before its first retry.
    "initial_backoff": 1,
    "increment_base": 2,
    "random_jitter_range": 1,
    "connection_timeout": 5,
    "read_timeout": 60,
    # The first request of a download is answered before its size is known here.
    "max_single_get_size": LONGEST,
    "user_agent": "caffe-spark",
}
READERS: Final = 8
"""Files read in parallel."""
TRIES: Final = 20
"""Attempts to update a file that others update concurrently."""
_CONTAINER_MISSING: Final = "ContainerNotFound"
_PAST_THE_END: Final = "InvalidRange"
_INVALID_KEY: Final = ("AuthenticationFailed", "InvalidAuthenticationInfo")
_FIREWALL: Final = "AuthorizationFailure"
_NO_PERMISSION: Final = (
    azure.Denied,
    "this login may not read and write this container",
    "Ask an administrator to grant it `Storage Blob Data Contributor` on the storage account {account}.",
)
_CODES: Final[Mapping[str, tuple[type[ConfigError] | type[StackError], str, str]]] = {
    _INVALID_KEY[0]: (
        ConfigError,
        "the storage account rejects the stack's key: it was rotated, or belongs to another account",
        "Run {repair}, which reads the key again; on HDInsight run `pulumi preview --stack {stack}` first, "
        "since a rotated key replaces the cluster.",
    ),
    _CONTAINER_MISSING: (
        StackError,
        "there is no such container",
        "Run {repair}, which creates it.",
    ),
    "AuthorizationPermissionMismatch": _NO_PERMISSION,
    "InsufficientAccountPermissions": _NO_PERMISSION,
    _FIREWALL: (
        ConfigError,
        "the storage account's network rules block this machine",
        "Add this machine's address to the stack's `adminCidrs`, then run {repair}; for an account outside "
        "the stack, ask its owner to allow the address.",
    ),
    "KeyBasedAuthenticationNotPermitted": (
        ConfigError,
        "the storage account does not allow key access, but the stack has a key for it",
        "Allow key access on the account, or run {repair}.",
    ),
}
"""Cause and next command by error code of the storage service."""
_UNRESOLVED: Final = ("Failed to resolve", "Name or service not known", "nodename nor servname")


@dataclass(frozen=True)
class Blobs:
    """The container behind a URI such as `wasbs://artifacts@account.blob.core.windows.net`."""

    uri: str
    """Without trailing slash."""
    stack: str
    client: ContainerClient
    repair: str
    """The command that creates the container, or reads the key again."""
    served: bool = False
    """True if the cluster's own blob server serves the account; it has no network rules."""
    keyed: bool = False
    """True for access by the account key, False for access by the operator's login."""

    @classmethod
    def of(cls, cluster: ClusterDocument, uri: str | None = None) -> Blobs:
        """Return the container of the cluster's shared storage, or of `uri`; sends no request.

        Raises:
            ConfigError: the URI is not a blob storage URI, or the account key is not valid.
        """
        uri = (uri or cluster.shared_storage).rstrip("/")
        parts, stack = urlsplit(uri), cluster.stack
        container, account = parts.username or "", (parts.hostname or "").split(".")[0]
        if parts.scheme not in SCHEMES or not container or not account:
            raise ConfigError(
                uri,
                "it is not a valid blob storage URI (wasbs://CONTAINER@ACCOUNT.blob.core.windows.net)",
                f"Fix the stack's settings, then run `pulumi up --stack {stack}`.",
            )
        storage = cluster.storage
        access = storage if isinstance(storage, Blob) and storage.account == account else None
        key = access.key.get_secret_value() if access and access.key is not None else None
        server = access.server if access else ""
        repair = f"`fab bootstrap --stack {stack}`" if server else f"`pulumi up --refresh --stack {stack}`"
        if (server and key is None) or (key is not None and not _is_key(key)):
            raise ConfigError(uri, "the account key in the stack is not valid base64", f"Run {repair}.")
        # A server addressed by IP has the account in the path, not in the host name. An account with a
        # hierarchical namespace has both a `dfs` and a `blob` endpoint.
        host = (parts.hostname or "").replace(".dfs.", ".blob.", 1)
        url = f"http://{server}/{account}" if server else f"https://{host}"
        # The client derives the account name from a host name, but not from an IP address.
        credential = AzureNamedKeyCredential(account, key) if key else azure.credential()
        client = ContainerClient(url, container, credential=credential, **_OPTIONS)
        return cls(uri, stack, client, repair, served=bool(server), keyed=key is not None)

    def url(self, path: str) -> str:
        """Return the full URI of a path in the container."""
        return f"{self.uri}/{path.lstrip('/')}"

    def read(self, path: str, *, max_size: int = LONGEST) -> bytes | None:
        """Return a small file's bytes; None if it does not exist.

        Raises:
            ConfigError, StackError: login, permission, key or container is missing or not valid.
            ServiceDown: storage cannot be reached.
            CommandFailed: the file has more than `max_size` bytes.
        """
        with self._translate_errors(f"reading {self.url(path)}"):
            data = self._read(path, max_size)[0]
        if data is not None and len(data) > max_size:
            why = f"it has more than {max_size >> 10:,} KiB, and a small document belongs there"
            raise CommandFailed(self.url(path), why, "Remove it, then rerun the command.")
        return data

    def read_each(self, paths: Iterable[str], *, max_size: int = LONGEST) -> list[bytes | None]:
        """Return the bytes of several small files; None for one that does not exist or exceeds `max_size`.

        Raises:
            ConfigError, StackError, ServiceDown: as for `read`.
        """

        def read(path: str) -> bytes | None:
            try:
                return self.read(path, max_size=max_size)
            except CommandFailed:
                return None

        with ThreadPoolExecutor(READERS) as readers:
            return list(readers.map(read, paths))

    def part(self, path: str, start: int, size: int) -> tuple[bytes, int]:
        """Return up to `size` bytes of a file from `start` on, and where the file ends, at least `start`.

        A file that does not exist ends at `start`.

        Raises:
            ConfigError, StackError, ServiceDown: as for `read`.
        """
        with self._translate_errors(f"reading {self.url(path)}"):
            try:
                blob = self.client.download_blob(path.lstrip("/"), offset=start, length=size)
            except HttpResponseError as error:
                absent = isinstance(error, ResourceNotFoundError)
                code = azure.code_of(error)
                if code == _PAST_THE_END or (absent and code != _CONTAINER_MISSING):
                    return b"", start
                raise
            # bytes 0-99/1234
            end = int(str(blob.properties.content_range).rpartition("/")[2])
            return blob.readall(), max(start, end)

    def copy(self, path: str, to: IO[bytes]) -> None:
        """Write a file's bytes to a local one, in blocks.

        Raises:
            ConfigError, StackError, ServiceDown: as for `read`.
        """
        with self._translate_errors(f"reading {self.url(path)}"):
            self.client.download_blob(path.lstrip("/")).readinto(to)

    def write(self, path: str, data: bytes | Path) -> None:
        """Write bytes, or a local file in blocks, atomically, replacing an existing file.

        Raises:
            ConfigError, StackError, ServiceDown: as for `read`.
        """
        with self._translate_errors(f"writing {self.url(path)}"):
            if isinstance(data, bytes):
                self.client.upload_blob(path.lstrip("/"), data, overwrite=True)
                return
            with data.open("rb") as file:
                self.client.upload_blob(path.lstrip("/"), file, overwrite=True)

    def write_new(self, path: str, data: bytes) -> bool:
        """Write a file unless it exists; return True if it was written, which one of several callers gets.

        Raises:
            ConfigError, StackError, ServiceDown: as for `read`.
        """
        with self._translate_errors(f"writing {self.url(path)}"):
            try:
                self.client.upload_blob(path.lstrip("/"), data, overwrite=False)
            except ResourceExistsError:
                return False
            return True

    def update(self, path: str, change: Callable[[bytes | None], bytes | None]) -> None:
        """Replace a file's bytes (None if it is missing) by the result of `change`; None leaves it unchanged.

        If another writer changes the file meanwhile, `change` is called again with the new bytes. Of a file
        that `read` would refuse it gets the start, one byte more than a file may have.

        Raises:
            ConfigError, StackError, ServiceDown: as for `read`.
        """
        with self._translate_errors(f"writing {self.url(path)}"):
            for left in reversed(range(TRIES)):
                before, unless_changed = self._read(path, LONGEST)
                after = change(before)
                if after is None:
                    return
                try:
                    self.client.upload_blob(path.lstrip("/"), after, **unless_changed)
                    return
                except (ResourceExistsError, ResourceModifiedError):
                    if not left:
                        raise

    def _read(self, path: str, max_size: int) -> tuple[bytes | None, dict[str, Any]]:
        """Return a file's bytes, and upload options that fail if another writer has changed it meanwhile.

        Of a file with more than `max_size` bytes one more than that is read.
        """
        try:
            blob = self.client.download_blob(path.lstrip("/"))
        except ResourceNotFoundError as error:
            if azure.code_of(error) == _CONTAINER_MISSING:
                raise
            return None, {"overwrite": False}
        unchanged = {"etag": blob.properties.etag, "match_condition": MatchConditions.IfNotModified}
        return blob.read(max_size + 1), {"overwrite": True, **unchanged}

    def exists(self, path: str) -> bool:
        """Return True if the file exists.

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
        """Return the paths of all files below a prefix, sorted.

        Raises:
            ConfigError, StackError, ServiceDown: as for `read`.
        """
        with self._translate_errors(f"listing {self.url(prefix)}"):
            return sorted(self.client.list_blob_names(name_starts_with=prefix.lstrip("/") or None))

    @contextmanager
    def _translate_errors(self, doing: str) -> Iterator[None]:
        """Translate errors of the storage service; all others as for any Azure service."""
        with azure.translate_errors(doing, self.stack):
            try:
                yield
            except (HttpResponseError, ServiceRequestError) as error:
                refusal = _refusal(self, error)
                if refusal is None:
                    raise
                raise refusal from error


def upload(cluster: ClusterDocument, action: ScriptAction) -> str:
    """Upload a script action unless its file exists with the same text; return its URI.

    The path contains the script's hash; the text is compared too, since others with the key can write.

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
    """Translate an error of the storage service; None for errors common to all Azure services."""
    code, message = azure.code_of(error), azure.words_of(error)
    uri, host = blobs.uri, blobs.client.primary_hostname or ""
    if isinstance(error, ServiceRequestError):
        if any(text in message for text in _UNRESOLVED):
            why = f"{host} cannot be resolved: there is no such account, or this machine is offline"
            return azure.Offline(uri, why, "Check the account's name and the network.")
        why = f"it does not answer: {message}"
        return azure.Offline(uri, why, "Run `fab doctor`; check the server and the network in between.")
    if code in _INVALID_KEY or (blobs.served and code == _FIREWALL):  # Azurite's code for a wrong key
        if "too old" in str(error):
            return ConfigError(uri, "this machine's clock is wrong", "Run `timedatectl set-ntp true`.")
        # Without a key, the login is not valid.
        code = _INVALID_KEY[0] if blobs.keyed else ""
    if code not in _CODES:
        return None
    kind, why, fix = _CODES[code]
    return kind(uri, why, fix.format(repair=blobs.repair, stack=blobs.stack, account=host.split(".")[0]))

"""The user's own data sets in shared storage: their manifests, and what of them is whole.

A manifest is that of `bootstrap.storage.folders`; its inputs name the kind and the sha256 of all that was
put. Whoever may write to storage may have written it, so its values are checked.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from bootstrap import paths
from bootstrap.errors import ConfigError, JobError
from bootstrap.others_json import json_object
from bootstrap.storage import folders
from bootstrap.storage.folders import MANIFEST, Folder
from bootstrap.storage.hadoop import SharedStorage
from bootstrap.storage.programs import LONGEST
from jobs.datasets import registry

KIND = "kind"
BUILT_IN = "built in"
_FILE = re.compile(r"[A-Za-z0-9@+=][A-Za-z0-9@+=._,/-]*")
_ENTRY = re.compile(r"([-d])\S*\s+\S+\s+\S+\s+\S+\s+\d+\s+(\d{4}-\d\d-\d\d \d\d:\d\d)\s+(\S.*)")
"""A line of `hdfs dfs -ls`: mode, replication, owner, group, size, time, path."""


class Manifest(NamedTuple):
    """Manifest of a data set."""

    inputs: Mapping[str, Any]
    sizes: Mapping[str, int]
    """Bytes of each file, by its name below the set's folder."""

    @property
    def kind(self) -> str:
        """Kind of an own set; a built-in one has no such input."""
        return str(self.inputs.get(KIND, BUILT_IN))


class Listed(NamedTuple):
    """A data set as `fab data list` shows it."""

    name: str
    manifest: Manifest | None
    """None where there is none, or not a valid one."""
    when: str
    """Time of the manifest, on the head's clock; empty without one."""


def require_own(name: str) -> None:
    """Refuse what cannot be the name of an own data set.

    Raises:
        ConfigError: it is not a valid name, or that of a built-in set.
    """
    why = registry.fault(name)
    if name in registry.built_in_names():
        why = "it is a built-in data set, which jobs that name it prepare"
    if why:
        raise ConfigError(f"data {name!r}", why, "Take another name.")


def manifest_of(text: bytes) -> Manifest:
    """Read a manifest.

    Raises:
        ValueError: it is not a valid one.
    """
    document = json_object(text)
    inputs, files = document.get("inputs"), document.get("files")
    if not isinstance(inputs, dict) or not isinstance(files, dict) or not files:
        raise ValueError("it has no inputs or files")
    sizes = {}
    for name, entry in files.items():
        size = entry.get("size") if isinstance(entry, dict) else None
        if not _FILE.fullmatch(name) or ".." in name.split("/") or type(size) is not int or size < 0:
            raise ValueError("a file of it is not valid")
        sizes[name] = size
    return Manifest(inputs, sizes)


def find(storage: SharedStorage, name: str) -> Manifest:
    """Return the manifest of a data set in storage.

    Raises:
        JobError: there is no such set, or its manifest is not valid.
        ServiceDown: the storage does not answer.
    """
    path = registry.path_of(name)
    text = storage.read(f"{path}/{MANIFEST}")
    if text is None:
        fix = f"Put it there with `fab data put PATH {name}`, or take a name of `fab data list`."
        if registry.built_in(name):
            fix = "Run a job that names it, which prepares it."
        raise JobError(f"data {name!r}", f"there is no {storage.url(path)}/{MANIFEST}", fix)
    try:
        return manifest_of(text)
    except ValueError as error:
        why = f"{storage.url(path)}/{MANIFEST} is not valid: {error}"
        raise JobError(f"data {name!r}", why, _again(name)) from error


def require_whole(storage: SharedStorage, name: str) -> None:
    """Compare an own data set with its manifest, byte for byte.

    Raises:
        JobError: it is not in storage, or not as it was put.
        ServiceDown: the storage does not answer.
    """
    manifest, path = find(storage, name), registry.path_of(name)
    stored = folders.check(storage, Folder(path, manifest.inputs, tuple(sorted(manifest.sizes))))
    if not stored.whole:
        raise JobError(f"data {name!r}", f"{storage.url(path)}: {stored.why}", _again(name))


def listed(storage: SharedStorage) -> list[Listed]:
    """Return the data sets in storage by name.

    Raises:
        ServiceDown: the storage does not answer.
    """
    times = dict(_manifests(storage))
    valid = _valid(storage, [name for name in sorted(times) if times[name]])
    return [Listed(name, valid.get(name), times[name]) for name in sorted(times)]


def _manifests(storage: SharedStorage) -> Iterator[tuple[str, str]]:
    """Yield the names of folders below the data's, with the time of their manifest."""
    manifests = shlex.quote(storage.url(f"{paths.DATA}/*/{MANIFEST}"))
    result = storage.run(
        f"{storage.command(f'dfs -ls {storage.quoted(paths.DATA)}')} </dev/null || exit\n"
        # Without any manifest it fails, and there is nothing to say.
        f"{storage.command(f'dfs -ls {manifests}')} </dev/null 2>/dev/null || true\n"
    )
    if not result.ok:
        if storage.missing(paths.DATA, result):
            return
        storage.explain(paths.DATA, result)
    for line in result.stdout.splitlines():
        entry = _ENTRY.fullmatch(line.strip())
        below = entry[3].partition(f"{paths.DATA}/")[2] if entry else ""
        name, _, file = below.partition("/")
        if entry and not registry.fault(name) and (file == MANIFEST or entry[1] == "d"):
            yield name, entry[2] if file else ""


def _valid(storage: SharedStorage, names: list[str]) -> dict[str, Manifest]:
    """Return the valid manifests among those of these sets."""
    found = {}
    for name, text in zip(names, _texts(storage, names), strict=True):
        with suppress(ValueError):
            found[name] = manifest_of(text)
    return found


def _texts(storage: SharedStorage, names: list[str]) -> list[bytes]:
    """Return the manifests' texts, read in one command if all are JSON."""
    files = [f"{registry.path_of(name)}/{MANIFEST}" for name in names]
    if not files:
        return []
    words = f"dfs -cat {' '.join(map(storage.quoted, files))}"
    rest = storage.run(storage.piped(words, f"head -c {LONGEST}")).stdout
    texts, decoder = [], json.JSONDecoder()
    try:
        while rest := rest.lstrip():
            _, end = decoder.raw_decode(rest)
            texts.append(rest[:end].encode())
            rest = rest[end:]
    except (ValueError, RecursionError):
        texts.clear()
    return texts if len(texts) == len(files) else [storage.read(file) or b"" for file in files]


def _again(name: str) -> str:
    if registry.built_in(name):
        return "Run a job that names it, which rebuilds it."
    return f"Put it there again: `fab data put PATH {name} --force`."

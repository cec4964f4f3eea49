"""Upgrade of cluster documents from older versions, which running stacks still export. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

VERSION: Final = 2
READABLE: Final = (1, VERSION)

_REPLACED: Final = frozenset(
    {
        *("version", "head", "workers", "worker_group", "hdinsight"),
        *("spark_master", "yarn", "shared_storage", "s3", "blob"),
    }
)
"""Fields of version 1 that version 2 replaces; all others are unchanged."""


def upgrade(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the document in the current version; malformed fields are kept for validation to report.

    Raises:
        ValueError: fields of version 1 contradict each other.
    """
    if document["version"] == VERSION:
        return document
    same = {key: value for key, value in document.items() if key not in _REPLACED}
    return {
        **same,
        "version": VERSION,
        "head": _head(document.get("head")),
        "scheduler": _scheduler(document),
        "storage": _storage(document),
        "members": _members(document),
    }


def _head(head: object) -> object:
    """Drop the empty host key by which version 1 marks an unknown one."""
    if isinstance(head, Mapping) and head.get("host_key") == "":
        return {key: value for key, value in head.items() if key != "host_key"}
    return head


def _scheduler(document: Mapping[str, Any]) -> dict[str, Any]:
    master, yarn = document.get("spark_master"), document.get("yarn")
    if (yarn is not None) != (master == "yarn"):
        raise ValueError("yarn: it is valid only with spark_master yarn")
    if yarn is None:
        return {"kind": "standalone", "master": master}
    return {"kind": "yarn", **_fields("yarn", yarn)}


def _storage(document: Mapping[str, Any]) -> dict[str, Any]:
    uri, s3, blob = (document.get(name) for name in ("shared_storage", "s3", "blob"))
    scheme = str(uri).partition("://")[0]
    if (s3 is not None) != (scheme == "s3a"):
        raise ValueError("s3: it is valid only with a shared_storage of s3a://")
    if (blob is not None) != (scheme in ("wasb", "wasbs")):
        raise ValueError("blob: it is valid only with a shared_storage of wasb:// or wasbs://")
    if s3 is not None:
        return {"kind": "s3", "uri": uri, **_fields("s3", s3)}
    if blob is not None:
        access = {key: value for key, value in _fields("blob", blob).items() if key != "account"}
        return {"kind": "blob", "uri": uri, **access}
    # Version 1 holds no key for accounts with a hierarchical namespace.
    return {"kind": "blob" if scheme == "abfss" else "hdfs", "uri": uri}


def _members(document: Mapping[str, Any]) -> dict[str, Any]:
    hdinsight, group = document.get("hdinsight"), document.get("worker_group")
    if hdinsight is not None:
        fields = _fields("hdinsight", hdinsight)
        return {"kind": "hdinsight", **_renamed(fields, "workers", "worker_count")}
    if group is not None:
        fields = _fields("worker_group", group)
        return {"kind": "auto_scaling_group", **_renamed(fields, "desired", "desired_capacity")}
    return {"kind": "fixed", "workers": document.get("workers")}


def _fields(name: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{name}: it is not an object")
    return value


def _renamed(fields: Mapping[str, Any], old: str, new: str) -> dict[str, Any]:
    return {new if key == old else key: value for key, value in fields.items()}

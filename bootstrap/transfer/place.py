"""Places of `fab get` and `fab put`: a path on a node, or one in the cluster's shared storage."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bootstrap.cluster import Cluster, Node
from bootstrap.errors import ConfigError

_SCHEME = re.compile(r"[a-z][a-z0-9]*://")
_NODE = re.compile(r"([^/:]+):(.*)", re.DOTALL)


@dataclass(frozen=True)
class Place:
    """A path on `node`; None: in shared storage, below `root`."""

    path: str
    node: Node | None = None
    root: str = ""

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    def __str__(self) -> str:
        return f"{self.node.name}:{self.path}" if self.node else f"{self.root}{self.path}"


def parse(text: str, cluster: Cluster) -> Place:
    """Parse `NODE:PATH`, a URI of the cluster's storage, or a name below the storage's root.

    Raises:
        ConfigError: it leads out of the storage, or is no absolute path on a node.
        StackError: the cluster has no such node.
    """
    if _SCHEME.match(text):
        for root in filter(None, (cluster.shared_storage, cluster.hdfs)):
            if text.startswith(f"{root}/"):
                return _in_storage(text, root, text[len(root) :])
        raise ConfigError(
            text,
            f"it is not in the shared storage of stack {cluster.stack!r}, {cluster.shared_storage}",
            "Name a path below it.",
        )
    on_node = _NODE.fullmatch(text)
    if on_node is None:
        return _in_storage(text, cluster.shared_storage, text)
    node, path = cluster.node(on_node[1]), on_node[2]
    _require_plain(text, path, "")
    if not path.startswith("/"):
        raise ConfigError(
            text, "it is not an absolute path", f"Write `{node.name}:/…`, or a name without a colon."
        )
    if not path.strip("/"):
        raise ConfigError(text, "it is a whole file system", "Name a file or folder of it.")
    return Place(path.rstrip("/"), node)


def _in_storage(text: str, root: str, path: str) -> Place:
    # Characters of a glob pattern, and those that a URL gives another meaning.
    _require_plain(text, path, "*?[]{}\\%#")
    if not path.strip("/"):
        raise ConfigError(text, "it is the whole storage", "Name a file or folder below it.")
    return Place(f"/{path.strip('/')}", root=root)


def _require_plain(text: str, path: str, special: str) -> None:
    """Refuse control characters, and those that are special there."""
    odd = sorted({char for char in path if not char.isprintable() or char in special})
    if odd:
        raise ConfigError(text, f"{' '.join(map(repr, odd))} cannot be in a name", "Name one file or folder.")
    if ".." in path.split("/"):
        raise ConfigError(text, "`..` leads out of a folder", "Write the path without it.")

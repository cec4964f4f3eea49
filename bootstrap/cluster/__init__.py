"""The contract between a stack and everything that uses it: the `cluster` output."""

from bootstrap.cluster.cluster import (
    OPTIONAL_ROLES,
    VERSION,
    BlobAccess,
    Cluster,
    HdInsight,
    Node,
    S3Access,
    SshAccess,
    WorkerGroup,
    WorkerShape,
    Yarn,
)

__all__ = [
    "OPTIONAL_ROLES",
    "VERSION",
    "BlobAccess",
    "Cluster",
    "HdInsight",
    "Node",
    "S3Access",
    "SshAccess",
    "WorkerGroup",
    "WorkerShape",
    "Yarn",
]

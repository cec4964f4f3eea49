"""The contract between a stack and everything that uses it: the `cluster` output.

A `ClusterDocument` is the cluster as its stack declares it; a `Cluster` is one whose nodes are resolved.
"""

from bootstrap.cluster.access import DeclaredNode, Node, SshAccess, WorkerShape
from bootstrap.cluster.cloud_logs import CloudLogs
from bootstrap.cluster.cluster import Cluster
from bootstrap.cluster.document import OPTIONAL_ROLES, ClusterDocument
from bootstrap.cluster.limits import Limits
from bootstrap.cluster.members import AutoScalingGroup, Fixed, HdInsight
from bootstrap.cluster.prices import NodePrice, Part, Prices
from bootstrap.cluster.release import HDINSIGHT, NEWEST, SparkLine
from bootstrap.cluster.scheduler import Standalone, WebPage, Yarn
from bootstrap.cluster.storage import S3, Blob, Hdfs, key_fault
from bootstrap.cluster.versions import VERSION

__all__ = [
    "HDINSIGHT",
    "NEWEST",
    "OPTIONAL_ROLES",
    "S3",
    "VERSION",
    "AutoScalingGroup",
    "Blob",
    "CloudLogs",
    "Cluster",
    "ClusterDocument",
    "DeclaredNode",
    "Fixed",
    "HdInsight",
    "Hdfs",
    "Limits",
    "Node",
    "NodePrice",
    "Part",
    "Prices",
    "SparkLine",
    "SshAccess",
    "Standalone",
    "WebPage",
    "WorkerShape",
    "Yarn",
    "key_fault",
]

"""Paths on nodes and in shared storage, shared by roles, framework and jobs."""

from __future__ import annotations

HADOOP_HOME = "/opt/hadoop"
HADOOP_CONF = "/etc/hadoop/conf"
HDFS = f"{HADOOP_HOME}/bin/hdfs"
"""Hadoop's file system shell, `hdfs dfs …`, for HDFS, S3A and WASB."""

YARN = f"{HADOOP_HOME}/bin/yarn"
"""YARN's commands, `yarn application …` and `yarn logs …`, on clusters with YARN."""

SYSTEM_PACKAGES = "/usr/lib/python3/dist-packages"
"""Python packages of Debian and Ubuntu themselves; those that pip installs lie elsewhere."""
VENV = "/opt/caffe-spark/venv"
"""Virtual environment with pyspark and SYSTEM_PACKAGES; its Python runs drivers and executors."""
PYTHON = f"{VENV}/bin/python"
ANY_PYTHON = f'"$([ -x {PYTHON} ] && echo {PYTHON} || echo python3)"'
"""Shell word for short programs: PYTHON if it exists, since an image's python3 may be too old (HDInsight's is
3.6), else python3."""
SPARK_HOME = "/opt/spark"
"""Symlink to pyspark in VENV."""

CAFFE_HOME = "/opt/caffe"
"""Symlink to the active version below; bin/, lib/, python/ (`caffe`, `caffe_allreduce`, `caffe_feed`)."""
CAFFE_VERSIONS = "/opt/caffe-versions"

STATE = "/var/lib/caffe-spark"
BUILDS = f"{STATE}/build"
JOBS = f"{STATE}/jobs"
STAMPS = f"{STATE}/stamps"
RUN = "/run/caffe-spark"
"""Locks and running steps; only root writes there, and it is empty after a reboot."""
DEPOT = "/srv/depot"
"""Files that the head distributes to the other nodes over HTTP, each with its .sha256."""
DEPOT_PORT = 8090

HISTORY_PORT = 18080
"""Port on the head's loopback of Spark's history server."""

CREDENTIALS_PORT = 868
"""Port on loopback of the job role's credentials; below 1024, so that no job can listen there itself."""
CREDENTIALS_URL = f"http://127.0.0.1:{CREDENTIALS_PORT}/job-role"

PROFILE = "/etc/profile.d/caffe-spark.sh"
"""JAVA_HOME, HADOOP_CONF_DIR, SPARK_HOME, PYTHONPATH and PATH, for login shells and our commands."""
LOAD_PROFILE = f"[ ! -r {PROFILE} ] || . {PROFILE}"
"""Shell: loads PROFILE on nodes that have it."""

HDFS_USER = "hdfs"
"""User of the HDFS daemons; HDFS's superuser."""
JOB_USER = "spark"
"""User of Spark's daemons, drivers and executors."""
STORAGE_GROUP = "caffe-spark"
"""Group of both users, which may read the keys of shared storage."""
SPARK_TMP = "/var/lib/spark/tmp"
"""Folder of that user for temporary files of executors; a service of each node removes what is left there."""
IDENTITY = "/etc/caffe-spark/node"
"""NODE_NAME and NODE_ADDRESS, determined on the machine, so that a role is the same on every worker."""
EFA_SETTINGS = "/etc/caffe-spark/efa"
"""Variables by which NCCL uses EFA, on workers that have it, with the paths that their image has."""

FRAMEWORKS = "/frameworks"
DATA = "/data"
JOBS_DIR = "/jobs"
EVENT_LOGS = f"/user/{JOB_USER}/events"
"""Folders below the cluster's shared storage URI."""
BOOT_SCRIPTS = "cluster/bootstrap"
FRAMEWORK_SCRIPTS = "cluster/framework"
NODES = "cluster/nodes"
"""Keys in shared storage: boot scripts of machines, framework scripts, and the machines' reports."""
LIMITS = "cluster/limits.json"
SPENDING = "cluster/spending.json"
"""Keys in shared storage: a stack's prices and limits, which `pulumi up` writes, and the account that its
head keeps by them."""
JOB_UNIT = "caffe-spark-job-"
BUILD_UNIT = "caffe-spark-build-"
CONVERT_UNIT = "caffe-spark-convert-"
"""Beginnings of the names of the head's units: of jobs, of builds of the framework, and of converters."""
STOP_FILE = "stop"
"""File in a job's folder of shared storage that asks it to take a snapshot and to end; the trainer's
`contract.STOP_FILE`."""

"""Where things lie on a node: one vocabulary for roles, framework and jobs."""

from __future__ import annotations

HADOOP_HOME = "/opt/hadoop"
HADOOP_CONF = "/etc/hadoop/conf"
HDFS = f"{HADOOP_HOME}/bin/hdfs"
"""Hadoop's file system shell, `hdfs dfs …`: HDFS here, S3A and WASB on the clouds."""

YARN = f"{HADOOP_HOME}/bin/yarn"
"""YARN's tools, `yarn application …` and `yarn logs …`, on clusters that have it."""

VENV = "/opt/caffe-spark/venv"
"""A `--system-site-packages` environment with pyspark; its Python runs drivers and executors."""
PYTHON = f"{VENV}/bin/python"
ANY_PYTHON = f'"$([ -x {PYTHON} ] && echo {PYTHON} || echo python3)"'
"""In shell, for short programs of ours: the one above once there is one, as an image's python3 may be too old
(HDInsight's is 3.6); before that, what there is."""
SPARK_HOME = "/opt/spark"
"""Symlink to the environment's pyspark."""

CAFFE_HOME = "/opt/caffe"
"""Symlink to the active version below; holds bin/, lib/, python/ (`caffe`, `caffe_allreduce`)."""
CAFFE_VERSIONS = "/opt/caffe-versions"

STATE = "/var/lib/caffe-spark"
BUILDS = f"{STATE}/build"
JOBS = f"{STATE}/jobs"
STAMPS = f"{STATE}/stamps"
LOGS = "/var/log/caffe-spark"
DEPOT = "/srv/depot"
"""What the head spreads over HTTP to the other nodes (each file beside its .sha256)."""
DEPOT_PORT = 8090

PROFILE = "/etc/profile.d/caffe-spark.sh"
"""JAVA_HOME, HADOOP_CONF_DIR, SPARK_HOME, PYTHONPATH and PATH, for people and for our commands."""
LOAD_PROFILE = f"[ ! -r {PROFILE} ] || . {PROFILE}"
"""Shell: loads PROFILE on nodes that have it."""

HDFS_USER = "hdfs"
"""Runs the HDFS daemons; HDFS's superuser."""
JOB_USER = "spark"
"""Runs Spark's daemons, drivers and executors."""
STORAGE_GROUP = "caffe-spark"
"""Both of them: who may read the keys of shared storage, where it has some."""
IDENTITY = "/etc/caffe-spark/node"
"""NODE_NAME and NODE_ADDRESS, found by the machine itself: a role says the same on every worker."""

FRAMEWORKS = "/frameworks"
DATA = "/data"
JOBS_DIR = "/jobs"
"""Folders below the cluster's shared storage URI."""
BOOT_SCRIPTS = "cluster/bootstrap"
FRAMEWORK_SCRIPTS = "cluster/framework"
NODES = "cluster/nodes"
"""Keys in a bucket: scripts that machines bring themselves up with, and what machines say of themselves."""

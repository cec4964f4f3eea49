"""Names of settings, environment variables and files of a job, and its exit statuses."""

from __future__ import annotations

JOB_ENV = "CAFFE_SPARK_JOB"
"""Environment variable of every process of a job, with the job's id, by which `reap` finds them."""
EVENTS_ENV = "CAFFE_SPARK_EVENTS"
"""Environment variable of the driver: the file that it appends its events to."""
FEED_ENV = "CAFFE_SPARK_FEED"
"""Environment variable of the driver: a file with `host:port:token` of a program that receives its events."""
EVENTS_URI_ENV = "CAFFE_SPARK_EVENTS_URI"
"""Environment variable of the driver: a URI that its events are copied to while it runs."""
OVERRIDE_ENV = "CAFFE_SPARK_OVERRIDE_"
"""Prefix of environment variables that override a value of the prototxts; see `OVERRIDES`."""
OVERRIDES = ("max_iter", "batch", "train_source", "test_source", "solver_mode", "final_validation")
WATCH_ENV = "CAFFE_SPARK_WATCH"
"""Environment variable of the process that watches a rank: JSON of the rank and of the driver's address."""

TIMEOUT_CONF = "spark.caffespark.timeout"
"""Spark setting: seconds after which a silent rank counts as lost."""
TRANSPORT_CONF = "spark.caffespark.transport"
"""Spark setting: `ethernet` (average gradients) or `none` (ranks train alone, for measurements)."""
GRADIENTS_CONF = "spark.caffespark.gradients"
"""Spark setting: gradients on their way between ranks, one of `GRADIENTS`."""
GRADIENTS = FLOAT32, FLOAT16 = ("float32", "float16")

ON_WORKER_LOST_CONF = "spark.caffespark.onWorkerLost"
"""Spark setting: what training does when it loses an executor, one of `ON_WORKER_LOST`.

`fail` ends the job. `wait` waits until there are as many executors as before. `shrink` goes on with those
that are left, and grows when others register. Both go on from the newest snapshot.
"""
ON_WORKER_LOST = FAIL, WAIT, SHRINK = ("fail", "wait", "shrink")
REPLACEMENT_LIMIT_CONF = "spark.caffespark.replacementLimit"
"""Spark setting: seconds that training waits for executors, after which the job fails."""
MIN_EXECUTORS_CONF = "spark.caffespark.minExecutors"
"""Spark setting: executors with which training goes on, at least."""
RESTART = "restart"
ON_DRIVER_LOST_CONF = "spark.caffespark.onDriverLost"
"""Spark setting: `restart` where whoever has started the driver starts it again after a loss, and it is to go
on; `fail` otherwise. Needs CONTROL_CONF."""
ON_DRIVER_LOST = (FAIL, RESTART)
RESTART_FILES = ("restart-0", "restart-1")
"""Files in that folder with what a driver leaves to the next one."""
RESTARTS_ENV = "CAFFE_SPARK_RESTARTS"
"""Environment variable of the driver: how often it has been started again."""
SNAPSHOT_EVERY_CONF = "spark.caffespark.snapshotEvery"
"""Spark setting: seconds between snapshots, beside the solver's own; 0 for none."""
CONTROL_CONF = "spark.caffespark.control"
"""Spark setting: URI of a folder in which `STOP_FILE` is looked for, and records for a restart are kept."""
STOP_FILE = "stop"
"""Its presence asks training to take a snapshot and to end; its text is the reason."""
NOTICE_FILE = "/run/caffe-spark-notice.json"
"""File of a node that its cloud is about to take: `{"why": TEXT, "at": SECONDS SINCE THE EPOCH}`.

Executors read it, the node's own service writes it: root's, readable for everybody.
"""

EXECUTOR_GPUS_CONF = "spark.executor.resource.gpu.amount"
TASK_GPUS_CONF = "spark.task.resource.gpu.amount"
"""Spark's own settings: GPUs that each executor takes, and each of its tasks."""
REUSE_CONF = "spark.python.worker.reuse"
"""Spark's own setting: whether a Python worker runs further tasks."""

PYTHON_ARGS_CONF = "spark.pythonargs"
"""CaffeOnSpark's setting: the arguments of a script, options and their values, separated by blanks."""

PROGRAM_FILE = "main.py"
TRAINER_FILE = "trainer.zip"
EVENTS_FILE = "events.jsonl"
FEED_FILE = "feed"
"""Files of a job: the program that spark-submit runs, the trainer, the events, the address of the feed."""
SAMPLE_ID = "SampleID"
"""Column of the features that holds the record's key, as in CaffeOnSpark."""

DONE, FAILED, REFUSED = 0, 1, 2
"""REFUSED: the command line, a prototxt or the data cannot be run, and nothing was written."""
KILLED = 143
"""Killed by SIGTERM or by the cluster manager."""
SIGNALLED = 128
"""Statuses from here on are of processes that a signal ended (128 + its number)."""

"""Failures of the Python API and scripts on it."""

from __future__ import annotations

from typing import Dict

from jobs.trainer.contract.failures.templates import Words

FAILURES: Dict[str, Words] = {
    "context-stopped": Words(
        "the Spark context", "it has been stopped", "Start another one, and make CaffeOnSpark of it."
    ),
    "context-retries": Words(
        "{setting} {value}",
        "Spark would begin a training that failed again, from its first iteration and in silence",
        "Start the Spark context with {setting}={needed}.",
    ),
    "context-path": Words(
        "{setting} {value!r}",
        "executors would not import Caffe, which this node has in {needed}",
        "Start the Spark context with {setting}={needed}.",
    ),
    "config-invalid": Words(
        "Config: {value}", "{reason}", 'Give Config(sc, {{"conf": "solver.prototxt", "model": "m.model"}}).'
    ),
    "executor-slots": Words(
        "the Spark context",
        "an executor of it has {slots} task slots, and -devices {devices} needs {devices}",
        "Start it with spark.task.cpus equal to spark.executor.cores / {devices}.",
    ),
    "source-of-other-phase": Words(
        "{method}",
        "its source has the {phase} net's records",
        "Give it DataSource(sc).getSource(cfg, {training}).",
    ),
    "configurations-differ": Words(
        "trainWithValidation",
        "its two sources have configurations of different options",
        "Make both sources with the same Config.",
    ),
    "validation-off": Words(
        "trainWithValidation",
        "{file} has no validation: test_interval or test_iter is 0, or absent",
        "Set both in the solver, or use train.",
    ),
    "script-failed": Words("{script}", "{reason}", "Its traceback and output are in the log: fix it."),
    "features-unnamed": Words(
        "features", "the configuration names none", "Set cfg.features, such as ['ip1', 'accuracy']."
    ),
}

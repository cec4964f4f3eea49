"""Failures of the command line and the settings of a job."""

from __future__ import annotations

from typing import Dict

from jobs.trainer.contract.failures.templates import Words

FAILURES: Dict[str, Words] = {
    "option-unknown": Words("{option}", "there is no such option", "Valid options: {valid}."),
    "option-without-value": Words("{option}", "its value is missing", "Give the value after it."),
    "option-not-a-count": Words(
        "{option} {value}", "it takes a whole number of at least 1", "Give such a number."
    ),
    "option-not-read": Words(
        "{word}",
        "it is not read as the option {option}",
        "Write {option}, and no -- before it; or remove the word.",
    ),
    "switch-with-value": Words(
        "{option} {value}",
        "the option takes no value, so CaffeOnSpark would switch it on",
        "Remove both words; or the value, to switch it on.",
    ),
    "option-of-converters": Words(
        "{option}",
        "it belongs to the converter tools",
        "Remove it, or run a tool: `fab convert TOOL`.",
    ),
    "conf-missing": Words(
        "-conf", "it is missing", "Give the solver's prototxt: -conf lenet_memory_solver.prototxt"
    ),
    "nothing-to-do": Words("the command line", "nothing to do", "Give -train, -test, or -features a,b."),
    "model-missing-to-train": Words(
        "-model",
        "it is missing, and -train writes the model to it",
        "Give a path, such as -model hdfs:///mnist.model",
    ),
    "model-missing-to-score": Words(
        "-model",
        "it is missing, and -test and -features read the model from it",
        "Give a path, such as -model hdfs:///mnist.model",
    ),
    "output-format-unknown": Words(
        "-outputFormat {format}", "valid formats are {valid}", "Give one of these."
    ),
    "features-not-trimmed": Words(
        "-features {features}",
        "names are split at commas and not trimmed",
        "Give blob names without spaces: -features accuracy,loss",
    ),
    "snapshot-without-weights": Words(
        "-snapshot {snapshot}",
        "input model file must be provided for incremental training",
        "Add -weights with the .caffemodel of the same snapshot.",
    ),
    "start-without-training": Words(
        "-snapshot, -weights",
        "they are the start of training, and -train is missing",
        "Add -train, or use -model.",
    ),
    "devices-unsupported": Words(
        "-devices {devices}",
        "cpu mode only allow single device",
        "Give -devices 1, or `solver_mode: GPU` in the solver's prototxt.",
    ),
    "connection-unsupported": Words(
        "-connection {connection}",
        "only ethernet is supported without NCCL, which is for GPUs, and several ranks exchange gradients",
        "Give -connection ethernet.",
    ),
    "override-not-a-count": Words("{variable}", "it is {value!r}", "Give a whole number of at least 1."),
    "override-not-a-switch": Words("{variable}", "it is {value!r}", "Give 0 or 1."),
    "final-validation-without-rounds": Words(
        "final_validation",
        "{file} validates at no iteration: it has no test_interval, or no test_iter",
        "Set both in the solver, or remove final_validation.",
    ),
    "override-not-a-mode": Words("{variable}", "it is {value!r}", "Give CPU or GPU."),
}

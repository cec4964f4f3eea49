"""Catalogue of the failures of a job: a code with fields, and the words that people read.

Programs decide by code and fields. `words` makes the text wherever a person reads it: in the driver's log and
on the operator's machine. Python 3.8, standard library only.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, NamedTuple, Tuple


class Words(NamedTuple):
    """The three parts of an error: what was given; why it fails; what to do. Templates of `str.format`."""

    given: str
    why: str
    fix: str


_RESUME = "{resume}"
"""Filled in by `words`: the options that resume from the last snapshot, else to run the job again."""

FAILURES: Dict[str, Words] = {
    # -- command line
    "option-unknown": Words("{option}", "there is no such option", "Valid options: {valid}."),
    "option-without-value": Words("{option}", "its value is missing", "Give one after it."),
    "option-not-a-count": Words("{option} {value}", "it takes a whole number of at least 1", "Give one."),
    "option-of-converters": Words(
        "{option}", "it belongs to the converter tools, which come later", "Leave it out."
    ),
    "resize-unsupported": Words(
        "-resize", "resizing images comes later", "Store records of the layer's size."
    ),
    "conf-missing": Words(
        "-conf", "it is missing", "Give the solver's prototxt: -conf lenet_memory_solver.prototxt"
    ),
    "nothing-to-do": Words(
        "the command line", "it asks for nothing", "Give -train, -test, or -features a,b."
    ),
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
    "label-without-features": Words(
        "-label {label}", "it adds a column to -features", "Give -features, or neither."
    ),
    "features-not-trimmed": Words(
        "-features {features}",
        "names are split at commas and not trimmed",
        "Give blob names without spaces: -features accuracy,loss",
    ),
    "snapshot-without-weights": Words(
        "-snapshot {snapshot}",
        "input model file must be provided for incremental training",
        "Add -weights with the .caffemodel that was written beside it.",
    ),
    "start-without-training": Words(
        "-snapshot, -weights", "they are where training starts from", "Add -train, or use -model."
    ),
    "devices-unsupported": Words(
        "-devices {devices}",
        "cpu mode only allow single device, and several GPUs an executor come later",
        "Give -devices 1.",
    ),
    "connection-unsupported": Words(
        "-connection {connection}",
        "only ethernet is built, and more than one executor has to exchange gradients",
        "Give -connection ethernet.",
    ),
    "override-not-a-count": Words("{variable}", "it is {value!r}", "Give a whole number of at least 1."),
    # -- solver and net
    "solver-unreadable": Words(
        "{file}", "it cannot be read ({reason})", "Give -conf a solver prototxt that exists."
    ),
    "net-unreadable": Words("{file}", "it cannot be read ({reason})", "Fix `net:` in {solver}."),
    "prototxt-binary": Words("{file}", "it is not text", "Give a prototxt, not a model."),
    "prototxt-syntax": Words("{file}", "it does not parse at {position}", "Fix that line."),
    "net-format-old": Words(
        "{file}", "it is written in the old `layers` format", "Run upgrade_net_proto_text on it."
    ),
    "net-unnamed": Words(
        "{file}", "it has no `net:`{found}", "Name one net file with both phases in `net:`."
    ),
    "net-missing": Words(
        'net: "{net}" in {solver}',
        "there is no such file here or beside the solver",
        "Ship it with --files, or fix the path.",
    ),
    "test-nets-unsupported": Words("{file}", "it has {count} test_iter", "One TEST net is supported."),
    "test-iter-missing": Words(
        "{file}", "it has test_interval and no test_iter", "Add test_iter, or test_interval: 0."
    ),
    "validation-negative": Words(
        "{file}", "test_iter or test_interval is negative", "Give 0 to validate never."
    ),
    "max-iter-too-small": Words("{file}", "max_iter is {value}", "Give at least 1."),
    "lr-policy-unknown": Words("{file}", "lr_policy is {policy!r}", "Valid policies: {valid}."),
    "lr-policy-incomplete": Words("{file}", "lr_policy {policy} needs {field}", "Add it."),
    "base-lr-not-positive": Words("{file}", "base_lr is {value}", "Give one above 0."),
    "snapshot-or-display-negative": Words("{file}", "snapshot or display is negative", "Give 0 for never."),
    "net-refused": Words("the net", "Caffe refuses it: {reason}", "Fix the prototxt."),
    "gpu-mode-on-cpu-build": Words(
        "solver_mode: GPU",
        "Cannot use GPU in CPU-only Caffe: check mode",
        "Set `solver_mode: CPU` in the solver's prototxt.",
    ),
    "gpu-mode-unsupported": Words(
        "solver_mode: GPU",
        "the trainer computes on CPUs, whatever Caffe was built for",
        "Set `solver_mode: CPU` in the solver's prototxt.",
    ),
    "blob-missing": Words(
        "-features or -label: {blobs}", "the TEST net has no such blob", "Valid blobs: {valid}."
    ),
    # -- data layers
    "data-layer-missing": Words(
        "{file}",
        "it has no {phase} data layer",
        "Add one with `include {{ phase: {phase} }}` and a source_class.",
    ),
    "data-layer-not-first": Words(
        'layer "{layer}" in {file}',
        "the data layer must come first in its phase, and {phase} has {first!r} before it",
        "Move it to the top.",
    ),
    "source-class-undefined": Words(
        "{layer}", "source_class must be defined", 'Add source_class: "{valid}".'
    ),
    "source-class-unknown": Words(
        'source_class: "{source_class}"',
        "there is no such source",
        'Give source_class: "{valid}" and an LMDB.',
    ),
    "source-class-unsupported": Words(
        'source_class: "{source_class}"', "it comes later", 'Give source_class: "{valid}" and an LMDB.'
    ),
    "layer-type-unsupported": Words(
        "{layer}", "an LMDB source needs type MemoryData, this is {type}", "Fix the type."
    ),
    "layer-size-invalid": Words(
        "{layer}", "{field} is {value}, and at least 1 is needed", "Fix memory_data_param."
    ),
    "source-undefined": Words(
        "{layer}", "memory_data_param has no source", "Add source: with the LMDB's URI."
    ),
    "layer-tops-invalid": Words("{layer}", "it has {count} tops", "Give two: data and label."),
    "crop-differs-from-layer": Words(
        "{layer}",
        "crop_size is {crop}, height and width are {height} and {width}",
        "Give height and width as they are after cropping.",
    ),
    "image-options-unsupported": Words(
        "{layer}", "force_color and force_gray work on encoded images", "They come later; leave them out."
    ),
    "mean-given-twice": Words("{layer}", "it has both mean_file and mean_value", "Leave one out."),
    "mean-missing": Words('mean_file: "{mean}" of {layer}', "there is no such file", "Ship it with --files."),
    "mean-invalid": Words("{file}", "it is not a mean file of Caffe ({reason})", "Run compute_image_mean."),
    # -- data
    "lmdb-missing": Words("{path}", "there is no LMDB (no data.mdb in it)", "Name the folder that holds it."),
    "source-missing": Words(
        'source: "{uri}" of the {phase} layer',
        "there is no LMDB (no data.mdb in it)",
        "Put one there, or fix memory_data_param.",
    ),
    "lmdb-unreadable": Words("{path}", "it is not a readable LMDB ({reason})", "Convert it again."),
    "source-empty": Words("{uri}", "it has no records", "Give an LMDB that has."),
    "test-source-empty": Words("the TEST source", "it has no records", "Give one that has."),
    "record-encoded": Words(
        "record {key} of {path}",
        "it is an encoded image, and decoding comes later",
        "Convert the images without -encoded.",
    ),
    "record-size-invalid": Words(
        "record {key} of {path}", "it has {values} values, and says {shape}", "Convert the data again."
    ),
    "record-shape-differs": Words(
        "{uri}",
        "its records are {record}, and the {phase} layer says {layer}",
        "Fix channels, height and width in memory_data_param.",
    ),
    "crop-exceeds-record": Words(
        "crop_size: {crop}", "the records are {record}", "Give a crop that fits into them."
    ),
    "mean-values-invalid": Words(
        "mean_value, given {count} times", "the records are {record}", "Give one, or one a channel."
    ),
    "mean-shape-differs": Words(
        "mean_file", "it is {mean}, and the records are {record}", "Compute the mean from these records."
    ),
    "training-records-too-few": Words(
        "{records} training records for {executors} executors",
        "Insufficient training data: test_interval {test_interval} x batch {batch} x {executors} executors "
        "need {needed} (at most {possible} executors)",
        "Please adjust hyperparameters or increase dataset.",
    ),
    "validation-records-too-few": Words(
        "{records} validation records",
        "Insufficient validation data: test_iter {test_iter} x batch {batch} needs {needed}",
        "Please adjust hyperparameters or increase dataset.",
    ),
    "records-fewer-than-executors": Words(
        "{records} training records for {executors} executors",
        "Insufficient training data: each executor needs one",
        "Please adjust hyperparameters or increase dataset.",
    ),
    "source-differs": Words(
        "{uri}", "it is not the same on all ranks: {values}", "Copy the same LMDB to every node."
    ),
    # -- storage
    "path-invalid": Words("{uri}", "it is not a valid path ({reason})", "Give a URI or a path."),
    "path-missing-on-node": Words(
        "{uri}", "there is no such path on this node", "A file: URI has to exist on every node."
    ),
    "input-missing": Words("{uri}", "there is no such file", "Fix the path."),
    "output-exists": Words(
        "-output {uri}", "it exists, and results are not overwritten", "Remove it, or give another path."
    ),
    "names-collide": Words(
        "{first} and {second}", "both would be called {name} on the nodes", "Rename one of them."
    ),
    "hdfs-safe-mode": Words(
        "{uri}", "HDFS is in safe mode and takes no writes", "Wait for its DataNodes to report."
    ),
    "storage-failed": Words("{uri}", "it cannot be {action} ({reason})", "Run `fab doctor`."),
    "local-write-failed": Words("{uri}", "it cannot be written ({reason})", "Give another path."),
    "hdfs-write-failed": Words("{uri}", "it cannot be written: {reason}", "Run `fab doctor`."),
    "hdfs-command-failed": Words("{uri}", "`{command}` failed: {reason}", "Run `fab doctor`."),
    "distribution-failed": Words(
        "{uri}", "it cannot be brought to the nodes ({reason})", "Run `fab doctor`."
    ),
    # -- Spark, YARN and the framework
    "spark-start-failed": Words("Spark", "it does not start: {reason}", "Run `fab doctor`."),
    "caffe-import-failed": Words(
        "Caffe on {host}", "it cannot be imported ({error}: {reason})", "Run `fab build-headnode`."
    ),
    "allocation-not-fixed": Words(
        "dynamic allocation of {low} to {high} executors",
        "while training, minExecutors and maxExecutors must be identical",
        "Set both to the same number.",
    ),
    "executors-missing": Words(
        "{requested} executors requested, {registered} registered",
        "actual number of executors is not as expected",
        "Fix -clusterSize, look for dead workers, or raise "
        "spark.scheduler.maxRegisteredResourcesWaitingTime.",
    ),
    "resource-manager-down": Words(
        "YARN's ResourceManager", "it does not answer at {address}", "Run `fab bootstrap`, which starts it."
    ),
    "application-forgotten": Words(
        "YARN's ResourceManager",
        "the one at {address} was restarted, and does not know {application} any more",
        "Submit the job again.",
    ),
    # -- training
    "snapshot-past-max-iter": Words(
        "-snapshot", "it is at iteration {iteration}, max_iter is {max_iter}", "Raise max_iter."
    ),
    "weights-differ": Words(
        "the weights", "they are not the same on all ranks: {values}", "Report this: it is a bug."
    ),
    "peer-lost": Words("the executors", "{reason}", "Run the job again from its last snapshot."),
    "rank-failed": Words("rank {rank} on {host}", "{reason}", _RESUME),
    "rank-lost": Words(
        "{ranks}",
        "its executor was lost at about iteration {iteration}: killed, or its node went down",
        _RESUME,
    ),
    "ranks-disconnected": Words("the connections between {ranks}", "{reason}", _RESUME),
    "executor-lost": Words(
        "executor {executor} on {host}", "it was lost at about iteration {iteration}: {reason}", _RESUME
    ),
    "stage-failed": Words("the stage", "{reason}", _RESUME),
}
"""By code. A code keeps its meaning for good: records of old jobs and the diagnosis table name it."""


def words(code: str, fields: Mapping[str, Any]) -> Words:
    """Return the words of a failure.

    Raises:
        KeyError: there is no such code, or a field of it is missing.
    """
    filled = {"resume": _resume(fields), **fields}
    given, why, fix = (part.format(**filled) for part in FAILURES[code])
    return Words(given, why, fix)


def sentence(parts: Tuple[str, str, str]) -> str:
    """Return the three parts in one line."""
    given, why, fix = parts
    return " ".join("{}: {}. {}".format(given, why.rstrip("."), fix).split())


def _resume(fields: Mapping[str, Any]) -> str:
    if "resume_from" not in fields:
        return "Run the job again."
    return "Go on from iteration {resume_from} with -snapshot {snapshot} -weights {weights}".format(**fields)

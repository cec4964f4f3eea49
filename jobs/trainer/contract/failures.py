"""Catalogue of failures: by code, the templates of their messages.

Programs act on the code and its fields. `words` formats the text only where people read it: in the driver's
log and on the operator's machine. Python 3.8, standard library only.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, NamedTuple, Tuple


class Words(NamedTuple):
    """Parts of an error: the input, why it fails, the fix; `str.format` templates in the catalogue."""

    given: str
    why: str
    fix: str


_RESUME = "{resume}"
"""Filled in by `words`: how to resume from the last snapshot, or to run the job again without one.
`{restart}` likewise, for failures that come again unless something is changed."""

FAILURES: Dict[str, Words] = {
    # -- command line
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
    "tool-unknown": Words("{tool}", "there is no such tool", "Valid tools: {valid}."),
    "tool-option-missing": Words("{tool}", "it needs {option}", "Add {option}; it takes {valid}."),
    "tool-option-unused": Words("{option}", "{tool} does not take it", "Remove it; {tool} takes {valid}."),
    "tool-input-missing": Words(
        "{option} {uri}", "there is no such file or folder", "Fix the path, or put it there: `fab put`."
    ),
    "vocabulary-size-invalid": Words(
        "-vocabSize {value}",
        "it is not a valid size",
        "Give a whole number of at least 1, or -1 for all words.",
    ),
    "vocabulary-size-exceeded": Words(
        "-vocabSize {value}",
        "the vocabulary {uri} exists, with {words} words beside UNK, and is used with all of them",
        "Give a larger -vocabSize or none, or another -vocabDir.",
    ),
    "vocabulary-incomplete": Words(
        "{uri}",
        "it is not a complete vocabulary: its folder has no _SUCCESS, so writing it was interrupted",
        "Remove it, then run the tool again.",
    ),
    "vocabulary-invalid": Words(
        "{uri}",
        "it is not a vocabulary, which begins with UNK; it begins with {first!r}",
        "Give another -vocabDir, or remove it.",
    ),
    "vocabulary-word-again": Words(
        "{uri}, line {line}",
        "{word!r} is in line {other} too, and a vocabulary has each word once",
        "Give another -vocabDir, or remove it.",
    ),
    "names-overlap": Words(
        "{option} {name}", "{other} names the same folder, or one in it", "Give each its own name."
    ),
    "label-line-invalid": Words(
        "{uri}, line {line}", "{text!r} is not {form}", "Fix the line, then run the tool again."
    ),
    "label-differs": Words(
        "{uri}, line {line}",
        "{image} has the label {first} in line {other}, and {label} here",
        "Remove one of the lines, then run the tool again.",
    ),
    "image-outside": Words(
        "{image}", "its name leads out of {root}", "Fix its name in {uri}, or give another -imageRoot."
    ),
    "image-missing": Words("{image}", "there is no such file below {root}", "Fix its name in {uri}."),
    "image-hidden": Words(
        "{image}",
        "it is below {root}, and Spark reads no files or folders whose names begin with _ or .",
        "Rename it, also in {uri}.",
    ),
    "captions-invalid": Words("{uri}", "it is not captions in COCO's format: {reason}", "Fix the file."),
    "conversion-failed": Words(
        "{tool}",
        "Spark failed: {reason}",
        "Fix that, remove what is there of {output}, and run the tool again.",
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
    # -- Python API
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
    # -- solver and net
    "solver-unreadable": Words(
        "{file}", "it cannot be read ({reason})", "Give -conf a solver prototxt that exists."
    ),
    "net-unreadable": Words("{file}", "it cannot be read ({reason})", "Fix `net:` in {solver}."),
    "prototxt-binary": Words("{file}", "it is not text", "Give a prototxt, not a model."),
    "prototxt-syntax": Words("{file}", "it does not parse at {position}", "Fix that line."),
    "net-formats-mixed": Words("{file}", "it has both `layer` and `layers`", "Use `layer` alone."),
    "net-input-shapeless": Words(
        "{file}", "its inputs ({inputs}) have too few shapes", "Give input_shape once for each input."
    ),
    "net-v0-invalid": Words(
        'layer "{layer}" in {file}',
        "its {what} {value!r} has no meaning in Caffe's first format",
        "Fix the layer, or write the net in today's format.",
    ),
    "net-field-refused": Words("{field} of {where} in {file}", "{reason}", "{fix}"),
    "net-field-unknown": Words(
        "{field} of {where} in {file}", "this field of {message} is not supported", "Remove it."
    ),
    "several-faults": Words("{subject}", "it has {count} faults: {faults}", "Fix all of them."),
    "net-unnamed": Words(
        "{file}", "it has no `net:`{found}", "Name one net file with both phases in `net:`."
    ),
    "net-given-twice": Words("{file}", "its TRAIN net is in {fields}", "Keep one of these fields."),
    "test-net-missing": Words(
        "{file}",
        "it has {field} and no test_net",
        "Add test_net, or name a net with both phases in `net:`.",
    ),
    "state-of-other-phase": Words(
        "{file}", "the state of its {phase} net sets another phase", "Remove `phase` from the state."
    ),
    "include-and-exclude": Words(
        'layer "{layer}" in {file}', "it has both include and exclude rules", "Keep one kind."
    ),
    "net-missing": Words(
        '{field}: "{net}" in {solver}',
        "there is no such file in the working folder or beside the solver",
        "Ship it with --files, or fix the path.",
    ),
    "test-iter-count": Words(
        "{file}",
        "test_iter is given {times} times, and test_net and test_net_param name {nets} TEST nets",
        "Give test_iter once for each TEST net.",
    ),
    "test-state-count": Words(
        "{file}",
        "test_state is given {times} times for {nets} TEST nets",
        "Give it once for each test_iter, or not at all.",
    ),
    "override-ambiguous": Words(
        "{variable}",
        "the TEST nets of {file} read several sources ({sources})",
        "Write the sources into the prototxt.",
    ),
    "solver-field-refused": Words("{field} in {file}", "{reason}", "{fix}"),
    "solver-field-unknown": Words(
        "{field} in {file}", "this field of SolverParameter is not supported", "Remove it."
    ),
    "solver-field-too-small": Words("{file}", "{field} is {value}", "Give at least {least}."),
    "solver-type-unknown": Words("{file}", "type is {type!r}", "Valid types: {valid}."),
    "solver-type-twice": Words("{file}", "it has both type and solver_type", "Remove solver_type."),
    "solver-type-has-no-momentum": Words(
        "{file}", "momentum is {momentum}, and {type} has none", "Remove momentum."
    ),
    "rms-decay-invalid": Words("{file}", "rms_decay is {value}", "Give one from 0 to below 1."),
    "regularization-unknown": Words("{file}", "regularization_type is {type!r}", "Valid types: L1, L2."),
    "snapshot-prefix-uri": Words(
        'snapshot_prefix: "{prefix}" in {file}',
        "snapshots go beside -model, and the prefix is the start of their names",
        "Give a name, and the folder with -model.",
    ),
    "test-iter-missing": Words(
        "{file}", "it has test_interval and no test_iter", "Add test_iter, or test_interval: 0."
    ),
    "validation-negative": Words(
        "{file}", "test_iter or test_interval is negative", "Give 0 to disable validation."
    ),
    "lr-policy-unknown": Words("{file}", "lr_policy is {policy!r}", "Valid policies: {valid}."),
    "lr-policy-incomplete": Words("{file}", "lr_policy {policy} needs {field}", "Add {field}."),
    "base-lr-negative": Words("{file}", "base_lr is {value}", "Give 0 or a value above."),
    "net-refused": Words("the net", "Caffe refuses it: {reason}", "Fix the prototxt."),
    "layers-of-one-name": Words(
        "the net",
        "several layers with weights have one name ({layers}), by which Caffe copies and restores weights",
        "Rename them.",
    ),
    "gpu-mode-on-cpu-build": Words(
        "solver_mode: GPU",
        "Cannot use GPU in CPU-only Caffe: check mode",
        "Set `solver_mode: CPU` in the solver's prototxt.",
    ),
    "gpus-not-requested": Words(
        "solver_mode: GPU, -devices {devices}",
        "each executor takes {executor} GPUs and each task {task}: every rank needs one of its own",
        "Start Spark with --conf spark.executor.resource.gpu.amount={devices} "
        "--conf spark.task.resource.gpu.amount=1, on a cluster whose workers have GPUs.",
    ),
    "gpu-workers-reused": Words(
        "solver_mode: GPU, -devices {devices}",
        "Spark uses Python workers again, and one would compute on the GPU of its first task, which may be "
        "another rank's by then",
        "Start Spark with --conf spark.python.worker.reuse=false.",
    ),
    "gpu-kept": Words(
        "GPU {address} of {host}",
        "Spark has granted it to a Python worker that computes on GPU {kept}, and CUDA keeps that one",
        "Start Spark with --conf spark.python.worker.reuse=false.",
    ),
    "gpu-not-granted": Words(
        "solver_mode: GPU",
        "Spark has given the task on {host} no GPU",
        "Look at the resources of its worker.",
    ),
    "gpu-unusable": Words(
        "GPU {address} of {host}",
        "it cannot be used ({reason})",
        "Run nvidia-smi on that node: its driver has to be one of CUDA 13, 580 or later.",
    ),
    "blob-not-by-sample": Words(
        "-features or -label: {blob}",
        "its shape {shape} has no axis of the batch, so its values do not belong to samples",
        "Give a blob before the layer that merges the axes.",
    ),
    "output-not-by-sample": Words(
        "the {net} net's output {blob}",
        "its shape {shape} has no axis of the batch, so it has no mean over samples",
        "Keep the layer that merges the axes out of that net (include {{ phase: TRAIN }}), or end the net "
        "with one that has a single value, such as Accuracy.",
    ),
    "net-of-fixed-batch": Words(
        "the {net} net",
        "it takes batches of {batch} samples alone, and one more, by which the axes of its transposed tops "
        "are found, is refused by Caffe: {reason}",
        "Give the batch's axis as 0 or -1 in layers such as Reshape.",
    ),
    "last-batch-refused": Words(
        "the {net} net",
        "of its source's {records} records the last batch has {last}, and it takes {batch} alone: {reason}",
        "Give its data layer a batch_size that divides {records}, or the batch's axis as 0 or -1 in layers "
        "such as Reshape.",
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
    "data-layers-several": Words(
        "{file}",
        "its {phase} net has several data layers ({layers}), and only one is shared among the ranks",
        "Keep one.",
    ),
    "data-layer-not-first": Words(
        'layer "{layer}" in {file}',
        "the data layer must come first in its phase, and {phase} has {first!r} before it",
        "Move the data layer to the top.",
    ),
    "source-class-undefined": Words(
        "{layer}", "source_class must be defined", 'Add source_class: "{valid}".'
    ),
    "source-class-unknown": Words(
        'source_class: "{source_class}"',
        "there is no such source",
        "Valid classes: {valid}.",
    ),
    "source-class-not-importable": Words(
        'source_class: "{source_class}"',
        "it is neither built in ({valid}) nor a class that can be imported ({reason})",
        "Fix the name, or ship {module} with the key `files`, --files or --py-files.",
    ),
    "source-class-without-records": Words(
        'source_class: "{source_class}"',
        "it is not a class with a method `records`",
        "Give it `records(self)`, which yields (id, label, image).",
    ),
    "source-class-failed": Words(
        'source_class: "{source_class}"',
        "it raises {error} at {place}: {reason}",
        "Fix the class, or its data.",
    ),
    "layer-type-unsupported": Words(
        "{layer}",
        "ranks share the records of Data, MemoryData and CoSData, not those of {type}",
        'Write its records to an LMDB (images: convert_imageset), and read it with type: "Data" and '
        "backend: LMDB.",
    ),
    "backend-undefined": Words(
        "{layer}",
        "data_param has no backend, which is LEVELDB in Caffe, and only LMDB is read",
        "Add `backend: LMDB` where the source is one, else convert the data again with -backend lmdb.",
    ),
    "backend-unsupported": Words(
        "backend: {backend} of {layer}",
        "only LMDB is read",
        "Convert the data again with -backend lmdb (convert_imageset, convert_mnist_data), and set "
        "`backend: LMDB`.",
    ),
    "layer-type-of-other-source": Words(
        "{layer}",
        "its type is {type} and its source_class {source_class}: CoSData and "
        "com.yahoo.ml.caffe.DataFrameSource go together",
        'Set type: "CoSData" with cos_data_param for DataFrameSource, else type: "MemoryData".',
    ),
    "tops-differ": Words(
        "{layer}",
        "it has {tops} tops, and cos_data_param describes {described}",
        "Describe each top in cos_data_param, in the order of the layer's.",
    ),
    "top-unnamed": Words("{top}", "it has no name", "Add name: with the column of the DataFrame."),
    "top-axes-invalid": Words(
        "{top}", "sample_num_axes is {axes}", "Give at most 3: channels, height and width."
    ),
    "top-not-transposable": Words(
        "{top}",
        "transpose takes samples of one axis, and sample_num_axes is {axes}",
        "Set sample_num_axes: 1, or remove transpose.",
    ),
    "top-image-axes": Words(
        "{top}", "its type is {type}, and sample_num_axes is {axes}", "Set sample_num_axes: 3, or remove it."
    ),
    "top-of-one-value": Words(
        "{top}",
        "its type is {type}, which is one value, and its samples are {shape}",
        "Set channels, height and width to 1, or type to an array.",
    ),
    "top-without-transform": Words(
        "{top}",
        "its type is {type}, and images require a transformer",
        "Add transform_param; transform_param {{ }} leaves pixels as they are.",
    ),
    "top-side-beyond-axes": Words(
        "{top}",
        "{field} is {value}, and samples of sample_num_axes: {axes} do not have it",
        "Remove {field}, or raise sample_num_axes.",
    ),
    "top-out-differs": Words(
        "{top}",
        "its blob is {out}, and its records are {transformed} after transform_param",
        "Set out_channels, out_height and out_width to that.",
    ),
    "resize-without-size": Words(
        "-resize",
        "{layer} has the size of its first record, and none to resize images to",
        'Give the layer type: "MemoryData" with height and width, or remove -resize.',
    ),
    "layer-size-invalid": Words("{layer}", "{field} is {value}, and must be at least 1", "Fix {field}."),
    "source-undefined": Words("{layer}", "it has no source", "Add source: with the URI of the data."),
    "layer-tops-invalid": Words("{layer}", "it has {count} tops", "Give two tops: data and label."),
    "crop-differs-from-layer": Words(
        "{layer}",
        "crop_size is {crop}, height and width are {height} and {width}",
        "Give height and width as they are after cropping.",
    ),
    "image-options-given-twice": Words("{layer}", "it has both force_color and force_gray", "Remove one."),
    "mean-given-twice": Words("{layer}", "it has both mean_file and mean_value", "Remove one."),
    "mean-missing": Words('mean_file: "{mean}" of {layer}', "there is no such file", "Ship it with --files."),
    "mean-invalid": Words("{file}", "it is not a mean file of Caffe ({reason})", "Run compute_image_mean."),
    # -- data
    "lmdb-missing": Words(
        "{path}", "there is no LMDB (no data.mdb in it)", "Give the folder that has data.mdb."
    ),
    "source-missing": Words(
        'source: "{uri}" of the {phase} layer',
        "there is no LMDB (no data.mdb in it)",
        "Put one there, or fix the layer's source.",
    ),
    "source-path-missing": Words(
        'source: "{uri}" of the {phase} layer',
        "there is no such file or folder",
        "Put the data there, or fix memory_data_param.",
    ),
    "folder-inside": Words(
        "{uri}", "it has a folder in it, {folder}", "Give a folder whose files are all of the source."
    ),
    "source-unreadable": Words(
        "{uri}",
        "Spark cannot read it ({reason})",
        "Fix the data, or memory_data_param of its layer; row groups of Parquet must fit several times into "
        "spark.driver.memory and spark.executor.memory.",
    ),
    "columns-missing": Words(
        "{uri}",
        "it has no column {missing}, but {columns}",
        'Name them in memory_data_param, as in dataframe_column_select: "image as data".',
    ),
    "columns-repeated": Words(
        "{uri}",
        "its columns {columns} have one name, in which case does not count",
        "Choose columns with dataframe_column_select.",
    ),
    "column-missing": Words(
        "{uri}",
        "it has no column {missing} for a top of cos_data_param, but {columns}",
        "Fix the top's name, which is the column's.",
    ),
    "record-value-invalid": Words(
        "record {key} of {path}",
        'its column "{column}" is {value}, and its top takes {takes}',
        "Fix the data, or the type of the top.",
    ),
    "record-value-inexact": Words(
        "record {key} of {path}",
        'its column "{column}" is {value}, which has a number that is not finite, or a whole one that a '
        "float of 32 bits does not hold",
        "Fix the data, or convert the column to float where rounded numbers do.",
    ),
    "record-image-not-finite": Words(
        "record {key} of {path}",
        "its image has the value {value}, which is not finite as a float of 32 bits",
        "Fix the data, or scale its values.",
    ),
    "record-array-too-long": Words(
        "record {key} of {path}",
        'its column "{column}" has {count} values, and its top takes {most}',
        "Shorten it, or raise channels, height or width of the top.",
    ),
    "record-pixels-differ": Words(
        "record {key} of {path}",
        'its column "{column}" has {values} bytes, and its top is {shape}',
        "Fix channels, height and width of the top, or convert the data again.",
    ),
    "record-label-invalid": Words(
        "record {key} of {path}",
        "its label is {label}, which is not a whole number of 32 bits",
        "Fix the labels, or convert them with dataframe_column_select.",
    ),
    "record-id-too-long": Words(
        "record {key} of {path}", "its id has more than {most} bytes", "Give the records shorter ids."
    ),
    "conversion-not-written": Words(
        "{folder} on the driver's node",
        "the LMDB that the source is converted to cannot be written ({reason})",
        "Make room there, or give an LMDB.",
    ),
    "lmdb-unreadable": Words("{path}", "it is not a readable LMDB ({reason})", "Convert it again."),
    "source-empty": Words("{uri}", "it has no records", "Give a source with records."),
    "test-source-empty": Words("the TEST source", "it has no records", "Give a source with records."),
    "record-encoded": Words(
        "record {key} of {path}",
        "it is an encoded image, and Caffe was compiled without OpenCV",
        "Convert the images without -encoded, or compile with `opencv: true`.",
    ),
    "record-unreadable": Words("record {key} of {path}", "{reason}", "Convert the data again."),
    "feed-state-differs": Words(
        "{file}",
        "it belongs to another snapshot than the solver's state beside it",
        "Resume from another snapshot, or remove it to start at the snapshot's iteration.",
    ),
    "source-changed": Words(
        "{path}",
        "it was written to while the job read it",
        "Wait until it is complete, then run the job again.",
    ),
    "feed-state-invalid": Words(
        "{file}",
        "it is not the state of a feed, which belongs to a snapshot",
        "Resume from another snapshot, or remove it to start at the snapshot's iteration.",
    ),
    "record-size-invalid": Words(
        "record {key} of {path}",
        "it has {values} values, and its header has shape {shape}",
        "Convert the data again.",
    ),
    "record-does-not-fit": Words(
        "record {key} of the {phase} source",
        "it is {record}, and the layer takes {layer}",
        "Convert the data again, to records of one size.",
    ),
    "label-out-of-range": Words(
        "record {key} of the {phase} source",
        "its label is {label}, and the net has {classes} classes",
        "Fix the labels, or the num_output of the last layer.",
    ),
    "record-shape-differs": Words(
        "{uri}",
        "its records are {record}, and the {phase} layer has {layer}",
        "Fix channels, height and width in memory_data_param.",
    ),
    "crop-exceeds-record": Words(
        "crop_size: {crop}", "the records are {record}", "Give a crop_size of at most their height and width."
    ),
    "mean-values-invalid": Words(
        "mean_value, given {count} times", "the records are {record}", "Give one value, or one per channel."
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
        "Insufficient training data: each executor needs at least one record",
        "Please adjust hyperparameters or increase dataset.",
    ),
    "source-differs": Words(
        "{uri}", "it is not the same on all ranks: {values}", "Copy the same LMDB to every node."
    ),
    # -- storage
    "path-invalid": Words("{uri}", "it is not a valid path ({reason})", "Give a URI or a path."),
    "path-missing-on-node": Words(
        "{uri}",
        "there is no such path on this node",
        "Copy it to every node, or give a URI in shared storage.",
    ),
    "input-missing": Words("{uri}", "there is no such file", "Fix the path."),
    "file-of-other-kind": Words(
        "{option} {uri}", "it takes a {file} file, and this is {found}", "Give the {file} file."
    ),
    "snapshot-renamed": Words(
        "-snapshot {uri}",
        "it is an HDF5 file under another name than it was written with, by which it finds its weights",
        "Give it its name again: PREFIX_iter_N.solverstate.h5.",
    ),
    "weights-shape-differs": Words(
        "-weights {file}",
        "its layer {layer!r} has the shapes {found}, and the net's has {wanted}",
        "Rename the net's layer, which then starts anew, or give weights of this net.",
    ),
    "weights-match-no-layer": Words(
        "-weights {file}",
        "it has weights for no layer of the net ({layers})",
        "Give the layers the names that they have in the model.",
    ),
    "output-exists": Words(
        "-output {uri}", "it exists, and results are not overwritten", "Remove it, or give another path."
    ),
    "hdfs-safe-mode": Words(
        "{uri}",
        "HDFS is in safe mode and takes no writes",
        "Wait until its DataNodes have reported, then run the job again.",
    ),
    "storage-failed": Words("{uri}", "it cannot be {action} ({reason})", "Run `fab doctor`."),
    "local-write-failed": Words("{uri}", "it cannot be written ({reason})", "Give another path."),
    "hdfs-write-failed": Words("{uri}", "it cannot be written: {reason}", "Run `fab doctor`."),
    "hdfs-read-failed": Words("{uri}", "it cannot be read: {reason}", "Run `fab doctor`."),
    "hdfs-command-failed": Words("{uri}", "`{command}` failed: {reason}", "Run `fab doctor`."),
    "distribution-failed": Words(
        "{uri}", "it cannot be distributed to the nodes ({reason})", "Run `fab doctor`."
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
    "executors-failing": Words(
        "{requested} executors requested",
        "Spark starts them and loses them, {lost} so far, the last one on {host}: {reason}",
        "Run `fab doctor`, and look at the disk of that node and at its log of Spark's worker.",
    ),
    "resource-manager-down": Words(
        "YARN's ResourceManager", "it does not answer at {address}", "Run `fab bootstrap`, which starts it."
    ),
    "application-forgotten": Words(
        "YARN's ResourceManager",
        "the one at {address} was restarted, and no longer knows {application}",
        "Submit the job again.",
    ),
    # -- training
    "snapshot-past-max-iter": Words(
        "-snapshot", "it is at iteration {iteration}, max_iter is {max_iter}", "Raise max_iter."
    ),
    "training-diverged": Words(
        "the loss at iteration {iteration}",
        "it is {loss}: training has diverged",
        "Lower base_lr, clip gradients (clip_gradients), or check the data. {restart}",
    ),
    "weights-differ": Words(
        "the weights",
        "they are not the same on all ranks: {values}; rank 0's are stored",
        "Report this: it is a bug.",
    ),
    "snapshot-not-stored": Words(
        "{uri}",
        "the snapshot of iteration {iteration} cannot be stored, and there is none to resume from: {reason}",
        "Run `fab doctor`.",
    ),
    "model-not-stored": Words("{uri}", "the model cannot be stored: {reason}", "Run `fab doctor`."),
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
"""Templates by code. A code never changes its meaning: old job records and the diagnosis table use it."""


def words(code: str, fields: Mapping[str, Any]) -> Words:
    """Return the words of a failure.

    Raises:
        KeyError: there is no such code, or a field of it is missing.
    """
    filled = {"resume": resume(fields), "restart": _restart(fields), **fields}
    given, why, fix = (part.format(**filled) for part in FAILURES[code])
    return Words(given, why, fix)


def sentence(parts: Tuple[str, str, str]) -> str:
    """Return the three parts as one line."""
    given, why, fix = parts
    return " ".join("{}: {}. {}".format(given, why.rstrip("."), fix).split())


def resume(fields: Mapping[str, Any]) -> str:
    """Return how to go on after a failure, by its fields: from the model, a snapshot, or the start."""
    if "model" in fields:
        return "The model is stored: score {model} without -train.".format(**fields)
    if "resume_from" not in fields:
        return "Run the job again."
    return "Resume from iteration {resume_from} with -snapshot {snapshot} -weights {weights}".format(**fields)


def _restart(fields: Mapping[str, Any]) -> str:
    if "resume_from" not in fields:
        return "There is no snapshot to resume from: train from the start with that change."
    return "With that change, {}.".format(resume(fields).replace("Resume", "resume", 1))

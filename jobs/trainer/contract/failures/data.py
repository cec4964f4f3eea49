"""Failures of sources and their records."""

from __future__ import annotations

from typing import Dict

from jobs.trainer.contract.failures.templates import Words

FAILURES: Dict[str, Words] = {
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
}

"""Failures of data layers."""

from __future__ import annotations

from typing import Dict

from jobs.trainer.contract.failures.templates import Words

FAILURES: Dict[str, Words] = {
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
}

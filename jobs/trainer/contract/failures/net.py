"""Failures of a net, and of what is asked of its blobs."""

from __future__ import annotations

from typing import Dict

from jobs.trainer.contract.failures.templates import Words

FAILURES: Dict[str, Words] = {
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
    "net-refused": Words("the net", "Caffe refuses it: {reason}", "Fix the prototxt."),
    "layers-of-one-name": Words(
        "the net",
        "several layers with weights have one name ({layers}), by which Caffe copies and restores weights",
        "Rename them.",
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
}

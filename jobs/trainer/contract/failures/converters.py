"""Failures of the converter tools."""

from __future__ import annotations

from typing import Dict

from jobs.trainer.contract.failures.templates import Words

FAILURES: Dict[str, Words] = {
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
}

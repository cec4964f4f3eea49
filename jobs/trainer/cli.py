"""CaffeOnSpark's command line, parsed into a frozen record.

Words are read as by commons-cli's BasicParser, which CaffeOnSpark uses: an option has one dash or two; of an
option that is given twice the first value counts; double quotes around a value are removed; a word that is
not the value of an option is left over. CaffeOnSpark's Python API makes such words: `args['resize'] =
'True'`.

Deliberate differences from the original:

* `-test` with `-features`: both are run. The original dropped the means with a warning.
* `-train` stores the rounds of an interleaved validation in -outputFormat; the original threw them away.
* No mode at all is refused; the original did nothing and succeeded.
* `-train` without `-model` is refused at once; the original failed after the last iteration.
* `-connection` absent, or anything but `ethernet`, meant RDMA; `checks.connection` refuses it when more than
  one rank trains without NCCL. With one it is ignored, as it was.
* A word left over that is meant as an option, or as no (`-resize False`), is refused; others are told.
* `-weights` or `-snapshot` without `-train` is refused; the original ignored them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, List, Optional, Sequence, Tuple

from jobs.trainer.errors import Refused

_SWITCHES = ("train", "test", "persistent", "resize")
TEXTS = {"conf": "", "features": "", "label": "", "model": "", "output": "output", "outputFormat": "json"}
TEXTS.update({"connection": "RDMA", "snapshot": "", "weights": ""})
COUNTS = {"devices": 1, "clusterSize": 1, "lmdb_partitions": 0}
CONVERTERS: Tuple[str, ...] = (
    "imageRoot",
    "labelFile",
    "captionFile",
    "captionLength",
    "vocabSize",
    "imageCaptionDFDir",
    "vocabDir",
    "embeddingDFDir",
)
"""Options of the converter tools alone."""
FLAGS: Tuple[str, ...] = (*_SWITCHES, *TEXTS, *COUNTS, *CONVERTERS)
"""All options, without dash."""
FORMATS = ("json", "parquet")
_YES, _NO = frozenset({"", "true", "yes", "on", "1"}), frozenset({"false", "no", "off", "0", "none"})
"""Values of switches, in lower case, that the Python API's dictionaries have."""


@dataclass(frozen=True)
class Options:
    """A valid command line. Paths are URIs, or bare paths on the default file system."""

    conf: str
    train: bool = False
    test: bool = False
    features: Tuple[str, ...] = ()
    label: str = ""
    model: str = ""
    output: str = "output"
    output_format: str = "json"
    devices: int = 1
    cluster_size: int = 1
    connection: str = "RDMA"
    snapshot: str = ""
    weights: Tuple[str, ...] = ()
    resize: bool = False
    notes: Tuple[str, ...] = field(default=(), compare=False)
    """A line for each option that is accepted without effect."""

    @property
    def scores(self) -> bool:
        """True to score the TEST source: `-test`, `-features`, or both."""
        return self.test or bool(self.features)

    @property
    def columns(self) -> Tuple[str, ...]:
        """Blobs of a feature row, in order: the features, then the label unless it is one of them."""
        if not self.features or not self.label or self.label in self.features:
            return self.features
        return (*self.features, self.label)


def parse(argv: Sequence[str]) -> Options:
    """Read a command line.

    Raises:
        Refused: an unknown option, a missing or invalid value, or a combination that cannot run.
    """
    given, notes = split(argv)
    for name in CONVERTERS:
        if name in given:
            raise Refused("option-of-converters", option="-" + name)
    counts = {name: count_of(name, given.get(name), default) for name, default in COUNTS.items()}
    texts = {name: given.get(name) or default for name, default in TEXTS.items()}
    notes += _without_effect(given)
    options = Options(
        conf=texts["conf"],
        train="train" in given,
        test="test" in given,
        # Java's split drops empty names at the end.
        features=tuple(texts["features"].rstrip(",").split(",")) if texts["features"].rstrip(",") else (),
        label=texts["label"],
        model=texts["model"],
        output=texts["output"],
        output_format=texts["outputFormat"].lower(),
        devices=counts["devices"],
        cluster_size=counts["clusterSize"],
        connection=texts["connection"],
        snapshot=texts["snapshot"],
        weights=tuple(texts["weights"].split(",")) if texts["weights"] else (),
        resize="resize" in given,
        notes=tuple(notes),
    )
    _check(options)
    return options


def _without_effect(given: Dict[str, str]) -> List[str]:
    """Return a line for each option that is accepted without effect."""
    notes = []
    if "persistent" in given:
        notes.append("-persistent has no effect: every executor reads its own copy of the source")
    if "lmdb_partitions" in given:
        notes.append("-lmdb_partitions has no effect: records are dealt to the executors one by one")
    if given.get("label") and not given.get("features"):
        notes.append("-label has no effect without -features, to which it adds a column")
    return notes


def split(argv: Sequence[str]) -> Tuple[Dict[str, str], List[str]]:
    """Return options with their values, empty for switches, and a line for each word without effect.

    Raises:
        Refused: an unknown option, a missing value, or a word that is meant as an option.
    """
    given: Dict[str, str] = {}
    notes: List[str] = []
    rest, switch = list(argv), ""
    while rest:
        word = rest.pop(0)
        name = _name(word)
        if word == "--":
            for left in rest:
                _leave(left, "", notes)
            break
        if not word.startswith("-") or word == "-":
            _leave(word, switch, notes)
            switch = ""
            continue
        if name not in FLAGS:
            raise Refused("option-unknown", option=word, valid=", ".join("-" + known for known in FLAGS))
        switch, value = (word if name in _SWITCHES else ""), ""
        if not switch:
            if not rest or (rest[0].startswith("-") and _name(rest[0]) in FLAGS):
                raise Refused("option-without-value", option=word)
            value = _unquoted(rest.pop(0))
        if given.setdefault(name, value) != value:
            notes.append("-{} is given twice: its first value, {}, counts".format(name, given[name]))
    return given, notes


def _leave(word: str, switch: str, notes: List[str]) -> None:
    """Add a note on a word that is not the value of an option; `switch` is a switch before it, if any.

    Raises:
        Refused: the word is meant to have an effect.
    """
    if switch and word.lower() in _NO:
        raise Refused("switch-with-value", option=switch, value=word)
    if _name(word) in FLAGS:
        raise Refused("option-not-read", word=word, option="-" + _name(word))
    if not (switch and word.lower() in _YES):
        notes.append("{!r} has no effect: it is not the value of an option".format(word))


def _name(word: str) -> str:
    """Return a word without the dash, or two, of an option."""
    return word[2:] if word.startswith("--") else word[word.startswith("-") :]


def _unquoted(value: str) -> str:
    value = value[1:] if value.startswith('"') else value
    return value[:-1] if value.endswith('"') else value


def count_of(name: str, text: Optional[str], default: int) -> int:
    """Return an option's value as a count; `default` without one.

    Raises:
        Refused: it is not a whole number of at least 1.
    """
    if text is None:
        return default
    try:
        count = int(text)
    except ValueError:
        count = 0
    if count < 1:
        raise Refused("option-not-a-count", option="-" + name, value=text)
    return count


def _check(options: Options) -> None:
    if not options.conf:
        raise Refused("conf-missing")
    if not (options.train or options.scores):
        raise Refused("nothing-to-do")
    if not options.model:
        raise Refused("model-missing-to-train" if options.train else "model-missing-to-score")
    if options.output_format not in FORMATS:
        raise Refused("output-format-unknown", format=options.output_format, valid=", ".join(FORMATS))
    for name in options.features:
        if name != name.strip() or not name:
            raise Refused("features-not-trimmed", features=",".join(options.features))
    if options.snapshot and not options.weights:
        raise Refused("snapshot-without-weights", snapshot=options.snapshot)
    if (options.snapshot or options.weights) and not options.train:
        raise Refused("start-without-training")

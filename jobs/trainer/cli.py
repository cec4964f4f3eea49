"""CaffeOnSpark's command line: single-dash long options, parsed into a frozen record.

Deliberate differences from the original:

* `-test` with `-features`: both are run. The original dropped the means with a warning.
* `-train` stores the rounds of an interleaved validation in -outputFormat; the original threw them away.
* No mode at all is refused; the original did nothing and succeeded.
* `-train` without `-model` is refused at once; the original failed after the last iteration.
* `-connection` absent, or anything but `ethernet`, meant RDMA; it is refused when more than one executor
  trains. With one executor it is ignored, as it was.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, List, Optional, Sequence, Tuple

from jobs.trainer.errors import Refused

_SWITCHES = ("train", "test", "persistent", "resize")
_TEXTS = {"conf": "", "features": "", "label": "", "model": "", "output": "output", "outputFormat": "json"}
_TEXTS.update({"connection": "RDMA", "snapshot": "", "weights": ""})
_COUNTS = {"devices": 1, "clusterSize": 1, "lmdb_partitions": 0}
_CONVERTERS: Tuple[str, ...] = (
    "imageRoot",
    "labelFile",
    "captionFile",
    "captionLength",
    "vocabSize",
    "imageCaptionDFDir",
)
_CONVERTERS += ("vocabDir", "embeddingDFDir")
_FORMATS = ("json", "parquet")


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
    given = _split(argv)
    for name in _CONVERTERS:
        if name in given:
            raise Refused("option-of-converters", option="-" + name)
    if "resize" in given:
        raise Refused("resize-unsupported")
    counts = {name: _count(name, given.get(name), default) for name, default in _COUNTS.items()}
    texts = {name: given.get(name) or default for name, default in _TEXTS.items()}
    notes: List[str] = []
    if "persistent" in given:
        notes.append("-persistent has no effect: every executor reads its own copy of the LMDB")
    if "lmdb_partitions" in given:
        notes.append("-lmdb_partitions has no effect: each executor reads one contiguous range of keys")
    options = Options(
        conf=texts["conf"],
        train="train" in given,
        test="test" in given,
        features=tuple(texts["features"].split(",")) if texts["features"] else (),
        label=texts["label"],
        model=texts["model"],
        output=texts["output"],
        output_format=texts["outputFormat"],
        devices=counts["devices"],
        cluster_size=counts["clusterSize"],
        connection=texts["connection"],
        snapshot=texts["snapshot"],
        weights=tuple(texts["weights"].split(",")) if texts["weights"] else (),
        notes=tuple(notes),
    )
    _check(options)
    return options


def _split(argv: Sequence[str]) -> Dict[str, Optional[str]]:
    """Return option names (without dash) with their values; the last one wins, as in commons-cli."""
    given: Dict[str, Optional[str]] = {}
    valued = {*_TEXTS, *_COUNTS, *_CONVERTERS}
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        name = word[1:]
        if not word.startswith("-") or name not in {*valued, *_SWITCHES}:
            known = ", ".join("-" + name for name in (*_SWITCHES, *_TEXTS, *_COUNTS))
            raise Refused("option-unknown", option=word, valid=known)
        if name in _SWITCHES:
            given[name] = None
        elif not rest or _is_option(rest[0], valued):
            raise Refused("option-without-value", option=word)
        else:
            given[name] = rest.pop(0)
    return given


def _is_option(word: str, valued: "set[str]") -> bool:
    return word.startswith("-") and word[1:] in {*valued, *_SWITCHES}


def _count(name: str, text: Optional[str], default: int) -> int:
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
    if options.output_format not in _FORMATS:
        raise Refused("output-format-unknown", format=options.output_format, valid=", ".join(_FORMATS))
    if options.label and not options.features:
        raise Refused("label-without-features", label=options.label)
    for name in options.features:
        if name != name.strip() or not name:
            raise Refused("features-not-trimmed", features=",".join(options.features))
    if options.snapshot and not options.weights:
        raise Refused("snapshot-without-weights", snapshot=options.snapshot)
    if (options.snapshot or options.weights) and not options.train:
        raise Refused("start-without-training")
    if options.devices > 1:
        raise Refused("devices-unsupported", devices=options.devices)
    if options.train and options.cluster_size > 1 and options.connection.lower() != "ethernet":
        raise Refused("connection-unsupported", connection=options.connection)

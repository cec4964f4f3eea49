"""CaffeOnSpark's command line: single-dash long options, read into one frozen record.

Departures from the original, each on purpose:

* `-test` with `-features`: both are done. The original dropped the means with a warning.
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
    """A command line that can be run. Paths are as given: URIs, or bare ones of the default file system."""

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
    """What is accepted and has no effect here, one line each."""

    @property
    def scores(self) -> bool:
        """True when the TEST source is to be scored: `-test`, `-features`, or both."""
        return self.test or bool(self.features)

    @property
    def columns(self) -> Tuple[str, ...]:
        """Blobs of each feature row, in order: the features, then the label unless it is among them."""
        if not self.features or not self.label or self.label in self.features:
            return self.features
        return (*self.features, self.label)


def parse(argv: Sequence[str]) -> Options:
    """Read a command line.

    Raises:
        Refused: an unknown option, a missing or impossible value, or a combination that cannot run.
    """
    given = _split(argv)
    for name in _CONVERTERS:
        if name in given:
            raise Refused("-" + name, "it belongs to the converter tools, which come later", "Leave it out.")
    if "resize" in given:
        raise Refused("-resize", "resizing images comes later", "Store records of the layer's size.")
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
    """Option names (without dash) with their values; a later one wins, as commons-cli has it."""
    given: Dict[str, Optional[str]] = {}
    valued = {*_TEXTS, *_COUNTS, *_CONVERTERS}
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        name = word[1:]
        if not word.startswith("-") or name not in {*valued, *_SWITCHES}:
            known = ", ".join("-" + name for name in (*_SWITCHES, *_TEXTS, *_COUNTS))
            raise Refused(word, "there is no such option", "There are: {}.".format(known))
        if name in _SWITCHES:
            given[name] = None
        elif not rest or _is_option(rest[0], valued):
            raise Refused(word, "its value is missing", "Give one after it.")
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
        raise Refused("-{} {}".format(name, text), "it takes a whole number of at least 1", "Give one.")
    return count


def _check(options: Options) -> None:
    if not options.conf:
        raise Refused(
            "-conf", "it is missing", "Give the solver's prototxt: -conf lenet_memory_solver.prototxt"
        )
    if not (options.train or options.scores):
        raise Refused("the command line", "it asks for nothing", "Give -train, -test, or -features a,b.")
    if not options.model:
        what = (
            "-train writes the model to it" if options.train else "-test and -features read the model from it"
        )
        raise Refused(
            "-model", "it is missing, and " + what, "Give a path, such as -model hdfs:///mnist.model"
        )
    if options.output_format not in _FORMATS:
        raise Refused(
            "-outputFormat " + options.output_format, "there are " + ", ".join(_FORMATS), "Give one of these."
        )
    if options.label and not options.features:
        raise Refused(
            "-label " + options.label, "it adds a column to -features", "Give -features, or neither."
        )
    for name in options.features:
        if name != name.strip() or not name:
            raise Refused(
                "-features " + ",".join(options.features),
                "names are split at commas and not trimmed",
                "Give blob names without spaces: -features accuracy,loss",
            )
    if options.snapshot and not options.weights:
        raise Refused(
            "-snapshot " + options.snapshot,
            "input model file must be provided for incremental training",
            "Add -weights with the .caffemodel that was written beside it.",
        )
    if (options.snapshot or options.weights) and not options.train:
        raise Refused(
            "-snapshot, -weights", "they are where training starts from", "Add -train, or use -model."
        )
    if options.devices > 1:
        raise Refused(
            "-devices {}".format(options.devices),
            "cpu mode only allow single device, and several GPUs an executor come later",
            "Give -devices 1.",
        )
    if options.train and options.cluster_size > 1 and options.connection.lower() != "ethernet":
        raise Refused(
            "-connection " + options.connection,
            "only ethernet is built, and more than one executor has to exchange gradients",
            "Give -connection ethernet.",
        )

"""Probe that builds all nets in a subprocess, since Caffe aborts on invalid input.

Run as `python -m jobs.trainer.caffe.probe FOLDER COUNT`; the folder holds train.prototxt, and of COUNT TEST
nets test0.prototxt, test1.prototxt …, each where its shape is known. Prints one JSON object.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Tuple

from google.protobuf import text_format  # type: ignore[import-untyped]

from jobs.trainer.caffe.datalayer import TOLD
from jobs.trainer.caffe.labels import Labels, labels_of
from jobs.trainer.caffe.prototxt import TrainingJob
from jobs.trainer.errors import Refused
from jobs.trainer.events.watch import last_words

TIMEOUT = 120
TRAIN, TEST = "train.prototxt", "test{}.prototxt"
LONGEST = 240
"""Maximum characters of Caffe's message, which may list all layer types."""


class Nets(NamedTuple):
    """Blobs of a job's nets."""

    blobs: Dict[str, Tuple[int, ...]]
    """Shapes of the blobs of the first TEST net."""
    outputs: Tuple[str, ...]
    """Its output blobs."""
    labels: Tuple[Tuple[Labels, ...], ...] = ((), ())
    """Of the TRAIN net and of the TEST nets, by the tops of their data layers; empty without a shape."""


class Probe:
    """A running probe; it runs while Spark starts."""

    def __init__(self, job: TrainingJob, folder: Path) -> None:
        nets = {TRAIN: (job.train_net, job.train)}
        nets.update((TEST.format(number), (test.net, test.data)) for number, test in enumerate(job.tests))
        for name, (text, data) in nets.items():
            # Without a record, some nets have no shape: they are built when it is read, if it is.
            if data.shape != TOLD:
                (folder / name).write_text(text)
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join(path for path in sys.path if path))
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(folder), str(len(job.tests))],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )

    def result(self) -> Nets:
        """Wait for the result.

        Raises:
            Refused: Caffe refuses the net, with its reason; or weights could not be told apart by layer.
        """
        out, err = self._process.communicate(timeout=TIMEOUT)
        if self._process.returncode != 0:
            words = last_words(err.decode(errors="replace").splitlines())
            words = words if len(words) <= LONGEST else words[:LONGEST] + "…"
            raise Refused("net-refused", reason=words)
        found = json.loads(out.decode().splitlines()[-1])
        if found["twice"]:
            raise Refused("layers-of-one-name", layers=", ".join(found["twice"]))
        blobs = {name: tuple(shape) for name, shape in found["blobs"].items()}
        labels = tuple(
            tuple(Labels(classes, tuple(ignored)) for classes, ignored in tops) for tops in found["labels"]
        )
        return Nets(blobs, tuple(found["outputs"]), labels)


def main(folder: Path, tests: int) -> None:
    """Build the nets and print a description of the first TEST net."""
    from jobs.trainer.caffe import native

    caffe = native.load()
    files = [TRAIN, *(TEST.format(number) for number in range(tests))]
    nets = {
        file: caffe.Net(str(folder / file), caffe.TEST if file != TRAIN else caffe.TRAIN)
        for file in files
        if (folder / file).exists()
    }
    test = nets.get(TEST.format(0))
    print(
        json.dumps(
            {
                "blobs": _shapes(test) if test else {},
                "outputs": list(test.outputs) if test else [],
                "twice": sorted({name for net in nets.values() for name in _twice(net)}),
                "labels": [_labels(folder / file, nets[file]) if file in nets else [] for file in files],
            }
        )
    )


def _labels(file: Path, net: Any) -> List[Labels]:  # noqa: ANN401
    """Return the labels that a net takes, by the tops of its data layer."""
    from jobs.trainer.caffe import native

    text = text_format.Parse(file.read_text(), native.protos().NetParameter())
    return [labels_of(text, _shapes(net), top) for top in text.layer[0].top]


def _shapes(net: Any) -> Dict[str, Tuple[int, ...]]:  # noqa: ANN401 - pycaffe has no types
    return {name: tuple(blob.shape) for name, blob in net.blobs.items()}


def _twice(net: Any) -> List[str]:  # noqa: ANN401 - pycaffe has no types
    """Return the names that several layers with weights have."""
    count = Counter(name for name, layer in zip(net._layer_names, net.layers) if len(layer.blobs))
    return [name for name, times in count.items() if times > 1]


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

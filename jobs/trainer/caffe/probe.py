"""Probe that builds all nets in a subprocess, since Caffe aborts on invalid input.

Run as `python -m jobs.trainer.caffe.probe FOLDER COUNT SMALLER`; the folder holds train.prototxt, and of
COUNT TEST nets test0.prototxt, test1.prototxt …, each where its shape is known. Beside a TEST net whose axes
of the batch are asked for, a file test0.json has its batch, and the shapes of its inputs with one sample
more. SMALLER is JSON alike, of a smaller batch that the first TEST net is tried with at last, or null.
Prints JSON objects: `reshaped` before such a net is reshaped, `found`, and `kept` after the smaller batch.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Collection, Dict, List, NamedTuple, Optional, Tuple

from google.protobuf import text_format

from jobs.trainer.caffe.axes import NO_AXIS, axes_of, kept
from jobs.trainer.caffe.datalayer import TOLD, DataLayer
from jobs.trainer.caffe.labels import Labels, labels_of
from jobs.trainer.caffe.prototxt import TrainingJob
from jobs.trainer.errors import Refused
from jobs.trainer.events.watch import last_words
from jobs.trainer.shapes import in_words

TIMEOUT = 120
TRAIN, TEST, LARGER = "train.prototxt", "test{}.prototxt", "test{}.json"
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
    axes: Tuple[Dict[str, int], ...] = ()
    """As `EvaluationNet.axes`, of each TEST net."""
    merged: Tuple[Dict[str, Tuple[int, ...]], ...] = ()
    """Of each TEST net the outputs whose batch is merged with another axis, with their shapes."""
    fixed: str = ""
    """Why the first TEST net does not take the smaller batch that was asked for; empty: it does."""


class Probe:
    """A running probe; it runs while Spark starts.

    `evaluated`: numbers of the TEST nets that are validated or scored, None for all. Of those with transposed
    tops, the axes of the batch are found. `smaller`: samples of a batch that the first TEST net is tried
    with, unless its tops are transposed; 0 for none.
    """

    def __init__(
        self,
        job: TrainingJob,
        folder: Path,
        evaluated: Optional[Collection[int]] = None,
        smaller: int = 0,
    ) -> None:
        self._job = job
        nets = {TRAIN: (job.train_net, job.train)}
        nets.update((TEST.format(number), (test.net, test.data)) for number, test in enumerate(job.tests))
        for name, (text, data) in nets.items():
            # Without a record, some nets have no shape: they are built when it is read, if it is.
            if data.shape != TOLD:
                (folder / name).write_text(text)
        for number, test in enumerate(job.tests):
            if test.data.transposed and (evaluated is None or number in evaluated):
                larger = _batch(test.data, test.data.batch + 1)
                (folder / LARGER.format(number)).write_text(json.dumps(larger))
        scored = job.tests[0].data
        tried = 0 < smaller < scored.batch and not scored.transposed and scored.shape != TOLD
        asked = json.dumps(_batch(scored, smaller) if tried else None)
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join(path for path in sys.path if path))
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(folder), str(len(job.tests)), asked],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )

    def result(self) -> Nets:
        """Wait for the result.

        Raises:
            Refused: Caffe refuses the net, or another batch of an evaluated one, with its reason; or weights
                could not be told apart by layer.
        """
        out, err = self._process.communicate(timeout=TIMEOUT)
        said: Dict[str, Any] = {}
        for line in out.decode(errors="replace").splitlines():
            if line.startswith('{"'):
                said.update(json.loads(line))
        fixed = ", ".join(
            'its blob "{}" becomes {}'.format(name, in_words(shape))
            for name, shape in said.get("kept", {}).items()
        )
        if self._process.returncode != 0:
            words = last_words(err.decode(errors="replace").splitlines())
            words = words if len(words) <= LONGEST else words[:LONGEST] + "…"
            if "found" not in said and "reshaped" in said:
                number = said["reshaped"]
                batch, net = self._job.tests[number].data.batch, self._job.numbered("TEST", number)
                raise Refused("net-of-fixed-batch", net=net, batch=batch, reason=words)
            if "found" not in said:
                raise Refused("net-refused", reason=words)
            fixed = words
        found = said["found"]
        if found["twice"]:
            raise Refused("layers-of-one-name", layers=", ".join(found["twice"]))
        blobs = {name: tuple(shape) for name, shape in found["blobs"].items()}
        labels = tuple(
            tuple(Labels(classes, tuple(ignored)) for classes, ignored in tops) for tops in found["labels"]
        )
        merged = tuple({name: tuple(shape) for name, shape in net.items()} for net in found["merged"])
        return Nets(blobs, tuple(found["outputs"]), labels, tuple(found["axes"]), merged, fixed)

    def close(self) -> None:
        """End the subprocess, which nobody may have waited for."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdout, self._process.stderr):
            if stream:
                stream.close()


def _batch(data: DataLayer, samples: int) -> Dict[str, Any]:
    """Return the batch of a data layer, and the shapes of inputs of another one."""
    return {"batch": data.batch, "dims": data.dims(samples)}


def main(folder: Path, tests: int, smaller: Optional[Dict[str, Any]]) -> None:
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
    shapes = {file: _shapes(net) for file, net in nets.items()}
    found: Dict[str, Any] = {
        "blobs": shapes.get(TEST.format(0), {}),
        "outputs": list(test.outputs) if test else [],
        "twice": sorted({name for net in nets.values() for name in _twice(net)}),
        "labels": [_labels(folder / file, nets[file]) if file in nets else [] for file in files],
        "axes": [],
        "merged": [],
    }
    for number, file in enumerate(files[1:]):
        axes = _axes(nets.get(file), number, folder / LARGER.format(number))
        alone = [name for name, axis in axes.items() if axis == NO_AXIS and name in nets[file].outputs]
        found["axes"].append(axes)
        found["merged"].append({name: shapes[file][name] for name in alone})
    print(json.dumps({"found": found}), flush=True)
    if smaller and test:
        print(json.dumps({"kept": kept(test, smaller["batch"], smaller["dims"])}))


def _axes(net: Any, number: int, larger: Path) -> Dict[str, int]:  # noqa: ANN401
    """Return the axes of the batch of a TEST net where they are asked for; the net is reshaped."""
    if not larger.exists():
        return {}
    print(json.dumps({"reshaped": number}), flush=True)
    asked = json.loads(larger.read_text())
    return axes_of(net, asked["batch"], asked["dims"])


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
    main(Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3]))

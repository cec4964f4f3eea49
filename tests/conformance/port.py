"""Mechanical port of a net's data layers to LMDBs of random records."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from google.protobuf import text_format

from jobs.trainer.caffe.cosdata import TYPE, kind_of
from jobs.trainer.caffe.datalayer import READERS
from jobs.trainer.caffe.fields import OF_FRAMES
from jobs.trainer.sources.columns import IMAGES, Column
from jobs.trainer.sources.registry import LMDB

SETS = {
    "siamese": (2, 28, 28),
    "mnist": (1, 28, 28),
    "cifar10": (3, 32, 32),
    "hdf5_classification": (4, 1, 1),
}
"""Shapes of the records of data sets, by a part of their paths, where the prototxt has none."""
RECORDS, LARGE, FEW, MARGIN = 8, 28, 2, 4
"""Records of an LMDB; sides beyond which a batch is reduced, and to what; pixels around a crop."""
Shape = tuple[int, int, int]


class NotPortable(ValueError):
    """A data layer gives what a batch of images with labels is not."""


class Ported(NamedTuple):
    """A data layer that reads an LMDB of random records."""

    shape: Shape
    """Of the records."""
    notes: tuple[str, ...]
    """What was changed beside the source."""
    columns: tuple[Column, ...] = ()
    """Of a CoSData layer."""


def data_layers(net: Any) -> list[Any]:
    """Return the layers that read records, or are fed with them, but for inputs."""
    types = {*READERS, "DummyData"} - {"Input"}
    return [layer for layer in net.layer if layer.source_class or layer.type in types]


def described(layer: Any) -> str:
    """Return a data layer's type, with its source class or its backend."""
    of_data = "LMDB" if layer.data_param.backend else "LEVELDB"
    more = layer.source_class.rpartition(".")[2] or (of_data if layer.type == "Data" else "")
    return f"{layer.type} {more}".strip()


def port(layer: Any, folder: Path, hint: str) -> Ported:
    """Make a data layer read an LMDB in `folder`, as little changed as the trainer requires.

    `hint` is a path that may name the data set.
    """
    if layer.type == "DummyData":
        raise NotPortable("DummyData makes its own batches")
    if layer.type == TYPE:
        return _port_columns(layer, folder)
    if len(layer.top) > 2:
        raise NotPortable(f"{layer.type} with {len(layer.top)} tops")
    notes = []
    param = _param(layer)
    shape = _shape(layer, param, f"{param.source} {hint}")
    batch, crop = param.batch_size, layer.transform_param.crop_size
    if max(shape) > LARGE and batch > FEW:
        batch = FEW
        notes.append(f"batch {FEW}")
    record = (shape[0], crop + MARGIN, crop + MARGIN) if crop else shape
    source = f"file:{folder}/lmdb-{'x'.join(map(str, record))}"
    if layer.type == "Data":
        notes += [] if layer.data_param.backend else ["ported"]
        layer.data_param.backend = 1
        layer.data_param.source, layer.data_param.batch_size = source, batch
        return Ported(record, tuple(notes))
    if (layer.type, layer.source_class) != ("MemoryData", LMDB):
        notes.append("ported")
    if layer.type != "MemoryData":
        layer.ClearField(_param_name(layer))
    for field in OF_FRAMES:
        layer.memory_data_param.ClearField(field)
    layer.type, layer.source_class = "MemoryData", LMDB
    memory = layer.memory_data_param
    memory.source, memory.batch_size = source, batch
    memory.channels, memory.height, memory.width = shape
    return Ported(record, tuple(notes))


def _port_columns(layer: Any, folder: Path) -> Ported:
    """Make a CoSData layer read an LMDB of random records for each top."""
    param = layer.cos_data_param
    columns = tuple(
        Column(top.name, kind_of(top), (top.channels, top.height or 1, top.width or 1)) for top in param.top
    )
    notes = []
    if (
        max(max(column.shape) for column in columns if column.kind in IMAGES) > LARGE
        and param.batch_size > FEW
    ):
        param.batch_size = FEW
        notes.append(f"batch {FEW}")
    named = "-".join("x".join(map(str, column.shape)) for column in columns)
    param.source = f"file:{folder}/columns-{named}"
    return Ported(columns[0].shape, tuple(notes), columns)


def _param(layer: Any) -> Any:
    """Return the message with the source and the batch, `image_data_param` for ImageData."""
    return getattr(layer, _param_name(layer))


def _param_name(layer: Any) -> str:
    return re.sub(r"(?<=[a-z5])(?=[A-Z])", "_", layer.type).lower() + "_param"


def _shape(layer: Any, param: Any, hint: str) -> Shape:
    """Return the shape of the layer's blob."""
    if layer.type == "MemoryData":
        return param.channels, param.height, param.width
    crop = layer.transform_param.crop_size
    known = next((shape for name, shape in SETS.items() if name in hint), None)
    if crop:
        return (known or (3,))[0], crop, crop
    if layer.type == "ImageData" and param.new_height:
        return 3, param.new_height, param.new_width
    if known is None:
        raise NotPortable("the shape of its records is not known")
    return known


def write_records(folder: Path, shape: Shape, pb: Any) -> None:
    """Write an LMDB of random records with labels 0 and 1, unless it is there."""
    import numpy as np

    random, path = np.random.RandomState(1), folder / f"lmdb-{'x'.join(map(str, shape))}"
    if path.exists():
        return
    with _written(path) as put:
        for number in range(RECORDS):
            pixels = random.randint(0, 256, shape).astype(np.uint8).tobytes()
            datum = pb.Datum(
                channels=shape[0], height=shape[1], width=shape[2], label=number % 2, data=pixels
            )
            put(number, datum)


@contextmanager
def _written(path: Path) -> Iterator[Callable[[int, Any], Any]]:
    """Yield a function that adds a record to a new database."""
    import lmdb

    with lmdb.open(str(path), map_size=1 << 26) as env, env.begin(write=True) as transaction:
        yield lambda number, datum: transaction.put(b"%d" % number, datum.SerializeToString())


def write_columns(folder: Path, columns: tuple[Column, ...], pb: Any) -> None:
    """Write LMDBs of random records, unless they are there: pixels for images, and zeros and ones."""
    import numpy as np

    random = np.random.RandomState(1)
    path = folder / "columns-{}".format("-".join("x".join(map(str, column.shape)) for column in columns))
    if path.exists():
        return
    path.mkdir()
    for number, column in enumerate(columns):
        channels, height, width = column.shape
        made = pb.Datum(channels=channels, height=height, width=width)
        with _written(path / str(number)) as put:
            for record in range(RECORDS):
                size = channels * height * width
                if column.kind in IMAGES:
                    made.data = random.randint(0, 256, size).astype(np.uint8).tobytes()
                else:
                    made.float_data[:] = [float((record + place) % 2) for place in range(size)]
                put(record, made)


def write_mean(path: Path, shape: Shape, pb: Any) -> None:
    """Write a mean file of grey."""
    channels, height, width = shape
    mean = pb.BlobProto(num=1, channels=channels, height=height, width=width)
    mean.data.extend([128.0] * (channels * height * width))
    path.write_bytes(mean.SerializeToString())


def means(net: Any) -> Iterator[tuple[Any, str]]:
    """Yield the data layers of a net that have a mean file, with the file's name."""
    for layer in data_layers(net):
        for param in (
            layer.transform_param,
            layer.data_param,
            layer.image_data_param,
            layer.window_data_param,
        ):
            if param.mean_file:
                yield layer, Path(param.mean_file).name


def write(message: Any, path: Path) -> None:
    """Write a message as a prototxt."""
    path.write_text(text_format.MessageToString(message))

"""Sources of the user's own: Python classes that a job ships, named by `source_class`.

    class Numbers:
        def __init__(self, uri, layer): ...   # the layer's source, and a `Layer`
        def records(self): ...                # yields (id, label, image)

An image is the bytes of an image file, or an array by row, column and channel, or by row and column: uint8 as
pixels, float as values. The driver makes an LMDB of the records before ranks start; executors import nothing.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path
from typing import Any, Callable, Iterator, NamedTuple, TypeVar

import numpy as np

from jobs.trainer.contract import KILLED
from jobs.trainer.errors import Refused, TrainerError
from jobs.trainer.shapes import in_words
from jobs.trainer.sources.samples import Sample

T = TypeVar("T")
_PARTS = 3
"""Of a record: id, label and image."""


class Layer(NamedTuple):
    """Data layer that a source is for."""

    name: str
    phase: str
    """TRAIN or TEST."""
    channels: int
    height: int
    width: int
    """As `height`: after crop_size."""


def class_of(name: str, built_in: str) -> Any:  # noqa: ANN401 - a class of the user's
    """Import a class by its full name, from the working folder or Python's path.

    Raises:
        Refused: there is no such module or class, the module fails, or the class yields no records.
    """
    module, _, last = name.rpartition(".")
    refusal = {"source_class": name, "valid": built_in, "module": module}
    folder = str(Path.cwd())
    if folder not in sys.path:
        # `--files` puts a module beside the solver's prototxt.
        sys.path.append(folder)
    try:
        found = getattr(importlib.import_module(module), last, None)
    except ModuleNotFoundError as error:
        if error.name and not (module + ".").startswith(error.name + "."):
            raise _failed(name, module, error) from error
        raise Refused("source-class-not-importable", reason=str(error), **refusal) from error
    except (Exception, SystemExit) as error:
        raise _failed(name, module, error) from error
    if found is None:
        reason = "module {} has no {}".format(module, last)
        raise Refused("source-class-not-importable", reason=reason, **refusal)
    if not (isinstance(found, type) and callable(getattr(found, "records", None))):
        raise Refused("source-class-without-records", source_class=name)
    return found


def samples(name: str, uri: str, layer: Layer, built_in: str) -> Iterator[Sample]:
    """Yield the samples of a source.

    Raises:
        Refused: the class fails, with its line; or it yields something that is not a record.
    """
    kind = class_of(name, built_in)

    def attempt(action: Callable[[], T]) -> T:
        try:
            return action()
        except TrainerError:
            raise
        except (Exception, SystemExit) as error:
            raise _failed(name, kind.__module__, error) from error

    records = attempt(lambda: iter(kind(uri, layer).records()))
    over = object()
    position = 0
    while True:
        record: Any = attempt(lambda: next(records, over))
        if record is over:
            return
        yield _sample(record, position, uri)
        position += 1


def _sample(record: Any, position: int, uri: str) -> Sample:  # noqa: ANN401
    if not isinstance(record, (tuple, list)) or len(record) != _PARTS:
        reason = "the source yields a {}, not (id, label, image)".format(type(record).__name__)
        raise Refused("record-unreadable", reason=reason, key=str(position), path=uri)
    id_, label, image = record
    label = int(label) if isinstance(label, np.integer) else label
    id_ = int(id_) if isinstance(id_, np.integer) else id_
    if not isinstance(image, (np.ndarray, bytes, bytearray)):
        reason = "its image is a {}, neither bytes of an image file nor an array".format(type(image).__name__)
        raise Refused("record-unreadable", reason=reason, key=str(position), path=uri)
    if not isinstance(image, np.ndarray):
        return Sample(id_, label, None, None, None, True, image)
    floats = image.dtype.kind == "f"
    if image.ndim not in {2, 3} or not (floats or image.dtype == np.uint8):
        shape = in_words(image.shape)
        reason = "its array is {} of {}, not uint8 or float by row, column and channel".format(
            shape, image.dtype
        )
        raise Refused("record-unreadable", reason=reason, key=str(position), path=uri)
    pixels = image if image.ndim > 2 else image[:, :, None]  # noqa: PLR2004
    height, width, channels = pixels.shape
    data = pixels if floats else np.ascontiguousarray(pixels).tobytes()
    return Sample(id_, label, channels, height, width, False, data)


def _failed(name: str, module: str, error: BaseException) -> Refused:
    """Return a failure of the user's code with the last line of its own file that ran."""
    if isinstance(error, SystemExit) and error.code == KILLED:
        raise error
    file = getattr(sys.modules.get(module), "__file__", None)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    own = [frame for frame in frames if file and frame.filename == file] or frames
    place = "{}:{}".format(Path(own[-1].filename).name, own[-1].lineno) if own else "an unknown line"
    if isinstance(error, SyntaxError) and error.filename:
        place = "{}:{}".format(Path(error.filename).name, error.lineno)
    return Refused(
        "source-class-failed", source_class=name, error=type(error).__name__, reason=str(error), place=place
    )

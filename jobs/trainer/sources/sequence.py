"""Samples of SeqImageDataSource: sequence files with keys that Java has serialised.

Keys are the pair (id, label), whose value is an encoded image, or (id, label, channels, height, width,
encoded). CaffeOnSpark's Binary2Sequence writes the one, its LMDB2Sequence the other; before, it had a class
of its own for pairs.
"""

from __future__ import annotations

from typing import Any, Iterable, Iterator, List, Tuple

from jobs.trainer.errors import Refused
from jobs.trainer.sources import java
from jobs.trainer.sources.samples import Sample

_KINDS = {
    "scala.Tuple2": ("_1", "_2"),
    "com.yahoo.ml.dl.caffe.Pair": ("first", "second"),
    "scala.Tuple6": ("_1", "_2", "_3", "_4", "_5", "_6"),
}
"""Classes of keys with their fields, in the order of a sample's."""
_PAIR = 2


def samples(pairs: Iterable[Tuple[Any, Any]], uri: str) -> Iterator[Sample]:
    """Yield the samples of keys and values.

    Raises:
        Refused: a key is none of CaffeOnSpark's.
    """
    for position, (key, value) in enumerate(pairs):
        try:
            found = _fields(key)
        except java.Malformed as error:
            reason = "its key is not one of SeqImageDataSource: {}".format(error)
            raise Refused("record-unreadable", key=position, path=uri, reason=reason) from error
        full = [*found, 0, 0, 0, True] if len(found) == _PAIR else found
        id_, label, channels, height, width, encoded = full
        yield Sample(id_, label, channels, height, width, encoded, value)


def _fields(key: Any) -> List[Any]:  # noqa: ANN401
    if not isinstance(key, (bytes, bytearray)):
        raise java.Malformed("it is not a BytesWritable")
    made = java.read(bytes(key))
    if not isinstance(made, java.Object) or made.name not in _KINDS:
        name = made.name if isinstance(made, java.Object) else type(made).__name__
        raise java.Malformed("it is a {}, not one of {}".format(name, ", ".join(_KINDS)))
    names = _KINDS[made.name]
    if sorted(made.fields) != sorted(names):
        raise java.Malformed("its {} has the fields {}".format(made.name, ", ".join(made.fields)))
    return [made.fields[name] for name in names]

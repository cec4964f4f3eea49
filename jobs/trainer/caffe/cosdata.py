"""Tops of a CoSData layer, CaffeOnSpark's layer for DataFrameSource: a column of a DataFrame each."""

from __future__ import annotations

from typing import Any, Callable, Tuple

from jobs.trainer.caffe.blobs import AXES, Blob, Top
from jobs.trainer.errors import Refused
from jobs.trainer.shapes import in_words
from jobs.trainer.sources.columns import ARRAYS, ENCODED, IMAGES, Column
from jobs.trainer.sources.registry import COLUMNS
from jobs.trainer.sources.transform import Transform

TYPE = "CoSData"
_SIDES = ("channels", "height", "width")


def require_pair(layer: Any, where: str) -> None:  # noqa: ANN401 - generated classes have no types
    """Require that CoSData and DataFrameSource come together.

    Raises:
        Refused: the layer has one without the other.
    """
    if layer.source_class and (layer.type == TYPE) != (layer.source_class == COLUMNS):
        raise Refused(
            "layer-type-of-other-source", layer=where, type=layer.type, source_class=layer.source_class
        )


def tops_of(layer: Any, where: str, transform_of: Callable[[Any], Transform]) -> Tuple[Top, ...]:  # noqa: ANN401
    """Read the tops of a layer; `transform_of` reads a transform_param.

    Raises:
        Refused: their number is not the layer's, or one cannot be filled as it says.
    """
    described = layer.cos_data_param.top
    if not layer.top or len(described) != len(layer.top):
        raise Refused("tops-differ", layer=where, tops=len(layer.top), described=len(described))
    return tuple(_top(top, blob, where, transform_of) for top, blob in zip(described, layer.top))


def _top(top: Any, blob: str, where: str, transform_of: Callable[[Any], Transform]) -> Top:  # noqa: ANN401
    where = 'top "{}" of {}'.format(top.name or blob, where)
    kind = kind_of(top)
    axes = top.sample_num_axes
    if not top.name:
        raise Refused("top-unnamed", top=where)
    if axes > AXES:
        raise Refused("top-axes-invalid", top=where, axes=axes)
    if top.transpose and axes != 1:
        raise Refused("top-not-transposable", top=where, axes=axes)
    if kind in IMAGES and axes != AXES:
        raise Refused("top-image-axes", top=where, type=kind, axes=axes)
    record = _record(top, axes, where)
    if kind not in IMAGES + ARRAYS and record != (1, 1, 1):
        raise Refused("top-of-one-value", top=where, type=kind, shape=in_words(record))
    if kind in IMAGES and not top.HasField("transform_param"):
        raise Refused("top-without-transform", top=where, type=kind)
    transform = transform_of(top.transform_param)
    if kind in ENCODED:
        transform = transform.decoding(record[0])
    shape = _transformed(top, record, transform, where)
    made = Blob(blob, shape, transform, axes=axes, transposed=top.transpose)
    return Top(Column(top.name, kind, record), made)


def kind_of(top: Any) -> str:  # noqa: ANN401
    """Return the name of a top's type."""
    values = top.DESCRIPTOR.fields_by_name["type"].enum_type.values_by_number
    return str(values[top.type].name)


def _record(top: Any, axes: int, where: str) -> Tuple[int, int, int]:  # noqa: ANN401
    """Return the shape of a record before it is transformed: sides beyond its axes are 1, or absent."""
    sides = []
    for number, name in enumerate(_SIDES):
        value = int(getattr(top, name))
        if number < axes and value < 1:
            raise Refused("layer-size-invalid", layer=where, field=name, value=value)
        if number >= axes and value > 1:
            raise Refused("top-side-beyond-axes", top=where, field=name, value=value, axes=axes)
        sides.append(max(1, value))
    channels, height, width = sides
    return channels, height, width


def _transformed(
    top: Any,  # noqa: ANN401
    record: Tuple[int, int, int],
    transform: Transform,
    where: str,
) -> Tuple[int, int, int]:
    """Return the shape after transform_param, which out_channels, out_height and out_width have to say."""
    transform.check(*record)
    wanted = (record[0], transform.crop, transform.crop) if transform.crop else record
    told = tuple(int(getattr(top, "out_" + name)) or side for name, side in zip(_SIDES, record))
    if told != wanted:
        raise Refused("top-out-differs", top=where, out=in_words(told), transformed=in_words(wanted))
    return wanted


def resized(top: Top) -> Top:
    """Return a top for -resize, which gives images the height and width of their column, before the crop."""
    if top.column.kind not in IMAGES:
        return top
    return top._replace(blob=top.blob._replace(resize=top.column.shape[1:]))

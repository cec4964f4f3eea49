"""Data layer of a phase's net."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Dict, List, Sequence, Tuple

from jobs.trainer.caffe import cosdata
from jobs.trainer.caffe.blobs import Blob, Top
from jobs.trainer.caffe.labels import ANY, Labels
from jobs.trainer.caffe.nets import PhaseNet
from jobs.trainer.caffe.transform_param import require_crop, require_mean, transform_of
from jobs.trainer.errors import Refusals, Refused
from jobs.trainer.shapes import in_words
from jobs.trainer.sources.frame import AS_IT_IS, Reading
from jobs.trainer.sources.registry import COLUMNS, LMDB, check_class
from jobs.trainer.sources.transform import Transform

READERS = (cosdata.TYPE, "Data", "HDF5Data", "ImageData", "Input", "MemoryData", "WindowData")
"""Types of layers that read records, or are fed with them."""
TOLD = (0, 0, 0)
"""Shape of a layer whose first record tells it."""


@dataclass(frozen=True)
class DataLayer:
    """Data layer of one phase."""

    phase: str
    layer: str
    source_class: str
    uri: str
    batch: int
    shape: Tuple[int, int, int]
    """(channels, height, width) of the blob, after transform_param; `TOLD` until a record is read."""
    tops: Tuple[str, ...]
    """Names of the data and label blobs; of a CoSData layer those of its columns."""
    transform: Transform
    labels: Labels = ANY
    """As the built net takes them."""
    reading: Reading = AS_IT_IS
    """Of sources that are DataFrames."""
    resize: bool = False
    """-resize: images get the height and width of the layer."""
    columns: Tuple[Top, ...] = ()
    """Tops of a CoSData layer, which have shapes, transformations and labels of their own."""

    @property
    def blobs(self) -> Tuple[Blob, ...]:
        """Blobs with a feed each."""
        if self.columns:
            return tuple(top.blob for top in self.columns)
        data, label = self.tops
        size = self.shape[1:] if self.resize else ()
        return (Blob(data, self.shape, self.transform, self.labels, label, resize=size),)

    @property
    def transposed(self) -> bool:
        """Whether a blob's first axis is not the batch's."""
        return any(blob.transposed for blob in self.blobs)

    def dims(self, batch: int) -> Dict[str, List[int]]:
        """Return the shapes of all blobs of a batch, by name, in the order of the tops."""
        return {name: dims for blob in self.blobs for name, dims in blob.dims(batch).items()}

    def with_labels(self, labels: Sequence[Labels]) -> DataLayer:
        """Return the layer with the labels that its net takes of each top; without any, as it is."""
        if not labels:
            return self
        if not self.columns:
            return replace(self, labels=labels[1])
        columns = [top._replace(blob=top.blob._replace(labels=one)) for top, one in zip(self.columns, labels)]
        return replace(self, columns=tuple(columns))

    def resized(self) -> DataLayer:
        """Return the layer for -resize.

        Raises:
            Refused: it has no size of its own, or its mean image has another one.
        """
        where = '{} layer "{}"'.format(self.phase, self.layer)
        if self.shape == TOLD:
            raise Refused("resize-without-size", layer=where)
        mean = self.transform.mean
        if mean is not None and mean.shape != self.shape:
            raise Refused("mean-shape-differs", mean=in_words(mean.shape), record=in_words(self.shape))
        columns = [cosdata.resized(top) for top in self.columns]
        return replace(self, resize=True, columns=tuple(columns))

    def with_images(self) -> DataLayer:
        """Return the layer for a source with encoded images, which become grey or coloured as it takes them.

        CaffeOnSpark decodes images of its own sources so; those of an LMDB keep their channels.
        """
        return replace(self, transform=self.transform.decoding(self.shape[0]))

    def told(self, record: Tuple[int, int, int]) -> DataLayer:
        """Return the layer with the shape that its first record gives it, unless the prototxt has one."""
        crop = self.transform.crop
        shape = (record[0], crop, crop) if crop else record
        return replace(self, shape=shape) if self.shape == TOLD else self


def data_layer(net: PhaseNet) -> Any:  # noqa: ANN401
    """Return the data layer of a phase: its first layer, and the only one that reads a source.

    Raises:
        Refused: there is none, another layer comes first, or there is another one, which would read the same
            records on every rank.
    """
    reading = [layer for layer in net.net.layer if layer.source_class or layer.type in READERS]
    dummies = [layer for layer in net.net.layer if layer.type == "DummyData"]
    if not reading and dummies:
        raise Refused("layer-type-unsupported", layer=_where(dummies[0], net), type="DummyData")
    if not reading:
        raise Refused("data-layer-missing", file=net.path.name, phase=net.phase)
    if len(reading) > 1:
        names = ", ".join('{} "{}"'.format(layer.type, layer.name) for layer in reading)
        raise Refused("data-layers-several", file=net.path.name, phase=net.phase, layers=names)
    first, found = net.net.layer[0], reading[0]
    if first is not found:
        raise Refused(
            "data-layer-not-first", layer=found.name, file=net.path.name, phase=net.phase, first=first.name
        )
    return found


def _where(layer: Any, net: PhaseNet) -> str:  # noqa: ANN401
    return '{} layer "{}" in {}'.format(net.phase, layer.name, net.path.name)


def as_memory(layer: Any, net: PhaseNet, faults: Refusals) -> None:  # noqa: ANN401
    """Give a layer of Caffe's type Data what a MemoryData layer has: source class, source and batch.

    A CoSData layer likewise gets its source and batch. Faults are a database that is not an LMDB, and the
    source class of another one.
    """
    if layer.type == cosdata.TYPE:
        of_columns = layer.cos_data_param
        layer.memory_data_param.source = of_columns.source
        layer.memory_data_param.batch_size = of_columns.batch_size
    if layer.type != "Data":
        return
    param = layer.data_param
    if layer.source_class not in {"", LMDB}:
        faults.refuse(
            "net-field-refused",
            file=net.path.name,
            where='{} layer "{}"'.format(net.phase, layer.name),
            field="source_class",
            reason="type Data reads an LMDB alone",
            fix='Remove it, or set type: "MemoryData".',
        )
    if not param.HasField("backend"):
        faults.refuse("backend-undefined", layer=_where(layer, net))
    backend = param.DESCRIPTOR.fields_by_name["backend"].enum_type.values_by_number[param.backend].name
    if param.HasField("backend") and backend != "LMDB":
        faults.refuse("backend-unsupported", layer=_where(layer, net), backend=backend)
    layer.source_class = LMDB
    layer.memory_data_param.Clear()
    layer.memory_data_param.source, layer.memory_data_param.batch_size = param.source, param.batch_size
    # Of Caffe 1.0's own layers none reads it; caffe.proto says what it is for.
    if param.force_encoded_color:
        layer.transform_param.force_color = True


def source_of(layer: Any, net: PhaseNet, pb: Any) -> DataLayer:  # noqa: ANN401
    """Read the data layer of a net.

    Raises:
        Refused: its source, shape or transform_param cannot be used.
    """
    phase = net.phase
    where = _where(layer, net)
    if layer.source_class:
        check_class(layer.source_class)
    if layer.type not in {"Data", "MemoryData", cosdata.TYPE}:
        raise Refused("layer-type-unsupported", layer=where, type=layer.type)
    if not layer.source_class:
        valid = COLUMNS if layer.type == cosdata.TYPE else LMDB
        raise Refused("source-class-undefined", layer=where, valid=valid)
    cosdata.require_pair(layer, where)
    memory, told, of_columns = layer.memory_data_param, layer.type == "Data", layer.type == cosdata.TYPE
    for name in ("batch_size",) if told or of_columns else ("batch_size", "channels", "height", "width"):
        value = getattr(memory, name)
        if value < 1:
            raise Refused("layer-size-invalid", layer=where, field=name, value=value)
    if not memory.source:
        raise Refused("source-undefined", layer=where)
    if of_columns:
        return _of_columns(layer, net, pb)
    if len(layer.top) not in ({1, 2} if told else {2}):
        raise Refused("layer-tops-invalid", layer=where, count=len(layer.top))
    shape = TOLD if told else (memory.channels, memory.height, memory.width)
    transform = transform_of(layer.transform_param, net, where, pb)
    if not told:
        require_mean(transform, shape, where)
        require_crop(transform, shape, where)
    return DataLayer(
        phase=phase,
        layer=layer.name,
        source_class=layer.source_class,
        uri=memory.source,
        batch=memory.batch_size,
        shape=shape,
        tops=(layer.top[0], layer.top[1] if len(layer.top) > 1 else _unused(layer.top[0], net.net)),
        transform=transform,
        reading=Reading(tuple(memory.dataframe_column_select), memory.dataframe_format, memory.image_encoded),
    )


def _of_columns(layer: Any, net: PhaseNet, pb: Any) -> DataLayer:  # noqa: ANN401
    where = _where(layer, net)
    tops = cosdata.tops_of(layer, where, lambda param: transform_of(param, net, where, pb))
    return DataLayer(
        phase=net.phase,
        layer=layer.name,
        source_class=layer.source_class,
        uri=layer.memory_data_param.source,
        batch=layer.memory_data_param.batch_size,
        shape=tops[0].blob.shape,
        tops=tuple(layer.top),
        transform=Transform(),
        reading=Reading(format=layer.cos_data_param.dataframe_format),
        columns=tops,
    )


def _unused(top: str, net: Any) -> str:  # noqa: ANN401
    """Return a name for the labels that a net does not take."""
    taken = {name for layer in net.layer for name in layer.top}
    name = top + "_label"
    while name in taken:
        name += "_"
    return name

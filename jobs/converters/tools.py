"""The tools: what each reads, and what it writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Iterable, Iterator, List, Mapping, NamedTuple, Tuple

from jobs.converters import captions, databases, images, java, labels, output, vocabulary
from jobs.converters.cli import Conversion
from jobs.converters.progress import tell, told
from jobs.trainer.errors import Refused
from jobs.trainer.files.distribution import Distribution
from jobs.trainer.files.hadoop import Files
from jobs.trainer.sources import frame, reading
from jobs.trainer.sources.datum import image as image_datum
from jobs.trainer.sources.samples import Context
from jobs.trainer.sources.samples import record as sample_record

_RECORD = "id string, label string, channels int, height int, width int, encoded boolean, data binary"
_BINARY = "SampleID string, label int, data binary"
_CAPTIONS = "id long, height int, width int, file string, url string, caption string"
_EMBEDDED = "id string, data struct<height:int,width:int,image:binary>, label int"
_SENTENCES = "input_sentence array<int>, cont_sentence array<int>, target_sentence array<int>"
_NO_LABEL = 0


class Place(NamedTuple):
    """What a tool works with."""

    spark: Any
    files: Files
    nodes: Distribution
    scratch: Path
    """Local folder, which ends with the tool."""


def run(place: Place, conversion: Conversion) -> int:
    """Run a tool; return the number of records that it has written.

    Raises:
        TrainerError: it was refused, or failed.
    """
    for option, uri in _read(conversion):
        if uri and not place.files.exists(uri):
            raise Refused("tool-input-missing", option=option, uri=uri)
    for uri in _written(conversion):
        if place.files.exists(uri):
            raise Refused("output-exists", uri=uri)
    return _RUN[conversion.tool](place, conversion)


def _read(conversion: Conversion) -> List[Tuple[str, str]]:
    return [
        ("-imageRoot", conversion.image_root),
        ("-labelFile", conversion.label_file),
        ("-captionFile", conversion.caption_file),
    ]


def _written(conversion: Conversion) -> List[str]:
    """Return the URIs that must not exist; a vocabulary may, and is read then."""
    if not conversion.embeddings:
        return [conversion.output]
    names = [name for name in (conversion.embeddings, conversion.image_captions) if name]
    return [conversion.below(name) for name in names]


def _labelled(place: Place, conversion: Conversion, parts: int) -> Tuple[List[labels.Labelled], Any]:
    uri = conversion.label_file
    lines = output.lines(place.spark.sparkContext, place.files.absolute(uri))
    listed = list(labels.read(lines, uri, parts))
    if not listed:
        raise Refused("source-empty", uri=uri)
    names = [each.file for each in listed]
    return listed, images.located(place.spark, place.files, conversion.image_root, names, uri)


def _binary_to_sequence(place: Place, conversion: Conversion) -> int:
    listed, content = _labelled(place, conversion, 2)
    rows = images.with_content([(java.pair(each.id, str(each.label)),) for each in listed], content)
    output.write_pairs(place.spark.sparkContext, rows, conversion.output, len(listed))
    return len(listed)


def _binary_to_frame(place: Place, conversion: Conversion) -> int:
    listed, content = _labelled(place, conversion, 3)
    rows = images.with_content([(each.id, each.label) for each in listed], content)
    form, uri = conversion.output_format, conversion.output
    output.write_frame(place.spark, rows, _BINARY, form, uri, len(listed))
    return len(listed)


def _binary_to_lmdb(place: Place, conversion: Conversion) -> int:
    listed, content = _labelled(place, conversion, 2)

    def records() -> Iterator[Tuple[bytes, bytes]]:
        for position, (row, each) in enumerate(zip(content.toLocalIterator(), listed)):
            yield (
                "{:08}_{}".format(position, each.file).encode()[:511],
                image_datum(each.label, bytes(row[1])),
            )

    return _lmdb(place, records(), conversion.output)


def _lmdb_to_frame(place: Place, conversion: Conversion) -> int:
    rows, total = _records(place, conversion)
    output.write_frame(place.spark, rows, _RECORD, conversion.output_format, conversion.output, total)
    return total


def _lmdb_to_sequence(place: Place, conversion: Conversion) -> int:
    rows, total = _records(place, conversion)
    keyed = rows.map(lambda row: (java.six(row[0], row[1], row[2:5], encoded=row[5]), row[6]))
    output.write_pairs(place.spark.sparkContext, keyed, conversion.output, total)
    return total


def _records(place: Place, conversion: Conversion) -> Tuple[Any, int]:
    parts, total = databases.ranges(place.nodes, conversion.image_root, conversion.partitions)
    if not total:
        raise Refused("source-empty", uri=conversion.image_root)
    return databases.read(place.spark.sparkContext, parts), total


def _frame_to_lmdb(place: Place, conversion: Conversion) -> int:
    from jobs.trainer.caffe import native

    uri = conversion.image_root
    columns, rows = reading.rows(place.spark, uri, frame.AS_IT_IS)
    context = Context(uri, (0, 0, 0), native.protos().Datum)
    samples = frame.samples(rows, frame.known(columns, uri), encoded=False)
    made = (sample_record(sample, position, context) for position, sample in enumerate(samples))
    return _lmdb(place, made, conversion.output)


def _captions(place: Place, conversion: Conversion) -> int:
    rows, have_captions = _read_captions(place, conversion)
    context = place.spark.sparkContext
    # Before anything is written.
    words = vocabulary.existing(context, place.files, conversion) if have_captions else []
    names, uri = [row.file for row in rows], conversion.caption_file
    content = images.located(place.spark, place.files, conversion.image_root, names, uri)
    if conversion.image_captions:
        uri = conversion.below(conversion.image_captions)
        # JSON in any case, as in CaffeOnSpark.
        if have_captions:
            output.write_rows(place.spark, rows, _CAPTIONS, uri)
        else:
            output.write_rows(place.spark, [row[:-1] for row in rows], _CAPTIONS.rpartition(", ")[0], uri)
        tell("{} written".format(uri))
    ids = captions.ids_of(vocabulary.make(context, rows, conversion) if words is None else words)
    known = [_embedded(row, ids, conversion.caption_length) for row in rows]
    embedded = images.with_content(known, content).map(_image_second)
    schema = "{}, {}".format(_EMBEDDED, _SENTENCES) if have_captions else _EMBEDDED
    uri = conversion.below(conversion.embeddings)
    output.write_frame(place.spark, embedded, schema, conversion.output_format, uri, len(rows))
    return len(rows)


def _read_captions(place: Place, conversion: Conversion) -> Tuple[List[captions.Caption], bool]:
    uri, local = conversion.caption_file, place.scratch / "captions.json"
    place.files.fetch(uri, local)
    try:
        rows, have_captions = captions.read(json.loads(local.read_bytes()))
    except (ValueError, RecursionError) as error:
        raise Refused("captions-invalid", uri=uri, reason=str(error)[:200]) from error
    if not rows:
        raise Refused("source-empty", uri=uri)
    return rows, have_captions


def _embedded(row: captions.Caption, ids: Mapping[str, int], length: int) -> Tuple[Any, ...]:
    start = (str(row.id), row.height, row.width, _NO_LABEL)
    return start if row.caption is None else (*start, *captions.embedded(row.caption, ids, length))


def _image_second(row: Tuple[Any, ...]) -> Tuple[Any, ...]:
    """Return a row of embeddings: the image, which is last, with its size behind the id."""
    return (row[0], (row[1], row[2], row[-1]), *row[3:-1])


class _Tally:
    def __init__(self) -> None:
        self.records = 0


def _lmdb(place: Place, records: Iterable[Tuple[bytes, bytes]], uri: str) -> int:
    tally = _Tally()

    def passed_on() -> Iterator[Tuple[bytes, bytes]]:
        for one in records:
            yield one
            tally.records += 1

    with told(lambda: tally.records):
        databases.store(passed_on(), uri, place.scratch)
    return tally.records


_RUN: Mapping[str, Callable[[Place, Conversion], int]] = {
    "Binary2Sequence": _binary_to_sequence,
    "Binary2DataFrame": _binary_to_frame,
    "Binary2LMDB": _binary_to_lmdb,
    "LMDB2DataFrame": _lmdb_to_frame,
    "LMDB2Sequence": _lmdb_to_sequence,
    "DataFrame2LMDB": _frame_to_lmdb,
    "CocoDataSetConverter": _captions,
}

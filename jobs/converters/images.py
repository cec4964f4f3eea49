"""Image files of storage as frames of Spark, read by its executors in the order of a list of names."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence, Tuple

from jobs.converters.labels import path_of
from jobs.trainer.errors import Refused
from jobs.trainer.files.hadoop import Files
from jobs.trainer.sources.reading import pattern

_HIDDEN = ("_", ".")
"""Begin names that Spark does not read."""
PART = 64 << 20
"""Bytes of images in a partition, hence in a file that is written."""


def located(
    spark: Any,  # noqa: ANN401 - pyspark has no types here
    files: Files,
    root: str,
    names: Sequence[str],
    uri: str,
) -> Any:  # noqa: ANN401
    """Return a DataFrame (position, content) of the files of a folder, in the order of `names`.

    Raises:
        Refused: a file is missing; `uri` is that of the list.
    """
    folder = files.absolute(root).rstrip("/")
    frame = spark.read.format("binaryFile").option("recursiveFileLookup", "true").load(pattern(folder))
    # Without their content, which Spark does not read then.
    sizes: Dict[str, int] = {row[0]: row[1] for row in frame.select("path", "length").toLocalIterator()}
    paths = ["{}/{}".format(folder, path_of(name)) for name in names]
    for name, path in zip(names, paths):
        if path not in sizes:
            parts = path_of(name).split("/")
            if parts[0] == "..":
                raise Refused("image-outside", image=name, root=root, uri=uri)
            hidden = any(part.startswith(_HIDDEN) for part in parts) and files.exists(path)
            raise Refused("image-hidden" if hidden else "image-missing", image=name, root=root, uri=uri)
    listed = spark.createDataFrame(list(enumerate(paths)), "position long, path string")
    number = parts_of(sum(sizes[path] for path in paths))
    joined = listed.join(frame.select("path", "content"), "path").select("position", "content")
    return joined.repartitionByRange(number, "position").sortWithinPartitions("position")


def parts_of(size: int) -> int:
    """Return the number of partitions for so many bytes."""
    return max(1, -(-size // PART))


def with_content(rows: List[Tuple[Any, ...]], frame: Any) -> Any:  # noqa: ANN401
    """Return an RDD of the rows, each with the content of its image, of `located`, behind it."""
    return frame.rdd.map(lambda image: (*rows[image[0]], bytes(image[1])))

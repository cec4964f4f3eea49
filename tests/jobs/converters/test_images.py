"""Names of a list of images, against what Spark reads of their folder."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.converters.images import located
from jobs.trainer.errors import Refused


class Frame:
    """A frame of Spark over the files of a folder, which leaves out what Spark leaves out."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __getattr__(self, _: str) -> Any:
        return lambda *_args: self

    def toLocalIterator(self) -> Any:
        hidden = ("_", ".")
        for path in self._folder.rglob("*"):
            parts = path.relative_to(self._folder).parts
            if path.is_file() and not any(part.startswith(hidden) for part in parts):
                yield str(path), path.stat().st_size


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("_b.jpg", "Spark reads no files or folders whose names begin with _ or ."),
        (".d/c.jpg", "Spark reads no files or folders whose names begin with _ or ."),
        ("../_labels.txt", "its name leads out of"),
        ("../labels.txt", "its name leads out of"),
        ("./a/../_b.jpg", "Spark reads no files or folders whose names begin with _ or ."),
        ("_gone.jpg", "there is no such file below"),
        ("gone.jpg", "there is no such file below"),
    ],
)
def test_an_image_that_spark_does_not_read_is_no_missing_one(tmp_path: Path, name: str, words: str) -> None:
    folder = tmp_path / "images"
    (folder / ".d").mkdir(parents=True)
    for file in ("a.jpg", "_b.jpg", ".d/c.jpg", "../labels.txt", "../_labels.txt"):
        (folder / file).touch()
    spark: Any = SimpleNamespace(read=Frame(folder), createDataFrame=lambda *_: Frame(folder))
    files: Any = SimpleNamespace(absolute=lambda uri: uri, exists=lambda uri: Path(uri).exists())

    assert located(spark, files, str(folder), ["./a.jpg"], "list") is not None
    with pytest.raises(Refused) as refused:
        located(spark, files, str(folder), ["a.jpg", name], "list")
    assert words in str(refused.value)

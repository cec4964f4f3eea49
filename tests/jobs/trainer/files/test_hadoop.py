"""Storage on the driver, over a stand-in for Hadoop's client."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.trainer.errors import Refused, TrainerError
from jobs.trainer.files.hadoop import Files


def status(uri: str, size: int, *, file: bool = True, time: int = 0) -> Any:
    path = SimpleNamespace(toString=lambda: uri)
    return SimpleNamespace(
        isFile=lambda: file, getPath=lambda: path, getLen=lambda: size, getModificationTime=lambda: time
    )


def files(found: Any) -> Files:
    def listed(_: Any) -> Any:
        if isinstance(found, Exception):
            raise found
        return found

    system = SimpleNamespace(listStatus=listed)
    fs = SimpleNamespace(Path=lambda _: SimpleNamespace(getFileSystem=lambda __: system))
    jvm = SimpleNamespace(org=SimpleNamespace(apache=SimpleNamespace(hadoop=SimpleNamespace(fs=fs))))
    jsc = SimpleNamespace(hadoopConfiguration=lambda: None)
    return Files(SimpleNamespace(_jvm=jvm, _jsc=jsc))


@pytest.mark.parametrize("uri", ["file:data/lmdb", "file:./data/lmdb"])
def test_a_relative_path_of_this_machine_begins_at_the_folder_of_the_driver(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, uri: str
) -> None:
    """Hadoop's Path takes no relative path after a scheme."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "lmdb").mkdir(parents=True)

    assert files_of().absolute(uri) == f"file:{tmp_path}/data/lmdb"
    assert files_of().absolute("hdfs://h/data/lmdb") == "hdfs://h/data/lmdb"


def files_of() -> Files:
    """Files whose paths stay as they are given to Hadoop."""

    class Qualified:
        def __init__(self, text: str) -> None:
            self.text = text

        def getFileSystem(self, _: Any) -> Any:
            return SimpleNamespace(getUri=str, getWorkingDirectory=str)

        def makeQualified(self, *_: Any) -> Any:
            return SimpleNamespace(toString=lambda: self.text)

    hadoop = SimpleNamespace(fs=SimpleNamespace(Path=Qualified))
    jvm = SimpleNamespace(org=SimpleNamespace(apache=SimpleNamespace(hadoop=hadoop)))
    return Files(SimpleNamespace(_jvm=jvm, _jsc=SimpleNamespace(hadoopConfiguration=lambda: None)))


def test_files_of_a_folder_are_listed_by_name_without_those_that_hold_no_records() -> None:
    found = [
        status("hdfs://h/s/part-1", 7),
        status("hdfs://h/s/_SUCCESS", 0),
        status("hdfs://h/s/.part-0.crc", 12),
        status("hdfs://h/s/_temporary", 0, file=False),
        status("hdfs://h/s/part-0", 5),
    ]

    assert files(found).listed("hdfs://h/s") == [("hdfs://h/s/part-0", 5), ("hdfs://h/s/part-1", 7)]


def test_a_folder_inside_a_source_is_refused_and_not_left_out() -> None:
    found = [status("hdfs://h/s/part-0", 5), status("hdfs://h/s/more", 0, file=False)]

    with pytest.raises(Refused, match="hdfs://h/s: it has a folder in it, hdfs://h/s/more"):
        files(found).listed("hdfs://h/s")


def test_a_folder_that_cannot_be_listed_is_told() -> None:
    with pytest.raises(TrainerError, match="hdfs://h/s: it cannot be listed"):
        files(OSError("permission denied")).listed("hdfs://h/s")


def test_a_stamp_is_another_once_a_file_has_been_written() -> None:
    both = [status("hdfs://h/d/data.mdb", 5, time=1), status("hdfs://h/d/a", 1)]
    stamp = files(both).stamp("hdfs://h/d")
    assert files(both[::-1]).stamp("hdfs://h/d") == stamp
    both[0] = status("hdfs://h/d/data.mdb", 5, time=2)
    assert files(both).stamp("hdfs://h/d") != stamp

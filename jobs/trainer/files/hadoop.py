"""Storage on the driver, through Hadoop's client in its JVM: a call takes milliseconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, Tuple

from jobs.trainer.errors import Refused, TrainerError
from jobs.trainer.files import storage


class Files:
    """Files by Hadoop URI, bare path (on the default file system) or `file:` URI."""

    def __init__(self, spark_context: Any) -> None:  # noqa: ANN401 - pyspark has no types here
        self._jvm = spark_context._jvm
        self._conf = spark_context._jsc.hadoopConfiguration()

    def absolute(self, uri: str) -> str:
        """Return the URI with scheme and authority.

        Raises:
            Refused: there is no file system of that scheme.
        """
        system, path = self._at(uri)
        return str(path.makeQualified(system.getUri(), system.getWorkingDirectory()).toString())

    def exists(self, uri: str) -> bool:
        """Return whether a file or folder exists.

        Raises:
            TrainerError: the file system does not answer.
        """
        system, path = self._at(uri)
        try:
            return bool(system.exists(path))
        except Exception as error:
            raise self._failed(uri, "looked up", error) from error

    def listed(self, uri: str) -> List[Tuple[str, int]]:
        """Return the files of a folder, or the file itself, with their sizes in bytes, sorted by URI.

        Without those whose names begin with `_` or `.`, which hold no records.

        Raises:
            Refused: there is a folder in it, whose files would be left out.
            TrainerError: they cannot be listed.
        """
        system, path = self._at(uri)
        try:
            found = [
                (str(one.getPath().toString()), int(one.getLen()), bool(one.isFile()))
                for one in system.listStatus(path)
            ]
        except Exception as error:
            raise self._failed(uri, "listed", error) from error
        read = sorted(one for one in found if one[0].rpartition("/")[2][:1] not in {"_", "."})
        for name, _, is_file in read:
            if not is_file:
                raise Refused("folder-inside", uri=uri, folder=name)
        return [(name, size) for name, size, _ in read]

    def stamp(self, uri: str) -> Tuple[Tuple[str, int, int], ...]:
        """Return names, sizes and times of a file, or of a folder's files; writing them changes it.

        Raises:
            TrainerError: they cannot be listed.
        """
        system, path = self._at(uri)
        try:
            return tuple(
                sorted(
                    (str(one.getPath().toString()), int(one.getLen()), int(one.getModificationTime()))
                    for one in system.listStatus(path)
                )
            )
        except Exception as error:
            raise self._failed(uri, "listed", error) from error

    def make_folder(self, uri: str) -> None:
        """Create a folder unless it exists; also a check that the file system accepts writes.

        Raises:
            TrainerError: the file system refuses it.
        """
        system, path = self._at(uri)
        try:
            system.mkdirs(path)
        except Exception as error:
            raise self._failed(uri, "created", error) from error

    def write(self, uri: str, text: str) -> None:
        """Write a small file, replacing an existing one.

        Raises:
            TrainerError: the file system refuses it.
        """
        system, path = self._at(uri)
        try:
            stream = system.create(path, True)
            stream.write(bytearray(text.encode()))
            stream.close()
        except Exception as error:
            raise self._failed(uri, "written", error) from error

    def remove(self, uri: str) -> None:
        """Remove a file, or a folder with all that is in it, if it exists.

        Raises:
            TrainerError: the file system refuses it.
        """
        system, path = self._at(uri)
        try:
            system.delete(path, True)
        except Exception as error:
            raise self._failed(uri, "removed", error) from error

    def head(self, uri: str, size: int) -> bytes:
        """Return the first bytes of a file.

        Raises:
            TrainerError: it cannot be read.
        """
        system, path = self._at(uri)
        try:
            stream = system.open(path)
            try:
                read = [int(stream.read()) for _ in range(size)]
            finally:
                stream.close()
        except Exception as error:
            raise self._failed(uri, "read", error) from error
        return bytes(one for one in read if one >= 0)

    def fetch(self, uri: str, target: Path) -> None:
        """Copy a file to this machine.

        Raises:
            TrainerError: it cannot be read.
        """
        system, path = self._at(uri)
        try:
            system.copyToLocalFile(False, path, self._jvm.org.apache.hadoop.fs.Path(str(target)), True)
        except Exception as error:
            raise self._failed(uri, "copied", error) from error

    def _at(self, uri: str) -> Any:  # noqa: ANN401
        try:
            path = self._jvm.org.apache.hadoop.fs.Path(storage.whole(uri))
            return path.getFileSystem(self._conf), path
        except Exception as error:
            raise Refused("path-invalid", uri=uri, reason=java_message(error)) from error

    @staticmethod
    def _failed(uri: str, action: str, error: Exception) -> TrainerError:
        words = java_message(error)
        if "SafeMode" in words or "safe mode" in words:
            return Refused("hdfs-safe-mode", uri=uri)
        return TrainerError("storage-failed", uri=uri, action=action, reason=words)


def java_message(error: Exception) -> str:
    """Return the first line of a Java exception, without the stack."""
    java = getattr(error, "java_exception", None)
    text = str(java.toString()) if java is not None else str(error)
    return text.strip().splitlines()[0] if text.strip() else type(error).__name__


def on_this_node(uri: str) -> Path:
    """Return the path of a `file:` URI, which has to exist on every node.

    Raises:
        Refused: it does not exist on this node.
    """
    path = Path(storage.local_path(uri))
    if not path.exists():
        raise Refused("path-missing-on-node", uri=uri)
    return path

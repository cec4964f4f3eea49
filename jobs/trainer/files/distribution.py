"""Distribution of files and folders to all nodes, and where they lie there.

Spark's addFile is the fast way. It reads names as URIs, so that blanks, `#`, `%` and the like fail or name
another file, and it stores everything under its base name, of which there can be only one. Files of other
names pass through the driver, under a plain one; folders are fetched by each executor itself. It takes no
folder of this machine: a database that the driver has made travels as a file.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Dict, Mapping, Sequence, Set

from jobs.trainer.errors import TrainerError
from jobs.trainer.files import storage
from jobs.trainer.files.hadoop import Files, java_message

_PLAIN = re.compile(r"[a-z][a-z0-9+.-]*://[A-Za-z0-9_.@:-]*/[A-Za-z0-9_./=+@~,-]*")
_ODD = re.compile(r"[^A-Za-z0-9._-]")
_DATABASE, _DATABASES = "database:", "databases:"
_AGAIN = "again:"
"""`again:NUMBER:URI`: a folder that has changed since executors fetched it."""
_GIVEN = ("spark.files", "spark.submit.pyFiles", "spark.yarn.dist.files", "spark.yarn.dist.pyFiles")
"""Settings with files that lie in the same folder on a node."""


class Distribution:
    """What a job has distributed; `folder` is a local one for files on their way."""

    def __init__(
        self,
        spark_context: Any,  # noqa: ANN401 - pyspark has no types here
        files: Files,
        folder: Path,
        conf: Mapping[str, str],
    ) -> None:
        self._context, self._files, self._folder = spark_context, files, folder
        self._names: Dict[str, str] = {}
        """Names on the nodes by URI."""
        self._again = 0
        given = ",".join(conf.get(name, "") for name in _GIVEN).split(",")
        self._taken: Set[str] = {_base(uri.partition("#")[0]) for uri in given if uri}

    def add(self, uri: str, *, folder: bool = False, written: bool = False) -> str:
        """Distribute a file or folder to all nodes; return its name for `locate`.

        `written`: it may have been written since it was distributed before.

        Raises:
            TrainerError: it cannot be read.
        """
        uri = self._files.absolute(uri)
        if storage.local_path(uri):
            return uri
        if uri in self._names and not written:
            return self._names[uri]
        name = _base(uri)
        if name in self._taken or not _PLAIN.fullmatch(uri):
            if folder:
                self._again += written
                self._names[uri] = "{}{}:{}".format(_AGAIN, self._again, uri) if written else uri
                return self._names[uri]
            self._names[uri] = self._add_copy(uri)
            return self._names[uri]
        try:
            self._context.addFile(uri, folder)
        except Exception as error:
            raise TrainerError("distribution-failed", uri=uri, reason=java_message(error)) from error
        self._taken.add(name)
        self._names[uri] = name
        return name

    def add_model(self, uri: str, *, written: bool = False) -> str:
        """Distribute a model to score with, as `add` does."""
        return self.add(uri, written=written)

    def _add_copy(self, uri: str) -> str:
        """Distribute a copy of a file, which passes through the driver, under a new name; return that."""
        plain, number = _ODD.sub("_", _base(uri)), len(self._taken)
        while "{}-{}".format(number, plain) in self._taken:
            number += 1
        name = "{}-{}".format(number, plain)
        self._files.fetch(uri, self._folder / name)
        try:
            self._context.addFile(str(self._folder / name))
        except Exception as error:
            raise TrainerError("distribution-failed", uri=uri, reason=java_message(error)) from error
        self._taken.add(name)
        return name

    def add_database(self, file: Path) -> str:
        """Distribute an LMDB's data.mdb of this machine to all nodes; return its name for `locate`.

        The file is moved within its folder's parent, and has to stay there while the job runs.

        Raises:
            TrainerError: it cannot be distributed.
        """
        number = len(self._taken)
        while "converted-{}.mdb".format(number) in self._taken:
            number += 1
        name = "converted-{}.mdb".format(number)
        given = file.parent.with_name(name)
        file.rename(given)
        try:
            self._context.addFile(str(given))
        except Exception as error:
            raise TrainerError("distribution-failed", uri=name, reason=java_message(error)) from error
        self._taken.add(name)
        return _DATABASE + name

    def add_databases(self, files: Sequence[Path]) -> str:
        """Distribute LMDBs as `add_database` does; return one name for a folder with 0, 1, … in it."""
        names = [self.add_database(file)[len(_DATABASE) :] for file in files]
        return _DATABASES + ",".join(names)


def locate(name: str) -> Path:
    """Return the local path of what `Distribution` returned: a `file:` URI, a name, or a URI to fetch.

    Raises:
        TrainerError: it cannot be fetched.
    """
    path = storage.local_path(name)
    if path:
        return Path(path)
    from pyspark import SparkFiles

    if name.startswith(_DATABASE):
        return _folder_of(Path(SparkFiles.get(name[len(_DATABASE) :])))
    if name.startswith(_DATABASES):
        return _folder_with([Path(SparkFiles.get(one)) for one in name[len(_DATABASES) :].split(",")])
    return (
        _fetched(name, Path(SparkFiles.getRootDirectory())) if "://" in name else Path(SparkFiles.get(name))
    )


def _folder_of(file: Path) -> Path:
    """Return the folder of an LMDB whose data.mdb has another name."""
    folder = file.with_name(file.name + ".lmdb")
    folder.mkdir(exist_ok=True)
    with suppress(FileExistsError):
        (folder / "data.mdb").symlink_to(file)
    return folder


def _folder_with(files: Sequence[Path]) -> Path:
    """Return a folder with the folders of LMDBs in it, by their numbers."""
    folder = files[0].with_name(files[0].name + ".columns")
    folder.mkdir(exist_ok=True)
    for number, file in enumerate(files):
        with suppress(FileExistsError):
            (folder / str(number)).symlink_to(_folder_of(file))
    return folder


def _fetched(name: str, root: Path) -> Path:
    """Return the copy of a folder that this executor's tasks share; the first of them makes it."""
    target = root / "fetched-{}".format(hashlib.sha256(name.encode()).hexdigest()[:16])
    uri = name.split(":", 2)[2] if name.startswith(_AGAIN) else name
    if not target.exists():
        partial = Path(tempfile.mkdtemp(prefix="fetching-", dir=str(root)))
        try:
            storage.get(uri, partial / "data")
            # Fails where another task was faster.
            if not target.exists():
                (partial / "data").rename(target)
        except OSError:
            if not target.exists():
                raise
        finally:
            shutil.rmtree(str(partial), ignore_errors=True)
    return target


def _base(uri: str) -> str:
    return uri.rstrip("/").rpartition("/")[2]

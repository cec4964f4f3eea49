"""The user's Spark context: what runs on it have in common, and which settings they need.

The context is the user's. It is never stopped, and may have jobs of its own.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path
from posixpath import normpath
from typing import Any, Callable, Dict, List, Mapping, Set, Tuple

import jobs
from jobs.trainer.caffe import native
from jobs.trainer.errors import Refused
from jobs.trainer.executors import Executors
from jobs.trainer.files import storage
from jobs.trainer.files.distribution import Distribution
from jobs.trainer.files.hadoop import Files

_ONCE: Mapping[str, Tuple[str, str]] = {
    "spark.task.maxFailures": ("4", "1"),
    "spark.stage.maxConsecutiveAttempts": ("4", "1"),
    "spark.speculation": ("false", "false"),
}
"""Settings by which Spark runs a failed or slow rank again: Spark's default, and what training needs."""
_PATH = "spark.executorEnv.PYTHONPATH"
_SHIPPED = ("spark.submit.pyFiles", "spark.yarn.dist.pyFiles")


class Held:
    """A context with a folder on this machine, and what has been distributed to its nodes.

    Spark fetches added files for each new executor, so the folder lives as long as the context.
    """

    def __init__(self, spark: Any) -> None:  # noqa: ANN401 - pyspark has no types here
        self.spark, self.context = spark, spark.sparkContext
        self.conf: Dict[str, str] = dict(self.context.getConf().getAll())
        self._require_path()
        self.folder = Path(tempfile.mkdtemp(prefix="caffe-spark-"))
        atexit.register(shutil.rmtree, str(self.folder), ignore_errors=True)
        self.nodes = Renewed(self.context, Files(self.context), self.folder, self.conf)
        self._kept: List[Callable[[], None]] = []
        self._ship()

    def begin(self) -> None:
        """Begin a run: what the frame of an earlier one reports to is closed."""
        self.close()
        self.nodes.begin()

    def keep(self, close: Callable[[], None]) -> None:
        """Keep something open for a frame that is computed later, until the next run or the context's end."""
        self._kept.append(close)

    def close(self) -> None:
        """Close what was kept."""
        while self._kept:
            self._kept.pop()()

    def run_folder(self) -> Path:
        """Return a new folder for a run."""
        return Path(tempfile.mkdtemp(prefix="run-", dir=str(self.folder)))

    def executors(self) -> Executors:
        """Return the executors for a run, which those lost before do not concern."""
        return Executors(self.context, earlier=True)

    def require_one_attempt(self) -> None:
        """Require settings by which Spark does not train again from the start, in silence, after a failure.

        Raises:
            Refused: the context was started with others.
        """
        for setting, (default, needed) in _ONCE.items():
            value = self.conf.get(setting, default).lower()
            if value != needed:
                raise Refused("context-retries", setting=setting, value=value, needed=needed)

    def _require_path(self) -> None:
        """Require that executors import Caffe from where this node does; local ones share its path."""
        paths, needed = self.conf.get(_PATH, ""), native.folder()
        known = map(normpath, paths.split(":"))
        if not self.conf.get("spark.master", "").startswith("local") and normpath(needed) not in known:
            raise Refused("context-path", setting=_PATH, value=paths, needed=needed)

    def _ship(self) -> None:
        """Ship this package to the executors, unless spark-submit has."""
        packages = Path(jobs.__file__).parents[1]
        shipped = ",".join(self.conf.get(name, "") for name in _SHIPPED)
        if packages.name in {uri.rpartition("/")[2] for uri in shipped.split(",")}:
            return
        zipped = packages
        if packages.is_dir():
            made = shutil.make_archive(str(self.folder / "caffe-spark"), "zip", str(packages), jobs.__name__)
            zipped = Path(made)
        self.context.addPyFile(str(zipped))


class Renewed(Distribution):
    """A distribution that several runs share: what has changed in storage since is distributed again."""

    def __init__(self, spark_context: Any, files: Files, folder: Path, conf: Mapping[str, str]) -> None:  # noqa: ANN401
        super().__init__(spark_context, files, folder, conf)
        self._stamps: Dict[str, Any] = {}
        self._fresh: Set[str] = set()
        self._models: Dict[Tuple[str, Any], str] = {}

    def begin(self) -> None:
        """Begin a run, in which each file is looked up once."""
        self._fresh = set()

    def add(self, uri: str, *, folder: bool = False, written: bool = False) -> str:
        """See `Distribution.add`."""
        uri = self._files.absolute(uri)
        if not storage.local_path(uri) and (written or uri not in self._fresh):
            stamp = self._files.stamp(uri)
            written = written or self._stamps.get(uri, stamp) != stamp
            self._stamps[uri] = stamp
            self._fresh.add(uri)
        return super().add(uri, folder=folder, written=written)

    def add_model(self, uri: str, *, written: bool = False) -> str:
        """Distribute a copy of a model, also of a local one: it may change before rows are computed."""
        uri = self._files.absolute(uri)
        key = uri, self._files.stamp(uri)
        if key not in self._models:
            self._models[key] = self._add_copy(uri)
        return self._models[key]


_HELD: Dict[str, Held] = {}
"""By application."""


def held(spark: Any) -> Held:  # noqa: ANN401 - pyspark has no types here
    """Return what a session's or a context's runs have in common.

    Raises:
        Refused: the context has been stopped, or its executors do not find Caffe.
        TrainerError: this node has no Caffe.
    """
    native.load()
    session = spark if hasattr(spark, "sparkContext") else _session(spark)
    context = session.sparkContext
    if context._jsc is None:
        raise Refused("context-stopped")
    for ended in [name for name, one in _HELD.items() if one.context._jsc is None]:
        _HELD.pop(ended).close()
    application = str(context.applicationId)
    if application not in _HELD:
        _HELD[application] = Held(session)
    return _HELD[application]


def _session(spark_context: Any) -> Any:  # noqa: ANN401 - pyspark has no types here
    if spark_context._jsc is None:
        raise Refused("context-stopped")
    from pyspark.sql import SparkSession

    return SparkSession.builder.getOrCreate()

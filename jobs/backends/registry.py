"""Backends of a cluster, by name.

A new backend is a module here, one line in `_MAKERS`, and one in `names` for the clusters that have it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from bootstrap.cluster import Cluster, ClusterDocument, HdInsight
from bootstrap.errors import CaffeSparkError, JobError
from jobs.backends.base import Backend
from jobs.job import JobRecord, require_job_id

LIVY = "livy"
_MAKERS: Mapping[str, tuple[str, str]] = {
    "standalone": ("jobs.backends.standalone", "StandaloneBackend"),
    "yarn": ("jobs.backends.yarn", "YarnBackend"),
    LIVY: ("jobs.backends.livy", "LivyBackend"),
}
"""Module and class by name; imported on use, since Azure's clients take a second."""
_BY_DOCUMENT = {LIVY}
"""Backends that need no nodes: they take the cluster document."""


def names(document: ClusterDocument) -> tuple[str, ...]:
    """Return the names of a cluster's backends; the last one is the default."""
    livy = isinstance(document.members, HdInsight) and bool(document.members.gateway)
    return (*([LIVY] if livy else []), document.scheduler.kind)


class Backends:
    """Backends of a cluster, created on use; `resolve` finds the nodes for those that need them."""

    def __init__(self, document: ClusterDocument, resolve: Callable[[], Cluster]) -> None:
        self.document = document
        self._resolve = resolve
        self._made: dict[str, Backend] = {}

    @classmethod
    def of(cls, cluster: Cluster) -> Backends:
        """Return the backends of a cluster whose nodes are known."""
        return cls(cluster, lambda: cluster)

    def __enter__(self) -> Backends:
        return self

    def __exit__(self, *_: object) -> None:
        for backend in self._made.values():
            backend.close()

    def get(self, name: str) -> Backend:
        """Return a backend by name.

        Raises:
            ConfigError: the cluster does not support it.
        """
        if name not in self._made:
            module, kind = _MAKERS[name]
            make: Any = getattr(import_module(module), kind)
            self._made[name] = make(self.document if name in _BY_DOCUMENT else self._resolve())
        return self._made[name]

    @property
    def default(self) -> Backend:
        """The backend for new jobs."""
        return self.get(names(self.document)[-1])

    def find(self, job: str) -> tuple[Backend, JobRecord]:
        """Return a job's backend and record.

        Raises:
            JobError: the id is not valid, or no backend has the job; the message lists recent jobs.
            ServiceDown, Unreachable: a backend that might have it does not answer.
        """
        require_job_id(job)
        silent: CaffeSparkError | None = None
        for name in names(self.document):
            try:
                backend = self.get(name)
                record = backend.record(job)
            except CaffeSparkError as error:
                silent = silent or error
                continue
            if record is not None:
                return backend, record
        if silent is not None:
            raise silent
        jobs, _ = self.records()
        recent = ", ".join(record.id for record in jobs[:10])
        where = self.default.driver
        listed = f"recent jobs: {recent}" if recent else "there is none yet"
        raise JobError(
            f"job {job!r}",
            f"{where} has no such job; {listed}",
            "Give one of these, or submit a job: `fab submit-mnist`.",
        )

    def records(self) -> tuple[list[JobRecord], list[str]]:
        """Return all jobs, newest first, and a line for each backend that does not answer.

        Raises:
            ServiceDown, Unreachable: none answers.
        """
        found, silent = list[JobRecord](), list[CaffeSparkError]()
        for name in names(self.document):
            try:
                found += self.get(name).records()
            except CaffeSparkError as error:
                silent.append(error)
        if len(silent) == len(names(self.document)):
            raise silent[-1]
        return sorted(found, key=lambda record: record.began, reverse=True), [str(error) for error in silent]

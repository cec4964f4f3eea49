"""Jobs that would write the same names in shared storage: refused while the other runs, and told later."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bootstrap.cluster import Cluster
from bootstrap.errors import JobError
from jobs.backends.head_records import place_of
from jobs.job import JobRecord, SubmittedJob
from jobs.run import claims
from jobs.run.claims import require_free
from tests.jobs.specs import mnist_spec

MODEL = "hdfs://head:9000/models/a.caffemodel"


class Backend:
    """Jobs with what they were submitted with; the solver of each is where it was."""

    def __init__(self, cluster: Cluster) -> None:
        self.document, self._records = cluster, list[JobRecord]()
        self.prefixes: dict[str, str] = {}
        self.listed = 0

    def add(self, name: str, *, active: bool = True, began: float = 1.0, **changes: Any) -> JobRecord:
        job = SubmittedJob(mnist_spec(**changes), "key", place_of(self.document, name))
        self._records.append(JobRecord(job, began, active, None if active else 1))
        return self._records[-1]

    def records(self) -> list[JobRecord]:
        self.listed += 1
        return self._records

    def bring_files(self, job: SubmittedJob, names: list[str], to: Path) -> None:
        if job.id not in self.prefixes:
            raise JobError(f"job {job.id}", "it is not there", "Submit it again.")
        for name in names:
            (to / name).write_text(self.prefixes[job.id])


@pytest.fixture
def backend(cluster: Cluster) -> Any:
    return Backend(cluster)


def test_a_model_that_a_running_job_writes_is_refused_by_its_name(backend: Any) -> None:
    backend.add("first-1", model=MODEL)
    with pytest.raises(JobError) as refused:
        require_free(backend, mnist_spec(model=MODEL))
    assert str(refused.value) == (
        f"model: {MODEL}: job first-1 runs, and writes the same names: each would take the other's files for "
        f"its own. Wait for its end (`fab attach first-1 --stack {backend.document.stack}`), or give another "
        "one."
    )


@pytest.mark.parametrize(
    "model", ["/models/a.caffemodel", "hdfs:///models/a.caffemodel", "/models/../models/a.caffemodel.h5"]
)
def test_it_is_known_in_each_way_to_write_it(backend: Any, model: str) -> None:
    backend.add("first-1", model=MODEL)
    with pytest.raises(JobError, match="job first-1 runs"):
        require_free(backend, mnist_spec(model=model))


def test_snapshots_of_other_models_have_the_same_names_where_the_prefix_is_the_same(backend: Any) -> None:
    spec = mnist_spec(model="/models/b.caffemodel")
    backend.add("first-1", model=MODEL)
    backend.prefixes["first-1"] = '# snapshot_prefix: "x"\nbase_lr: 1 snapshot_prefix: "other"\n'
    require_free(backend, spec)
    backend.prefixes["first-1"] = spec.solver.read_text()
    with pytest.raises(JobError, match="job first-1 runs"):
        require_free(backend, spec)


def test_a_solver_without_a_prefix_has_its_files_name(backend: Any, tmp_path: Path) -> None:
    solver = tmp_path / "plain.prototxt"
    solver.write_text("base_lr: 1\n")
    spec = mnist_spec(model="/models/b.caffemodel", solver=solver)
    backend.add("first-1", model=MODEL)
    backend.prefixes["first-1"] = 'snapshot_prefix: "plain"\n'
    with pytest.raises(JobError, match="job first-1 runs"):
        require_free(backend, spec)


def test_snapshots_whose_names_nobody_knows_may_be_the_same(backend: Any) -> None:
    backend.add("first-1", model=MODEL)
    with pytest.raises(JobError, match="job first-1 runs"):
        require_free(backend, mnist_spec(model="/models/b.caffemodel"))


def test_a_model_in_the_folder_of_a_running_job_is_refused(backend: Any) -> None:
    record = backend.add("first-1")
    with pytest.raises(JobError, match="job first-1 runs"):
        require_free(backend, mnist_spec(model=f"{record.job.place.storage}/mnist.model"))


def test_features_go_where_no_running_job_writes_them(backend: Any) -> None:
    backend.add("first-1", output="/features/a")
    with pytest.raises(JobError, match="output: hdfs:///features/a: job first-1 runs"):
        require_free(backend, mnist_spec(output="hdfs:///features/a"))


@pytest.mark.parametrize(
    "other",
    [
        {"model": MODEL, "active": False},
        {"model": "/other/a.caffemodel"},
        {"model": "s3a://elsewhere/models/a.caffemodel"},
        {"model": MODEL, "train": False},
        {},
    ],
)
def test_jobs_that_have_ended_or_write_elsewhere_are_no_hindrance(
    backend: Any, other: dict[str, Any]
) -> None:
    backend.add("first-1", **other)
    require_free(backend, mnist_spec(model=MODEL))


def test_a_job_that_writes_into_its_own_folder_asks_for_no_others(backend: Any) -> None:
    require_free(backend, mnist_spec())
    assert backend.listed == 0


def test_the_newest_later_job_of_the_same_names_is_told(backend: Any) -> None:
    mine = backend.add("first-1", active=False, began=1.0, model=MODEL)
    assert claims.replaced(backend, mine) == ""
    backend.add("before-1", active=False, began=0.5, model=MODEL)
    backend.add("elsewhere-1", active=False, began=4.0, model="/other/a.caffemodel")
    assert claims.replaced(backend, mine) == ""
    backend.add("second-1", active=False, began=2.0, model=MODEL)
    backend.add("third-1", active=True, began=3.0, model=MODEL)
    assert claims.replaced(backend, mine) == "third-1"


def test_a_job_in_its_own_folder_is_replaced_by_none(backend: Any) -> None:
    assert claims.replaced(backend, backend.add("first-1", active=False)) == ""
    assert backend.listed == 0

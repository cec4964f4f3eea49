"""Jobs on a real head whose programs plant links: what is root's stays as it was."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from bootstrap import paths
from bootstrap.cluster import Cluster
from jobs.backends.head_records import place_of
from jobs.backends.standalone import StandaloneBackend
from jobs.job import SubmittedJob
from tests.bootstrap.nodes import bare_nodes
from tests.jobs.specs import mnist_spec

pytestmark = pytest.mark.cluster

SECRET = "/etc/secret-of-root"
PLANTS = f"""#!/bin/sh
echo '{{"event": "phase", "time": 1.0, "phase": "train"}}' >>"$CAFFE_SPARK_EVENTS"
for folder in . .. ../.. ../../..; do
    for name in log status status.new run.sh job.json lock events.jsonl main.py; do
        rm -rf $folder/$name
        ln -s {SECRET} $folder/$name
    done
done
mv ../../"$CAFFE_SPARK_JOB" ../../away
echo 0 >../status
id -un
exit 3
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head without roles, on which any program runs in Spark's place."""
    with bare_nodes(["head"]) as made:
        backend = StandaloneBackend(made)
        backend.head.run(
            f"useradd --system --create-home --home-dir /var/lib/spark {paths.JOB_USER}\n"
            # As earlier versions had it.
            f"mkdir -p {paths.SPARK_HOME}/bin {paths.JOBS}; chown {paths.JOB_USER} {paths.JOBS}\n"
        )
        backend.head.put(PLANTS.encode(), f"{paths.SPARK_HOME}/bin/spark-submit", mode=0o755)
        backend.close()
        yield made


@pytest.fixture
def backend(cluster: Cluster) -> Iterator[StandaloneBackend]:
    made = StandaloneBackend(cluster)
    made.head.run(f"umask 077; echo secret >{SECRET}")
    yield made
    made.close()


def _secret(backend: StandaloneBackend) -> str:
    return backend.head.run(f"stat -c '%a %U' {SECRET}; cat {SECRET}").stdout


def test_a_job_changes_nothing_but_its_own(backend: StandaloneBackend, tmp_path: Path) -> None:
    job = backend.launch(mnist_spec(), "key", lambda _: None)

    assert backend.follow(job, lambda _: None) == 3
    assert _secret(backend) == "600 root\nsecret\n"
    assert paths.JOB_USER in backend.bring_log(job, tmp_path / "log").text.splitlines()
    record = backend.record(job.id)
    assert record is not None
    assert (record.state, record.job) == ("failed", job)
    assert record.history.events == []  # the job put a link in their place
    backend.kill(job)
    backend.clean_up(job, 3)
    assert _secret(backend) == "600 root\nsecret\n"
    owners = backend.head.run(
        f"stat -c '%U %F' {paths.JOBS} {job.place.folder}; cd {job.place.folder}; stat -c '%n %U' *"
    ).stdout.splitlines()
    assert owners == [
        *["root directory"] * 2,
        "job.json root",
        f"log {paths.JOB_USER}",
        "run.sh root",
        "status root",
        f"work {paths.JOB_USER}",
    ]


def test_a_job_of_an_earlier_version_is_handled_with_its_own_rights(
    backend: StandaloneBackend, tmp_path: Path
) -> None:
    place = place_of(backend.cluster, "mnist-20260101-000000")
    record = json.loads(SubmittedJob(mnist_spec(), "key", place).dump())
    del record["place"]["divided"]
    backend.head.put(json.dumps(record).encode(), f"{place.folder}/job.json")
    planted = f"cd {place.folder}; for name in log status events.jsonl; do ln -s {SECRET} $name; done"
    backend.head.run(
        f"chown -R {paths.JOB_USER} {paths.JOBS}\nrunuser -u {paths.JOB_USER} -- sh -c {shlex.quote(planted)}"
    )

    found = backend.record("mnist-20260101-000000")
    assert found is not None
    assert (found.state, found.job.place.work) == ("lost", place.folder)
    backend.bring_log(found.job, tmp_path / "log")
    assert not (tmp_path / "log").exists()
    lines: list[str] = []
    assert backend.follow(found.job, lines.append) == 137
    backend.kill(found.job)
    backend.head.run(f"ln -sfn {SECRET}-too {place.folder}/status")
    backend.kill(found.job)
    assert lines == []
    assert _secret(backend) == "600 root\nsecret\n"
    assert not backend.head.run(f"ls {SECRET}-too", check=False).ok

    backend.head.run(f"rm {place.folder}/status")
    backend.kill(found.job)
    assert backend.head.run(f"stat -c %U {place.folder}/status").stdout == f"{paths.JOB_USER}\n"
    assert backend.follow(found.job, lines.append) == 143

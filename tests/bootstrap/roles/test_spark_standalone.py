from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bootstrap import paths
from tests.bootstrap.roles.conftest import Compile, sh

ALIVE = "Every worker is alive for Spark's master"
JOIN = "Join Spark's master"
StandIn = Callable[..., str]


def master_says(**workers: str) -> str:
    """The master's list of workers, as Spark 3.5 prints it."""
    listed = [
        {"id": f"worker-{host}", "host": host, "resources": {}, "state": state}
        for host, state in workers.items()
    ]
    return json.dumps({"url": "spark://head:7077", "workers": listed}, indent=2, separators=(",", " : "))


def test_daemons_serve_the_clusters_own_names(compile_for: Compile) -> None:
    master = compile_for("spark_standalone").template("spark-master.service.j2")
    worker = compile_for("spark_standalone", "w1").template("spark-worker.service.j2")
    assert "--host head --port 7077" in master
    assert "--host ${NODE_NAME}" in worker
    assert f"EnvironmentFile={paths.IDENTITY}" in worker
    assert worker.count("spark://head:7077") == 1


def test_another_version_restarts_the_daemons(compile_for: Compile) -> None:
    start = compile_for("spark_standalone", "w1").commands["Start Spark's worker"]
    assert "/opt/spark/version.py" in start.guard


@pytest.mark.parametrize(
    ("says", "joined"),
    [
        (master_says(w1="ALIVE", w2="ALIVE"), True),
        (master_says(w1="DEAD", w2="ALIVE"), False),
        (master_says(w2="ALIVE"), False),
        (master_says(), False),
    ],
)
def test_a_worker_counts_as_joined_when_the_master_says_so(
    compile_for: Compile, stand_in: StandIn, tmp_path: Path, says: str, joined: bool
) -> None:
    (tmp_path / "node").write_text("NODE_NAME=w1\nNODE_ADDRESS=10.9.8.11\n")
    guard = compile_for("spark_standalone", "w1", get=stand_in(says)).commands[JOIN].guard
    assert (sh(guard.replace(paths.IDENTITY, f"{tmp_path}/node")).returncode == 0) is joined


def test_the_check_names_the_worker_that_is_missing(compile_for: Compile, stand_in: StandIn) -> None:
    check = compile_for("spark_standalone", get=stand_in(master_says(w1="DEAD", w2="ALIVE"))).checks[ALIVE]
    got = sh(check.run.replace("sleep 0.5", "true").replace("tries=30", "tries=2"))
    assert (got.returncode, got.stdout.strip()) == (1, "the master does not hear from: w1")


def test_the_check_is_content_with_all_workers(compile_for: Compile, stand_in: StandIn) -> None:
    check = compile_for("spark_standalone", get=stand_in(master_says(w1="ALIVE", w2="ALIVE"))).checks[ALIVE]
    assert sh(check.run).returncode == 0


def test_a_master_that_is_started_again_knows_what_runs(on_each_line: Compile) -> None:
    unit = on_each_line("spark_standalone").template("spark-master.service.j2")
    line = on_each_line("spark_standalone").variables["recovery"].removeprefix("spark-master-")

    assert f"RuntimeDirectory=spark-master-{line}\n" in unit
    # Kept when the service ends, gone when the machine does, and Spark's alone: the secret is in it.
    assert "RuntimeDirectoryPreserve=yes\n" in unit
    assert "RuntimeDirectoryMode=0700\n" in unit
    assert (
        '"SPARK_MASTER_OPTS=-Dspark.deploy.recoveryMode=FILESYSTEM '
        f'-Dspark.deploy.recoveryDirectory=%t/spark-master-{line}"\n'
    ) in unit

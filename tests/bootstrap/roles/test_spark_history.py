from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from bootstrap import paths
from tests.bootstrap.roles.conftest import Compile, sh
from tests.bootstrap.roles.test_spark import settings

FOLDER = "Make the folder of event logs"
StandIn = Callable[..., str]


def environment(text: str) -> dict[str, str]:
    lines = [line.removeprefix("export ") for line in text.splitlines() if line.startswith("export ")]
    return {name: value.strip('"') for name, value in (line.split("=", 1) for line in lines)}


def test_the_server_listens_on_loopback_alone_and_has_a_small_heap(compile_for: Compile) -> None:
    found = environment(compile_for("spark_history").template("spark-env.sh.j2"))
    assert found["SPARK_LOCAL_IP"] == "127.0.0.1"
    assert found["SPARK_DAEMON_MEMORY"] == "256m"


def test_the_server_reads_what_jobs_write(on_each_line: Compile) -> None:
    jobs = settings(on_each_line("spark").template("spark-defaults.conf.j2"))
    server = settings(on_each_line("spark_history").template("spark-defaults.conf.j2"))
    assert jobs["spark.eventLog.enabled"] == "true"
    assert jobs["spark.eventLog.dir"] == server["spark.history.fs.logDirectory"]
    assert server["spark.history.fs.logDirectory"] == f"hdfs://head:9000{paths.EVENT_LOGS}"


def test_the_server_does_not_have_the_clusters_secret(compile_for: Compile) -> None:
    history = compile_for("spark_history")
    assert "authenticate" not in history.template("spark-defaults.conf.j2")
    unit = history.template("spark-history.service.j2")
    assert "SPARK_CONF_DIR=/etc/spark-history" in unit


@pytest.mark.parametrize(
    "name",
    [
        "spark.authenticate.secret",
        "fs.s3a.access.key",
        "fs.s3a.secret.key",
        "fs.azure.account.key.account1.blob.core.windows.net",
    ],
)
def test_no_key_is_written_to_event_logs_or_shown(compile_for_yarn: Compile, name: str) -> None:
    for role in ("spark", "spark_history"):
        found = settings(compile_for_yarn(role).template("spark-defaults.conf.j2"))
        assert re.search(found["spark.redaction.regex"], name), role


def test_forged_logs_cost_jobs_nothing(compile_for: Compile) -> None:
    unit = compile_for("spark_history").template("spark-history.service.j2")
    for line in ("Nice=10", "OOMScoreAdjust=500", "MemoryMax=768M", "NoNewPrivileges=true", "User=spark"):
        assert line in unit.splitlines()


def test_only_the_head_has_it(compile_for: Compile) -> None:
    assert list(compile_for("spark_history", "w1").commands) == []


STATUS = '{{"FileStatus":{{"group":"x","owner":"{0}","pathSuffix":"","permission":"{1}","type":"{2}"}}}}'


@pytest.mark.parametrize(
    ("answer", "holds"),
    [
        (("spark", "700", "DIRECTORY"), True),
        (("hdfs", "700", "DIRECTORY"), False),
        (("spark", "755", "DIRECTORY"), False),
        (("spark", "700", "FILE"), False),
    ],
)
def test_the_folder_of_logs_is_the_job_users_alone(
    compile_for: Compile, stand_in: StandIn, answer: tuple[str, str, str], holds: bool
) -> None:
    guard = compile_for("spark_history", get=stand_in(STATUS.format(*answer))).commands[FOLDER].guard
    assert (sh(guard).returncode == 0) is holds


def test_a_folder_that_is_missing_is_made_with_its_permissions(compile_for: Compile, tmp_path: Path) -> None:
    hdfs = tmp_path / "hdfs"
    hdfs.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/said\n')
    hdfs.chmod(0o755)
    run = compile_for("spark_history", as_spark="").commands[FOLDER].run
    assert sh(run.replace(paths.HDFS, str(hdfs))).returncode == 0
    url = f"hdfs://head:9000{paths.EVENT_LOGS}"
    assert (tmp_path / "said").read_text().splitlines() == [f"dfs -mkdir -p {url}", f"dfs -chmod 0700 {url}"]


@pytest.mark.parametrize("status", [0, 7])
def test_the_check_says_that_nothing_answers(compile_for: Compile, stand_in: StandIn, status: int) -> None:
    check = compile_for("spark_history", get=stand_in("[ ]", status)).checks["Spark's history server answers"]
    got = sh(f"systemctl() {{ echo inactive; }}\n{check.run}")
    assert got.returncode == (1 if status else 0)
    if status:
        assert got.stdout == "nothing answers at http://127.0.0.1:18080: inactive\n"


def test_an_object_stores_folder_is_looked_for_by_its_client(compile_for_yarn: Compile) -> None:
    guard = compile_for_yarn("spark_history").commands[FOLDER].guard
    assert "dfs -test -d wasb://" in guard

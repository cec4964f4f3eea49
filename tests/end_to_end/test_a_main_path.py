"""`pulumi up`, `fab build-headnode`, `fab submit-mnist`, as typed, for real, on a small cluster.

The files of this folder run in the order of their names: this one, what is refused, what heals, what is left.
"""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.end_to_end.conftest import (
    ROOT,
    TEST_IMAGES,
    Said,
    Stack,
    eventually,
    long_job,
    results_of,
    spark_lacks,
)
from tests.jobs.trainer.artefact import NODE_VARIABLE

pytestmark = pytest.mark.cluster


def test_up_exports_a_cluster_whose_secrets_are_hidden(stack: Stack, up: Said) -> None:
    shown = stack.pulumi("stack", "output", "--json")
    assert '"version": 2' in shown.output
    assert "[secret]" in shown.output
    assert "PRIVATE KEY" not in shown.output
    assert "PRIVATE KEY" not in "".join(p.read_text() for p in (stack.folder / "state").rglob("*.json"))
    assert [node.name for node in stack.cluster().nodes] == ["head", "w1", "w2"]


def test_a_second_up_changes_nothing(stack: Stack, up: Said) -> None:
    again = stack.up()
    assert again.code == 0
    assert "unchanged" in again.output
    for change in ("created", "updated", "replaced", "deleted"):
        assert change not in again.output.partition("Resources:")[2], again.output


def test_a_dry_run_prints_the_plan_and_changes_nothing(stack: Stack, up: Said) -> None:
    before = stack.on("head", "ls /opt /etc /etc/systemd/system")
    said = stack.fab("bootstrap", "--dry-run")
    assert said.code == 0
    assert "hdfs-namenode" in said.output or "NameNode" in said.output
    assert stack.on("head", "ls /opt /etc /etc/systemd/system") == before


def test_building_provisions_every_node_and_compiles_once(stack: Stack, built: Said) -> None:
    assert "compiled" in built.output
    keys = {stack.on(node, "readlink /opt/caffe").strip() for node in ("head", "w1", "w2")}
    assert len(keys) == 1
    assert keys.pop().startswith("/opt/caffe-versions/")


def test_building_again_compiles_nothing_and_changes_nothing(stack: Stack, built: Said) -> None:
    log = stack.on("head", "ls -l --time-sort /var/lib/caffe-spark/build")
    again = stack.fab("build-headnode")
    assert again.code == 0
    assert "[100%]" not in again.output
    assert stack.on("head", "ls -l --time-sort /var/lib/caffe-spark/build") == log


def test_the_trainers_tests_with_caffe_pass_on_the_artefact(stack: Stack, built: Said) -> None:
    env = {**os.environ, NODE_VARIABLE: f"caffe-spark-{stack.name}-head"}
    tests = [sys.executable, "-m", "pytest", "-q", "-n", "0", "tests/jobs/trainer/caffe"]
    tests += ["tests/jobs/api/test_with_spark.py"]
    done = subprocess.run(tests, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "skipped" not in done.stdout


def test_the_newest_spark_has_all_that_jobs_use(stack: Stack, built: Said) -> None:
    assert stack.on("head", "readlink /opt/spark") == "/opt/spark-versions/4.3.0/pyspark\n"
    assert spark_lacks(stack) == "0\n"


def test_another_spark_is_refused_while_the_stack_is_up(stack: Stack, built: Said) -> None:
    assert stack.pulumi("config", "set", "spark", "3.5").code == 0
    said = stack.up()
    assert stack.pulumi("config", "rm", "spark").code == 0
    assert said.code != 0
    assert f"stack '{stack.name}' is up with Spark 4.3" in said.output
    assert f"pulumi config set spark 4.3 --stack {stack.name}" in said.output
    assert stack.cluster().spark == "4.3"


def test_doctor_finds_nothing_wrong(stack: Stack, built: Said) -> None:
    said = stack.fab("doctor")
    assert said.code == 0, said.output
    assert re.search(r"^ *Spark( +✓ 4\.3\.0){3}", said.output, re.MULTILINE), said.output
    assert re.search(r"^ *Hadoop( +✓ 3\.5\.0){3}", said.output, re.MULTILINE), said.output


def test_a_short_job_scores_every_test_image_once(stack: Stack, trained: Said) -> None:
    folder = results_of(trained)
    rows = [json.loads(line) for line in (folder / "features.jsonl").read_text().splitlines()]
    assert len({row["SampleID"] for row in rows}) == len(rows) == TEST_IMAGES
    assert set(rows[0]) == {"SampleID", "accuracy", "loss", "label"}
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["samples"] == TEST_IMAGES
    assert summary["iterations"] == 300
    assert summary["executors"] == 2
    mean = sum(row["accuracy"][0] for row in rows) / len(rows)
    assert summary["accuracy"] == pytest.approx(mean, abs=1e-6)
    assert mean > 0.95, "300 iterations of 2 x 64 images reach 0.97"


def test_a_job_owns_its_working_folder_and_its_log_alone(stack: Stack, trained: Said) -> None:
    name = results_of(trained).name
    owners = stack.on("head", f"cd /var/lib/caffe-spark/jobs; stat -c '%U %n' . {name} {name}/*").splitlines()
    assert owners[:2] == ["root .", f"root {name}"]
    assert {line.split("/")[1] for line in owners[2:] if line.startswith("spark ")} == {"log", "work"}


def test_the_model_lies_in_shared_storage(stack: Stack, trained: Said) -> None:
    job = results_of(trained).name
    listed = stack.on("head", f"su -s /bin/sh spark -c '/opt/hadoop/bin/hdfs dfs -ls -R /jobs/{job}'")
    assert ".caffemodel" in listed or "mnist.model" in listed, listed


def test_the_rounds_of_validation_lie_beside_the_model_and_among_the_results(
    stack: Stack, trained: Said
) -> None:
    folder = results_of(trained)
    read = f"/opt/hadoop/bin/hdfs dfs -cat '/jobs/{folder.name}/mnist.model.validation/part-*'"
    rows = [json.loads(line) for line in stack.on("head", f'su -s /bin/sh spark -c "{read}"').splitlines()]
    brought = list(csv.DictReader((folder / "validation.csv").read_text().splitlines()))
    assert [list(row) for row in rows] == [["iteration", "accuracy", "loss"]] * 2
    assert [row["iteration"] for row in rows] == [100, 200]
    for row, mine in zip(rows, brought, strict=True):
        assert float(mine["accuracy"]) == pytest.approx(row["accuracy"][0], rel=1e-6)


def test_a_job_that_has_ended_is_drawn_and_its_loss_is_of_all_ranks(stack: Stack, trained: Said) -> None:
    folder = results_of(trained)
    (scalars,) = (folder / "tensorboard").iterdir()
    assert b"loss, mean over all 2 ranks" in scalars.read_bytes()
    (folder / "curve.png").unlink()
    said = stack.fab("curve", folder.name)
    assert said.code == 0, said.output
    assert str(folder / "curve.png") in said.output
    assert (folder / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_a_job_that_has_ended_is_listed_and_its_logs_are_there(stack: Stack, trained: Said) -> None:
    name = results_of(trained).name
    (line,) = [line for line in stack.fab("status").output.splitlines() if line.startswith(name)]
    assert " done " in line
    assert "Iteration 200, validation: accuracy" in stack.fab("logs", name).output
    assert "--executor-id" in stack.fab("logs", name, "--executor", "1").output


def test_a_running_job_is_followed_and_killed(stack: Stack, trained: Said, tmp_path: Path) -> None:
    with long_job(stack, tmp_path) as submitted:
        (line,) = [line for line in stack.fab("status").output.splitlines() if " running " in line]
        name = line.split()[0]
        following = subprocess.Popen(
            ["fab", "logs", name, "--follow", "--stack", stack.name],
            cwd=ROOT,
            env=stack.env,
            stdout=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
        )
        drawn = stack.fab("curve", name)
        assert drawn.code == 0, drawn.output
        said = stack.fab("kill", name)
        assert said.code == 0, said.output
        assert submitted.process.wait(timeout=60) == 1
        assert following.wait(timeout=60) == 0, "whoever follows a log is let go at the job's end"
    assert "it was killed" in submitted.output
    assert "ended already: killed" in stack.fab("kill", name).output


def test_no_process_of_a_job_is_left(stack: Stack, trained: Said) -> None:
    for node in ("head", "w1", "w2"):
        running = stack.on(node, "ps -eo args")
        assert "CoarseGrainedExecutorBackend" not in running
        assert "pyspark.daemon" not in running
        assert "SparkSubmit" not in running


def test_no_secret_is_in_any_command_line(stack: Stack, trained: Said) -> None:
    secret = stack.cluster().spark_secret.get_secret_value()
    for node in ("head", "w1", "w2"):
        assert secret not in stack.on(node, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert secret not in trained.output


def test_a_command_on_a_node_gives_its_output_and_its_exit_status(stack: Stack, up: Said) -> None:
    said = stack.fab("ssh", "w1", "--command", "hostname; exit 7")
    assert (said.code, said.output.strip()) == (7, "w1")
    assert stack.run("fab", "ssh", "--stack", stack.name, "--", "hostname").output.strip() == "head"
    refused = stack.fab("ssh", "w9")
    assert (refused.code, "has head, w1, w2" in refused.last) == (1, True)


@pytest.mark.parametrize("place", ["w1:/var/tmp/there", "data/there"])
def test_a_folder_goes_to_the_cluster_and_comes_back(
    stack: Stack, built: Said, tmp_path: Path, place: str
) -> None:
    source = tmp_path / "source"
    (source / "below").mkdir(parents=True)
    (source / "below" / "a b").write_bytes(bytes(range(256)) * 40_000)
    for words in (["put", str(source), place], ["get", place, str(tmp_path / "back")]):
        said = stack.fab(*words)
        assert said.code == 0, said.output
        assert "it is there already" in stack.fab(*words).last
    assert (tmp_path / "back" / "below" / "a b").read_bytes() == (source / "below" / "a b").read_bytes()
    (source / "more").write_text("more")
    assert "--force" in stack.fab("put", str(source), place).last
    assert stack.fab("put", "--force", str(source), place).code == 0
    # systemd's own folders come and go with its services.
    assert stack.on("w1", "ls -A /var/tmp | grep -v -e '^there$' -e '^systemd-private-'") == ""
    # The trainer's tests with Caffe keep their code there.
    left = "ls -A /var/tmp /tmp | grep -e caffe-spark -e '[.]put' -e '[.]get' | grep -v ^caffe-spark-tests-"
    assert stack.on("head", left) == ""


def test_the_history_server_shows_the_job_through_a_tunnel(stack: Stack, trained: Said) -> None:
    ui = subprocess.Popen(
        ["fab", "ui", "--stack", stack.name],
        cwd=ROOT,
        env={**stack.env, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert ui.stdout is not None
    try:
        lines = [ui.stdout.readline() for _ in range(2)]
        assert "does not answer" not in "".join(lines)
        (history,) = (re.search(r"http://\S+", line)[0] for line in lines if "history" in line)  # type: ignore[index]
        job = results_of(trained).name

        def listed() -> bool:
            with urllib.request.urlopen(f"{history}api/v1/applications", timeout=30) as answer:
                found: dict[str, bool] = {
                    app["name"]: app["attempts"][-1]["completed"] for app in json.load(answer)
                }
            return found.get(job, False)

        eventually(listed, "the history server lists the job as completed", 60)
    finally:
        ui.send_signal(signal.SIGINT)
    assert ui.wait(timeout=30) == 0
    assert stack.on("w1", "curl -s --max-time 5 http://head:18080/ || echo closed").strip() == "closed"
    listing = "su -s /bin/sh spark -c '/opt/hadoop/bin/hdfs dfs -ls -d /user/spark/events' 2>/dev/null"
    assert re.match(r"drwx------ +- spark ", stack.on("head", listing))

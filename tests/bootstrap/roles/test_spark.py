from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from bootstrap import paths
from bootstrap.cluster import Cluster
from bootstrap.role import load_role
from tests.bootstrap.roles.conftest import Compile, Compiled, sh

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


def settings(text: str) -> dict[str, str]:
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return dict(line.split(maxsplit=1) for line in lines)


def test_every_python_package_is_pinned_by_its_sum() -> None:
    role = load_role("spark")
    text = (role.folder / "templates" / role.defaults["spark_pins"]).read_text().replace("\\\n", "")
    for line in text.splitlines():
        assert re.fullmatch(r"[a-z0-9]+==[0-9.]+( +--hash=sha256:[0-9a-f]{64})+", line), line
    assert f"pyspark=={role.defaults['spark_version']} " in text


def test_peers_prove_themselves_and_talk_in_private(compile_for: Compile) -> None:
    found = settings(compile_for("spark").template("spark-defaults.conf.j2"))
    assert found["spark.authenticate"] == found["spark.network.crypto.enabled"] == "true"
    assert found["spark.network.crypto.saslFallback"] == "false"
    assert found["spark.authenticate.secret"] == "not-to-be-seen"


def test_only_sparks_user_reads_the_secret(compile_for: Compile) -> None:
    run = compile_for("spark", "w1").commands["Write spark-defaults.conf"].run
    # The mode is set before the file has its name.
    assert run.index("chmod 640") < run.index("mv ")
    assert "root:spark" in run


def test_a_worker_offers_what_the_stack_says(compile_for: Compile, tmp_path: Path) -> None:
    (tmp_path / "node").write_text("NODE_NAME=w2\nNODE_ADDRESS=10.9.8.12\n")
    text = compile_for("spark", "w2").template("spark-env.sh.j2").replace(paths.IDENTITY, f"{tmp_path}/node")
    got = sh(text + "\necho $SPARK_WORKER_CORES $SPARK_WORKER_MEMORY $SPARK_LOCAL_IP").stdout
    assert got.split() == ["2", "2048m", "10.9.8.12"]


@pytest.mark.parametrize(("node", "gpus", "offered"), [("w1", 0, None), ("w1", 4, "4"), ("head", 4, None)])
def test_gpus_are_offered_by_workers_that_have_some(
    cluster: Cluster, node: str, gpus: int, offered: str | None
) -> None:
    shape = cluster.worker.model_copy(update={"gpus": gpus})
    with_gpus = cluster.model_copy(update={"worker": shape})
    text = Compiled("spark", with_gpus, with_gpus.node(node), {}).template("spark-defaults.conf.j2")
    assert settings(text).get("spark.worker.resource.gpu.amount") == offered


def test_daemons_serve_the_clusters_own_names(compile_for: Compile) -> None:
    master = compile_for("spark").template("spark-master.service.j2")
    worker = compile_for("spark", "w1").template("spark-worker.service.j2")
    assert "--host head --port 7077" in master
    assert "--host ${NODE_NAME}" in worker
    assert f"EnvironmentFile={paths.IDENTITY}" in worker
    assert worker.count("spark://head:7077") == 1


def test_another_version_restarts_the_daemons(compile_for: Compile) -> None:
    units = {
        v: compile_for("spark", spark_version=v).template("spark-master.service.j2")
        for v in ("3.5.8", "3.5.9")
    }
    assert units["3.5.8"] != units["3.5.9"]


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
    guard = compile_for("spark", "w1", get=stand_in(says)).commands[JOIN].guard
    assert (sh(guard.replace(paths.IDENTITY, f"{tmp_path}/node")).returncode == 0) is joined


def test_the_check_names_the_worker_that_is_missing(compile_for: Compile, stand_in: StandIn) -> None:
    check = compile_for("spark", get=stand_in(master_says(w1="DEAD", w2="ALIVE"))).checks[ALIVE]
    got = sh(check.run.replace("sleep 0.5", "true").replace("tries=30", "tries=2"))
    assert (got.returncode, got.stdout.strip()) == (1, "the master does not hear from: w1")


def test_the_check_is_content_with_all_workers(compile_for: Compile, stand_in: StandIn) -> None:
    check = compile_for("spark", get=stand_in(master_says(w1="ALIVE", w2="ALIVE"))).checks[ALIVE]
    assert sh(check.run).returncode == 0


def test_workers_take_only_what_has_the_heads_sum(compile_for: Compile) -> None:
    run = compile_for("spark", "w1").commands["Unpack pyspark"].run
    assert "http://head:8090/pyspark-3.5.9.tar.sha256" in run
    assert compile_for("spark", "w1").commands["Unpack pyspark"].needs == ("spark", "Fetch and pack pyspark")

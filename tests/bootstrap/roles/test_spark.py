from __future__ import annotations

import re
from pathlib import Path

import pytest

from bootstrap import paths
from bootstrap.cluster import Cluster
from bootstrap.engine.role import load_role
from tests.bootstrap.roles.conftest import Compile, Compiled, sh


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


def test_workers_take_only_what_has_the_heads_sum(compile_for: Compile) -> None:
    run = compile_for("spark", "w1").commands["Unpack pyspark"].run
    assert "http://head:8090/pyspark-3.5.9.tar.sha256" in run
    assert compile_for("spark", "w1").commands["Unpack pyspark"].needs == ("spark", "Fetch and pack pyspark")


def test_nothing_of_spark_travels_with_a_job_on_yarn(compile_for_yarn: Compile, tmp_path: Path) -> None:
    spark = compile_for_yarn("spark")
    found = settings(spark.template("spark-defaults.conf.j2"))
    assert found["spark.yarn.jars"] == "local:/opt/spark/jars/*"
    text = spark.template("spark-env.sh.j2").replace(paths.IDENTITY, f"{tmp_path}/node")
    text = text.replace("/opt/spark/python", f"{tmp_path}/python")
    (tmp_path / "node").write_text("NODE_NAME=head\nNODE_ADDRESS=10.9.8.10\n")
    (tmp_path / "python/lib").mkdir(parents=True)
    (tmp_path / "python/lib/py4j-0.10.9.7-src.zip").touch()
    archives = sh(text + "\necho $PYSPARK_ARCHIVES_PATH").stdout.strip().split(",")
    assert archives == [
        f"local:{tmp_path}/python/lib/{name}" for name in ("pyspark.zip", "py4j-0.10.9.7-src.zip")
    ]


def test_yarn_makes_the_secret_of_each_application_itself(compile_for_yarn: Compile) -> None:
    found = settings(compile_for_yarn("spark").template("spark-defaults.conf.j2"))
    assert found["spark.authenticate"] == "true"
    assert "spark.authenticate.secret" not in found

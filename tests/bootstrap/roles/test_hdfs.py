from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bootstrap.cluster import S3, Cluster
from tests.at_once import at_once
from tests.bootstrap.roles.conftest import Compile, Compiled, properties, sh

ALIVE = "Every worker's DataNode is alive"
MOVE_ASIDE = "Move aside the blocks of another NameNode"
StandIn = Callable[..., str]


def namenode_says(
    *, cluster: str = "CID-1", live: tuple[str, ...] = ("w1", "w2"), dead: tuple[str, ...] = ()
) -> str:
    """The NameNode's own page about itself, as Hadoop 3.3 prints it."""
    nodes = {
        key: json.dumps({f"{n}:9866": {} for n in names}) for key, names in {"L": live, "D": dead}.items()
    }
    bean = {"Safemode": "", "LiveNodes": nodes["L"], "DeadNodes": nodes["D"], "ClusterId": cluster}
    lines = ",\n".join(f'    "{key}" : {json.dumps(value)}' for key, value in bean.items())
    return f'{{\n  "beans" : [ {{\n{lines}\n  }} ]\n}}\n'


def test_every_port_is_bound_to_the_nodes_own_address(compile_for: Compile) -> None:
    found = properties(compile_for("hdfs", "w2").template("hdfs-site.xml.j2"))
    assert found["dfs.datanode.address"] == "10.9.8.12:9866"
    assert found["dfs.namenode.rpc-bind-host"] == found["dfs.namenode.http-bind-host"] == "10.9.8.10"


def test_blocks_have_no_more_copies_than_there_are_datanodes(cluster: Cluster) -> None:
    one = cluster.model_copy(update={"workers": cluster.workers[:1]})
    copies = [
        properties(Compiled("hdfs", c, c.head, {}).template("hdfs-site.xml.j2"))["dfs.replication"]
        for c in (one, cluster)
    ]
    assert copies == ["1", "2"]


def test_a_file_system_is_formatted_once_and_never_over_another(compile_for: Compile, tmp_path: Path) -> None:
    step = compile_for("hdfs", hdfs_state=str(tmp_path)).commands["Format the NameNode"]
    assert sh(step.guard).returncode != 0
    (tmp_path / "name" / "current").mkdir(parents=True)
    (tmp_path / "name" / "current" / "VERSION").write_text("clusterID=CID-1\n")
    assert sh(step.guard).returncode == 0
    assert "-nonInteractive" in step.run  # which itself refuses a folder that is in use
    assert "-force" not in step.run


def datanode_of(cluster_id: str, state: Path) -> None:
    (state / "data" / "current").mkdir(parents=True)
    (state / "data" / "current" / "VERSION").write_text(f"storageID=DS-1\nclusterID={cluster_id}\n")


def test_an_empty_datanode_has_nothing_to_move(
    compile_for: Compile, stand_in: StandIn, tmp_path: Path
) -> None:
    given = {"hdfs_state": str(tmp_path), "get": stand_in("", 7)}
    assert sh(compile_for("hdfs", "w1", **given).commands[MOVE_ASIDE].guard).returncode == 0


@pytest.mark.parametrize(("there", "stays"), [("CID-1", True), ("CID-2", False)])
def test_blocks_stay_only_with_their_own_namenode(
    compile_for: Compile, stand_in: StandIn, tmp_path: Path, there: str, stays: bool
) -> None:
    datanode_of("CID-1", tmp_path)
    given = {"hdfs_state": str(tmp_path), "get": stand_in(namenode_says(cluster=there))}
    step = compile_for("hdfs", "w1", **given).commands[MOVE_ASIDE]
    assert (sh(step.guard).returncode == 0) is stays


def test_a_namenode_that_is_silent_makes_nobody_move_blocks(
    compile_for: Compile, stand_in: StandIn, tmp_path: Path
) -> None:
    datanode_of("CID-1", tmp_path)
    given = {"hdfs_state": str(tmp_path), "get": stand_in("", 7)}
    step = compile_for("hdfs", "w1", **given).commands[MOVE_ASIDE]
    assert sh(step.guard).returncode != 0
    got = sh(step.run)
    assert (got.returncode, "does not say which cluster" in got.stderr) == (1, True)
    assert (tmp_path / "data" / "current" / "VERSION").exists()


def test_the_blocks_of_a_lost_head_are_kept_aside(
    compile_for: Compile, stand_in: StandIn, tmp_path: Path
) -> None:
    datanode_of("CID-1", tmp_path)
    given = {"hdfs_state": str(tmp_path), "get": stand_in(namenode_says(cluster="CID-2"))}
    step = compile_for("hdfs", "w1", **given).commands[MOVE_ASIDE]
    # Neither systemd nor the user hdfs is on the machine of a unit test.
    script = step.run.replace("-o hdfs -g hdfs ", "").replace("systemctl", "true")
    got = sh(script)
    assert got.returncode == 0, got.stderr
    (aside,) = tmp_path.glob("data.of-CID-1.*")
    assert (aside / "current" / "VERSION").exists()
    assert list((tmp_path / "data").iterdir()) == []
    assert sh(step.guard).returncode == 0


def test_the_check_names_the_worker_that_is_missing(compile_for: Compile, stand_in: StandIn) -> None:
    given = {"get": stand_in(namenode_says(live=("w1",), dead=("w2",)))}
    check = compile_for("hdfs", **given).checks[ALIVE]
    got = sh(check.run.replace("sleep 0.5", "true"))
    assert (got.returncode, got.stdout.strip()) == (1, "the NameNode does not hear from: w2")


def test_the_check_is_content_with_all_workers(compile_for: Compile, stand_in: StandIn) -> None:
    assert sh(compile_for("hdfs", get=stand_in(namenode_says())).checks[ALIVE].run).returncode == 0


def test_a_namenode_that_is_down_is_told(compile_for: Compile, stand_in: StandIn) -> None:
    got = sh(compile_for("hdfs", get=stand_in("", 7)).checks[ALIVE].run)
    assert (got.returncode, got.stdout.strip()) == (1, "the NameNode does not answer")


WEBHDFS = """#!/bin/sh
for word; do
  case $before in --data-binary) data=$word ;; esac
  case $word in http*) url=$word ;; esac
  before=$word
done
file={folder}/$(basename "${{url%%\\?*}}")
sleep 0.0$(($$ % 10))
case $url in
*op=CREATE*) printf %s "$data" >"$file" ;;
*op=OPEN*) cat "$file" ;;
*op=DELETE*) rm "$file" ;;
esac
"""


def test_two_who_check_at_once_do_not_take_each_others_file(compile_for: Compile, tmp_path: Path) -> None:
    (tmp_path / "dfs").mkdir()
    get = tmp_path / "get"
    get.write_text(WEBHDFS.format(folder=tmp_path / "dfs"))
    get.chmod(0o755)
    check = compile_for("hdfs", get=str(get)).checks["HDFS gives back what it was given"]
    for _ in range(3):
        for got in at_once(*[lambda: sh(check.run)] * 2):
            assert got.returncode == 0, got.stdout + got.stderr
        assert list((tmp_path / "dfs").iterdir()) == []


def test_settings_are_valid_xml_without_empty_values(compile_for: Compile) -> None:
    found = properties(compile_for("hdfs", "w2").template("hdfs-site.xml.j2"))
    assert found
    assert all(found.values())


def test_a_cluster_on_s3_runs_no_hdfs(cluster: Cluster) -> None:
    assert "hdfs" in cluster.roles
    update = {"storage": S3(uri="s3a://bucket", region="eu-west-1")}
    assert "hdfs" not in cluster.model_copy(update=update).roles

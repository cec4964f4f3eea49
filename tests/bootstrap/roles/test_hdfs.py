from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from bootstrap.cluster import S3, Cluster
from bootstrap.engine.command import Command
from tests.at_once import at_once
from tests.bootstrap.roles.conftest import STRANGER, Compile, Compiled, needs_root, properties, sh

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


def on_worker(script: str, fakes: Path | None = None) -> CompletedProcess[str]:
    """Run a step's script with STRANGER for `hdfs`, and stand-ins for systemd and what is in `fakes`."""
    script = script.replace("-u hdfs", f"-u {STRANGER}")
    path = f"PATH={fakes}:$PATH\n" if fakes else ""
    return sh(f"{path}{script.replace('systemctl', 'true')}")


def datanode_of(cluster_id: str, state: Path) -> Path:
    """Make a DataNode's folder, as its daemon would; return the file that names its cluster."""
    current = state / "data" / "current"
    current.mkdir(parents=True)
    version = current / "VERSION"
    version.write_text(f"storageID=DS-1\nclusterID={cluster_id}\n")
    for path in (state / "data", current, version):
        shutil.chown(path, STRANGER)
    return version


@pytest.fixture
def move_aside(compile_for: Compile, home: Path) -> Callable[[str], Command]:
    """The step that moves blocks aside, with what answers in place of the NameNode."""
    return lambda get: compile_for("hdfs", "w1", hdfs_state=str(home), get=get).commands[MOVE_ASIDE]


MoveAside = Callable[[str], Command]


def test_an_empty_datanode_has_nothing_to_move(
    compile_for: Compile, stand_in: StandIn, tmp_path: Path
) -> None:
    given = {"hdfs_state": str(tmp_path), "get": stand_in("", 7)}
    assert sh(compile_for("hdfs", "w1", **given).commands[MOVE_ASIDE].guard).returncode == 0


@needs_root
@pytest.mark.parametrize(("there", "stays"), [("CID-1", True), ("CID-2", False)])
def test_blocks_stay_only_with_their_own_namenode(
    move_aside: MoveAside, stand_in: StandIn, home: Path, there: str, stays: bool
) -> None:
    datanode_of("CID-1", home)
    step = move_aside(stand_in(namenode_says(cluster=there)))
    assert (on_worker(step.guard).returncode == 0) is stays


@needs_root
def test_a_namenode_that_is_silent_makes_nobody_move_blocks(
    move_aside: MoveAside, stand_in: StandIn, home: Path
) -> None:
    version = datanode_of("CID-1", home)
    step = move_aside(stand_in("", 7))
    assert on_worker(step.guard).returncode != 0
    got = on_worker(step.run)
    assert (got.returncode, "does not say which cluster" in got.stderr) == (1, True)
    assert version.exists()


@needs_root
def test_the_blocks_of_a_lost_head_are_kept_aside(
    move_aside: MoveAside, stand_in: StandIn, home: Path
) -> None:
    datanode_of("CID-1", home)
    step = move_aside(stand_in(namenode_says(cluster="CID-2")))
    got = on_worker(step.run)
    assert got.returncode == 0, got.stderr
    (aside,) = home.glob("data.of-CID-1.*")
    assert (aside / "current" / "VERSION").exists()
    made = home / "data"
    assert (list(made.iterdir()), made.owner(), made.stat().st_mode & 0o777) == ([], STRANGER, 0o700)
    assert on_worker(step.guard).returncode == 0


@needs_root
def test_a_link_planted_while_blocks_are_moved_gives_no_folder_away(
    move_aside: MoveAside, stand_in: StandIn, home: Path, tmp_path: Path
) -> None:
    datanode_of("CID-1", home)
    (roots := tmp_path / "roots").mkdir(mode=0o755)
    (fakes := tmp_path / "fakes").mkdir()
    # The user `hdfs`, as fast as anybody could be: the link is there once the folder has moved.
    (fakes / "mv").write_text(f'#!/bin/sh\n{shutil.which("mv")} "$@" && ln -s {roots} {home}/data\n')
    (fakes / "mv").chmod(0o755)
    fakes.chmod(0o755)
    on_worker(move_aside(stand_in(namenode_says(cluster="CID-2"))).run, fakes)
    assert (roots.owner(), roots.stat().st_mode & 0o777) == ("root", 0o755)


@needs_root
def test_the_folder_is_moved_with_no_more_rights_than_its_owner_has(
    move_aside: MoveAside, stand_in: StandIn, home: Path
) -> None:
    datanode_of("CID-1", home)
    shutil.chown(home, "root")
    assert on_worker(move_aside(stand_in(namenode_says(cluster="CID-2"))).run).returncode != 0
    assert [path.name for path in home.iterdir()] == ["data"]


@needs_root
@pytest.mark.parametrize("said", ["x/../../evil", "CID 1", "CID-1\nclusterID=CID-3", "$(id)"])
def test_a_cluster_id_that_is_not_one_moves_nothing(
    move_aside: MoveAside, stand_in: StandIn, home: Path, said: str
) -> None:
    datanode_of(said, home)
    # What an id with `..` in it leads through.
    (home / "data.of-x").mkdir()
    got = on_worker(move_aside(stand_in(namenode_says(cluster="CID-2"))).run)
    assert (got.returncode, "holds no valid clusterID" in got.stderr) == (1, True)
    assert sorted(path.name for path in home.iterdir()) == ["data", "data.of-x"]


@needs_root
def test_a_file_that_only_root_may_read_is_not_read_for_the_user_who_links_to_it(
    move_aside: MoveAside, stand_in: StandIn, home: Path, tmp_path: Path
) -> None:
    version = datanode_of("CID-1", home)
    (secret := tmp_path / "secret").write_text("clusterID=s3cret\n")
    secret.chmod(0o600)
    version.unlink()
    version.symlink_to(secret)
    got = on_worker(move_aside(stand_in(namenode_says(cluster="CID-2"))).run)
    assert (got.returncode, "s3cret" in got.stdout + got.stderr) == (1, False)


@needs_root
def test_a_version_that_never_ends_is_waited_for_with_a_limit(
    move_aside: MoveAside, stand_in: StandIn, home: Path
) -> None:
    version = datanode_of("CID-1", home)
    version.unlink()
    os.mkfifo(version)
    step = move_aside(stand_in(namenode_says(cluster="CID-2")))
    assert on_worker(step.guard.replace("timeout 10", "timeout 0.3")).returncode != 0
    got = on_worker(step.run.replace("timeout 10", "timeout 0.3"))
    assert (got.returncode, "cannot read" in got.stderr) == (1, True)


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

"""HDInsight's image under this project's paths. No test has the image itself: Azure gives it to nobody."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bootstrap import paths
from bootstrap.cluster import ClusterDocument
from bootstrap.engine.role import load_role
from bootstrap.join import user_data as boot
from bootstrap.script_actions.action import ScriptAction
from tests.bootstrap.hdinsight_cluster import STORAGE, hdinsight
from tests.bootstrap.roles.conftest import Compiled, sh

__all__ = ["hdinsight"]

SECRETS = ("not-to-be-seen", "PRIVATE")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPrp3Lx5NlHZQwBfwfmPYgpNKvJ6XhbvZQO1oQO3HZ0N"
StandIn = Callable[..., str]


@pytest.fixture
def compiled(hdinsight: ClusterDocument) -> Callable[..., Compiled]:
    def compile_for(node: str = "", **given: str) -> Compiled:
        return Compiled("hdinsight", hdinsight, hdinsight.head if node == "head" else boot._ANY_WORKER, given)

    return compile_for


@pytest.fixture
def script(hdinsight: ClusterDocument) -> str:
    return boot.rendered(hdinsight, "worker", {})


def moved(text: str, box: Path) -> str:
    """With the project's own folders below `box`."""
    for path in (paths.STATE, "/etc/caffe-spark", "/opt/"):
        text = re.sub(rf"(?<![\w/]){re.escape(path)}", f"{box}{path}", text)
    return text


# The script action


def test_it_is_a_script_action_that_hdinsight_takes(script: str) -> None:
    action = ScriptAction("caffe-spark-node", script)
    assert action.path.startswith("script-actions/caffe-spark-node-")
    assert script.isascii()
    assert "\r" not in script


def test_heads_and_workers_run_the_same_text(hdinsight: ClusterDocument, script: str) -> None:
    assert boot.rendered(hdinsight, "head", {}) == script
    assert load_role("hdinsight").requires == []


def test_it_holds_no_secret(script: str) -> None:
    assert not [secret for secret in SECRETS if secret in script]


def test_it_is_posix_shell(script: str) -> None:
    parsed = subprocess.run(["sh", "-n"], input=script, capture_output=True, text=True, check=False)
    assert parsed.returncode == 0, parsed.stderr


def test_it_needs_nothing_of_other_nodes_and_compiles_nothing(compiled: Callable[..., Compiled]) -> None:
    """It has an hour, on all nodes side by side."""
    commands = compiled().commands.values()
    assert not any(command.needs for command in commands)
    assert sum(command.timeout for command in commands if command.timeout < 900) < 3600
    assert not re.search(r"\b(apt-get|gcc|cmake|make -)", "".join(command.run for command in commands))


def test_what_ambari_writes_is_left_alone(compiled: Callable[..., Compiled]) -> None:
    for command in compiled().commands.values():
        assert "/etc/hosts" not in command.run
        for line in command.run.splitlines()[1:]:  # the first one is a comment
            if paths.HADOOP_CONF in line:
                assert line.startswith(("for path in", "export HADOOP_CONF_DIR=")), line
    files = [step.file.path for step in load_role("hdinsight").steps if step.file]
    folders = [step.directory.path for step in load_role("hdinsight").steps if step.directory]
    assert all(path.startswith("{{ paths.") for path in files + folders)
    assert not [path for path in files + folders if "HADOOP_CONF" in path]


def test_the_image_keeps_the_home_of_sparks_user(compiled: Callable[..., Compiled]) -> None:
    run = compiled().commands["Let Spark's user read what is the project's"].run
    assert "usermod --append" in run
    assert "--home" not in run


# What it lays where


def test_commands_are_the_images_own(compiled: Callable[..., Compiled], tmp_path: Path) -> None:
    fake = tmp_path / "hdfs"
    fake.write_text('#!/bin/sh\necho "$# $*"\n')
    fake.chmod(0o755)
    text = compiled(image_hdfs=str(fake)).template("hdfs.sh.j2")
    assert sh(f"set -- dfs -ls 'a b'\n{text}").stdout == "3 dfs -ls a b\n"
    assert "exec /usr/bin/yarn" in compiled().template("yarn.sh.j2")


def test_another_image_is_told_at_once(compiled: Callable[..., Compiled]) -> None:
    step = next(iter(compiled().commands.values()))
    assert step.name == "Look for what the image brings"
    assert sh(step.guard).returncode != 0
    got = sh(step.run)
    assert got.returncode == 1
    assert "/usr/hdp/current/spark3-client is missing" in got.stderr
    assert "is not HDInsight 5.1 with Spark" in got.stderr


def test_the_environment_is_the_images_spark_and_the_projects_python(
    compiled: Callable[..., Compiled], tmp_path: Path
) -> None:
    profile = tmp_path / "profile.sh"
    profile.write_text(compiled().template("profile.sh.j2"))
    got = sh(f'PATH=/usr/bin:/bin\n. {profile}\nonce=$PATH\n. {profile}\n[ "$PATH" = "$once" ]\nenv').stdout
    values = dict(line.split("=", 1) for line in got.splitlines() if "=" in line)
    assert (values["SPARK_HOME"], values["PYSPARK_PYTHON"]) == (paths.SPARK_HOME, paths.PYTHON)
    assert values["HADOOP_CONF_DIR"] == "/etc/hadoop/conf"
    assert "SPARK_CONF_DIR" not in values, "Ambari's, beside Spark itself"
    assert values["PATH"].startswith("/usr/bin:/bin:")


def test_spark_is_a_link_that_is_moved_at_once(compiled: Callable[..., Compiled], tmp_path: Path) -> None:
    step = compiled().commands["Point to Spark"]
    (tmp_path / "opt").mkdir()
    (tmp_path / "opt/spark").symlink_to("/usr/hdp/2.0/spark2-client")
    assert sh(moved(step.guard, tmp_path)).returncode != 0
    assert sh(moved(step.run, tmp_path)).returncode == 0
    assert (tmp_path / "opt/spark").readlink() == Path("/usr/hdp/current/spark3-client")
    assert sh(moved(step.guard, tmp_path)).returncode == 0


def test_python_packages_are_pinned_by_their_sums_and_never_compiled(
    compiled: Callable[..., Compiled],
) -> None:
    role = compiled()
    (line,) = role.template(role.variables["python_pins"]).replace("\\\n", "").splitlines()
    assert re.fullmatch(r"lmdb==[0-9.]+( +--hash=sha256:[0-9a-f]{64})+", line)
    assert line.startswith(f"lmdb=={role.variables['lmdb_version']} ")
    run = role.commands["Install lmdb"].run
    assert "--require-hashes --no-deps --only-binary :all:" in run


# Who it is


def identity(compiled: Compiled, box: Path) -> str:
    """The step that finds it, with a machine's own answers."""
    (box / "bin").mkdir()
    route = "168.63.129.16 via 10.50.0.1 dev eth0 src 10.50.0.7 uid 0"
    for name, says in (("uname", "wn3-caffes.abc.bx.internal.cloudapp.net"), ("ip", route)):
        (box / "bin" / name).write_text(f"#!/bin/sh\necho '{says}'\n")
        (box / "bin" / name).chmod(0o755)
    step = compiled.commands["Write down who this node is"]
    path = f"PATH={box}/bin:$PATH\n"
    assert sh(path + moved(step.guard, box)).returncode != 0
    assert sh(path + moved(step.run, box)).returncode == 0
    assert sh(path + moved(step.guard, box)).returncode == 0
    return (box / "etc/caffe-spark/node").read_text()


def test_a_node_knows_its_name_and_address(compiled: Callable[..., Compiled], tmp_path: Path) -> None:
    assert identity(compiled(), tmp_path) == "NODE_NAME=wn3-caffes\nNODE_ADDRESS=10.50.0.7\n"


def test_it_reports_them_with_its_host_key(compiled: Callable[..., Compiled], tmp_path: Path) -> None:
    (tmp_path / "key.pub").write_text(f"{KEY} root@wn3\n")
    role = compiled(host_key=str(tmp_path / "key.pub"))
    identity(role, tmp_path)
    (tmp_path / "var/lib/caffe-spark").mkdir(parents=True)
    step = role.commands["Write what this node says of itself"]
    assert sh(moved(step.guard, tmp_path)).returncode != 0
    assert sh(moved(step.run, tmp_path)).returncode == 0
    assert sh(moved(step.guard, tmp_path)).returncode == 0
    said = json.loads((tmp_path / "var/lib/caffe-spark/node.json").read_text())
    assert said == {"name": "wn3-caffes", "address": "10.50.0.7", "host_key": KEY}


def storage(box: Path, *, fails: int = 0) -> str:
    """A stand-in for `hdfs dfs` over a folder; its first calls to write fail."""
    (box / "calls").write_text("")
    (box / "dfs").write_text(
        f"""#!/bin/sh
echo "$*" >>{box}/calls
place() {{ echo "{box}/blobs/${{1#wasbs://}}"; }}
case $1 in
  -mkdir) [ "$(grep -c mkdir {box}/calls)" -gt {fails} ] && mkdir -p "$(place "$3")" ;;
  -put) cp "$3" "$(place "$4")" ;;
  -cat) cat "$(place "$2")" ;;
esac
"""
    )
    (box / "dfs").chmod(0o755)
    return str(box / "dfs")


@pytest.mark.parametrize("fails", [0, 3])
def test_the_report_arrives_where_fab_looks_even_at_a_third_try(
    compiled: Callable[..., Compiled], tmp_path: Path, fails: int
) -> None:
    role = compiled(dfs=storage(tmp_path, fails=fails), pause="0")
    identity(role, tmp_path)
    report = tmp_path / "var/lib/caffe-spark/node.json"
    report.parent.mkdir(parents=True)
    report.write_text("{}\n")
    step = role.commands["Report it to shared storage"]
    assert sh(moved(step.guard, tmp_path)).returncode != 0
    assert sh(moved(step.run, tmp_path)).returncode == 0
    assert sh(moved(step.guard, tmp_path)).returncode == 0
    place = STORAGE.removeprefix("wasbs://")
    assert (tmp_path / "blobs" / place / "cluster/nodes/wn3-caffes.json").read_text() == "{}\n"


def test_a_storage_that_never_answers_fails_the_step(
    compiled: Callable[..., Compiled], tmp_path: Path
) -> None:
    role = compiled(dfs=storage(tmp_path, fails=99), pause="0")
    identity(role, tmp_path)
    step = role.commands["Report it to shared storage"]
    assert sh(moved(step.run, tmp_path)).returncode == 1
    assert (tmp_path / "calls").read_text().count("-mkdir") == 5


def test_no_call_of_hadoops_client_hangs_for_ever(compiled: Callable[..., Compiled]) -> None:
    assert compiled().variables["dfs"] == f"timeout 120 runuser -u spark -- {paths.HDFS} dfs"


# Checks


def test_every_check_says_what_to_type(compiled: Callable[..., Compiled]) -> None:
    assert len(compiled("head").checks) == 4
    assert "The ResourceManager answers" not in compiled().checks
    assert all(check.fix.startswith(("Run", "Remove")) for check in compiled("head").checks.values())


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        ("3.3.1.5.1", 0, ""),
        ("2.4.8", 1, "pyspark is 2.4.8, not 3.3"),
        ("ModuleNotFoundError: No module named 'lmdb'", 1, "No module named 'lmdb'"),
    ],
)
def test_the_check_of_python_names_what_is_wrong(
    compiled: Callable[..., Compiled], stand_in: StandIn, answer: str, status: int, said: str
) -> None:
    check = compiled().checks["Python has numpy, lmdb and Spark's release"]
    got = sh(check.run.replace(paths.PYTHON, stand_in(answer, int("Error" in answer))))
    assert got.returncode == status
    assert said in got.stdout


def test_the_check_of_storage_shows_hadoops_own_words(
    compiled: Callable[..., Compiled], stand_in: StandIn
) -> None:
    refused = "24/11/24 WARN x\nls: Server failed to authenticate the request"
    check = compiled(dfs=stand_in(refused, 1)).checks["The node reaches shared storage"]
    got = sh(check.run)
    assert (got.returncode, got.stdout.strip()) == (1, "ls: Server failed to authenticate the request")

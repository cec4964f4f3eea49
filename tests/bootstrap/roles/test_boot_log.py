"""Role `boot_log`: a program that systemd runs after each end of the boot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bootstrap.cluster import Cluster
from bootstrap.engine.plan import order
from bootstrap.engine.role import load_role
from bootstrap.join import user_data
from bootstrap.join.on_node import boot, boot_log
from tests.bootstrap.roles.conftest import Compile, Compiled
from tests.bootstrap.roles.test_cloud_logs import run


@pytest.fixture
def compiled(compile_for: Compile) -> Compiled:
    return compile_for("boot_log", "w1")


def test_the_settings_name_all_that_the_program_asks_for(compiled: Compiled, aws_cluster: Cluster) -> None:
    settings = json.loads(compiled.template("boot-log.json.j2"))
    assert aws_cluster.cloud_logs is not None
    assert settings == {
        "metadata": user_data.METADATA,
        "region": "eu-west-1",
        "logs_url": "https://logs.eu-west-1.amazonaws.com",
        "group": "caffe-spark/dev",
        "log": boot.LOG,
        "withheld": "\n".join(aws_cluster.cloud_logs.withheld),
    }


def test_it_comes_before_all_that_may_fail(aws_cluster: Cluster) -> None:
    walled = aws_cluster.model_copy(update={"package_proxy": True})
    names = [role.name for role in order([load_role(name) for name in walled.roles])]
    assert names[:4] == ["boot_log", "packages_proxy", "common", "cloud_logs"]
    assert names.index("cloud_logs") < names.index("job_credentials") < names.index("spark_standalone")


def test_machines_that_keep_their_logs_have_neither_role(aws_cluster: Cluster) -> None:
    keeps = aws_cluster.model_copy(update={"cloud_logs": None})
    assert not {"boot_log", "cloud_logs"} & set(keeps.roles)


def test_the_script_of_a_boot_begins_with_it(aws_cluster: Cluster) -> None:
    script = user_data.rendered(aws_cluster, "worker", {})
    assert script.index("boot_log: Write the machine") < script.index("common: Name every node")
    assert script.index("cloud_logs: Run the agent") < script.index("spark: ")


def test_it_runs_after_the_unit_of_user_data(compiled: Compiled) -> None:
    text = user_data.user_data(
        user_data.Boot("worker", "eu-west-1", "b", "k", "0" * 64, "ubuntu", "", "key", "AROA", "workers")
    )
    unit = compiled.variables["boot_unit"]
    assert f"/etc/systemd/system/{unit} <<" in text
    (line,) = [line for line in compiled.template("log.conf.j2").splitlines() if line.startswith("Exec")]
    # `-`: whatever becomes of the log, the boot has ended as it has.
    assert line.startswith("ExecStopPost=-/usr/bin/env PYTHONPATH=/usr/local/lib/caffe-spark-boot-log ")
    assert line.endswith(f" -m {boot_log.__name__}")
    written = compiled.commands["Write the program"].run
    assert "/usr/local/lib/caffe-spark-boot-log/bootstrap/join/on_node/boot_log.py" in written


@pytest.mark.parametrize(
    ("there", "shown", "knows"),
    [
        (True, "ExecStopPost={ argv[]=python3 -m boot_log }\nNeedDaemonReload=no", True),
        (True, "ExecStopPost={ argv[]=python3 -m boot_log }\nNeedDaemonReload=yes", False),
        (True, "NeedDaemonReload=no", False),
        (False, "", True),
    ],
)
def test_systemd_reads_it_again_where_a_boot_has_a_unit(
    there: bool, shown: str, knows: bool, compile_for: Compile, tmp_path: Path
) -> None:
    compiled = compile_for("boot_log", "w1", units=str(tmp_path))
    if there:
        (tmp_path / "caffe-spark-boot.service").touch()
    # As the engine does it, where `exit` ends the guard alone.
    guard = f"( set -eu\n{compiled.commands['Let systemd know'].guard}\n)"
    assert (run(tmp_path, guard, systemctl=f"printf '%s' '{shown}'").returncode == 0) == knows


@pytest.mark.parametrize(("shown", "well"), [("{ argv[]=python3 -m boot_log }", True), ("", False)])
def test_a_boot_that_would_send_nothing_is_a_finding(
    shown: str, well: bool, compile_for: Compile, tmp_path: Path
) -> None:
    (check,) = compile_for("boot_log", "w1", units=str(tmp_path)).checks.values()
    assert run(tmp_path, check.run, systemctl="exit 1").returncode == 0, "a node without such a unit"
    (tmp_path / "caffe-spark-boot.service").touch()
    done = run(tmp_path, check.run, systemctl=f"echo '{shown}'")
    assert (done.returncode == 0) == well

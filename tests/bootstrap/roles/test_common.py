from __future__ import annotations

from pathlib import Path

from tests.bootstrap.roles.conftest import Compile, sh


def test_names_resolve_to_the_clusters_addresses_and_localhost_stays(compile_for: Compile) -> None:
    lines = compile_for("common", "w1").template("hosts.j2").splitlines()
    assert lines[0] == "127.0.0.1 localhost"
    assert lines[-3:] == ["10.9.8.10 head", "10.9.8.11 w1", "10.9.8.12 w2"]
    assert not any(line.startswith("127.0.1.1") for line in lines)


def test_the_environment_is_sourced_twice_without_growing(compile_for: Compile, tmp_path: Path) -> None:
    profile = tmp_path / "profile.sh"
    profile.write_text(compile_for("common").template("profile.sh.j2"))
    got = sh(f'PATH=/usr/bin:/bin\n. {profile}\nonce=$PATH\n. {profile}\n[ "$PATH" = "$once" ]\nenv').stdout
    values = dict(line.split("=", 1) for line in got.splitlines() if "=" in line)
    assert values["SPARK_CONF_DIR"] == "/etc/spark"
    assert values["PYTHONPATH"] == "/opt/caffe/python"
    assert values["PATH"] == "/usr/bin:/bin:/opt/caffe/bin:/opt/hadoop/bin:/opt/spark/bin"


def test_a_limit_is_never_set_above_what_the_host_allows(compile_for: Compile, tmp_path: Path) -> None:
    file = tmp_path / "limits.conf"
    step = compile_for("common", limits_file=str(file)).commands["Raise the limit of open files"]
    assert sh(step.guard).returncode != 0
    assert sh(f"ulimit -Sn 256\nulimit -Hn 512\n{step.run}").returncode == 0
    assert file.read_text() == "hdfs soft nofile 512\nspark soft nofile 512\n"
    assert sh(step.guard).returncode == 0


def test_only_the_head_has_a_depot(compile_for: Compile) -> None:
    assert "Serve the depot" in compile_for("common", "head").commands
    assert "Serve the depot" not in compile_for("common", "w1").commands


def test_the_depot_is_served_read_only_on_the_clusters_network(compile_for: Compile) -> None:
    unit = compile_for("common").template("caffe-spark-depot.service.j2")
    assert "User=nobody" in unit
    assert "--bind 10.9.8.10" in unit
    assert unit.rstrip().count("/srv/depot") >= 1


def test_a_name_that_resolves_elsewhere_is_told(compile_for: Compile, tmp_path: Path) -> None:
    check = compile_for("common").checks["The node knows every node by name"]
    fake = tmp_path / "getent"
    fake.write_text(
        "#!/bin/sh\n"
        "case $2 in (w2) echo 127.0.1.1 w2 ;; (w1) echo 10.9.8.11 w1 ;; (*) echo 10.9.8.10 head ;; esac\n"
    )
    fake.chmod(0o755)
    got = sh(f"PATH={tmp_path}:$PATH\n{check.run}")
    assert (got.returncode, got.stdout.strip()) == (1, "w2 is 127.0.1.1 here, not 10.9.8.12")

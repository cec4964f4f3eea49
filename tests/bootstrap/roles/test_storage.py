"""Role `storage`: what makes the container that nobody else makes."""

from __future__ import annotations

import shutil
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from bootstrap import paths
from tests.bootstrap.local_node import HDFS, LocalNode
from tests.bootstrap.roles.conftest import STRANGER, Compile, needs_root, sh

MAKE = "Make the container"
ARCHIVE = "Archive the classes of Hadoop's client"


def held(guard: str, folder: Path, query: str | None) -> bool:
    """Return what the guard says on a node with this query; None: there is no server."""
    program = folder / "container.py"
    if query is not None:
        program.write_text(f"#!/bin/sh\n{query}\n")
        program.chmod(0o755)
    return sh(guard.replace(f"{paths.STATE}/azurite/container.py", str(program))).returncode == 0


@pytest.mark.parametrize(("query", "there"), [("exit 1", False), ("exit 0", True)])
def test_a_container_of_our_own_server_is_made_where_the_server_has_none(
    compile_for_yarn: Compile, tmp_path: Path, query: str, *, there: bool
) -> None:
    step = compile_for_yarn("storage").commands[MAKE]
    assert held(step.guard, tmp_path, query) == there
    assert "dfs" not in step.guard, "Hadoop's client takes a second"


def test_a_container_in_azure_is_not_ours_to_make(compile_for_yarn: Compile, tmp_path: Path) -> None:
    assert held(compile_for_yarn("storage").commands[MAKE].guard, tmp_path, None)


def test_a_container_is_made_by_its_first_file(compile_for_yarn: Compile, tmp_path: Path) -> None:
    node = LocalNode(tmp_path)
    node.fake("hdfs", HDFS.replace("-e|", "-e|-d|"))
    node.run(f"set -eu\n{compile_for_yarn('storage').commands[MAKE].run}")


def test_it_is_made_whatever_the_head_has_already_of_its_own(
    compile_for_yarn: Compile, compile_for: Compile
) -> None:
    made = compile_for_yarn("storage").commands
    assert next(iter(made)) == MAKE, "who changed the container's name has the classes' archive already"
    assert paths.HADOOP_HOME + "/classes" not in made[MAKE].guard


def test_other_storage_has_none(compile_for: Compile) -> None:
    assert sh(compile_for("storage").commands[MAKE].guard).returncode == 0


def test_workers_make_none(compile_for_yarn: Compile) -> None:
    assert MAKE not in compile_for_yarn("storage", "w1").commands


class Archiving:
    """The step that archives classes, with STRANGER for `hdfs` and a Hadoop whose client runs `client`."""

    def __init__(self, compile_for: Compile, home: Path, hadoop: Path, client: str) -> None:
        step = compile_for("storage", hadoop_state=str(home), java_home=str(hadoop)).commands[ARCHIVE]
        (hadoop / "bin").mkdir(parents=True)
        (hadoop / "release").write_text("JAVA_VERSION=17\n")
        (program := home / "hdfs").write_text(f'#!/bin/sh\n[ "$2" = -touchz ] || exit 0\n{client}\n')
        program.chmod(0o755)
        self._step, self._moved = step, {"-u hdfs": f"-u {STRANGER}", paths.HDFS: str(program)}
        self._moved[paths.HADOOP_HOME] = str(hadoop)

    def _sh(self, script: str) -> CompletedProcess[str]:
        for there, here in self._moved.items():
            script = script.replace(there, here)
        return sh(script)

    def run(self) -> CompletedProcess[str]:
        return self._sh(self._step.run)

    @property
    def held(self) -> bool:
        return self._sh(self._step.guard).returncode == 0


@needs_root
def test_classes_that_hdfs_archives_are_roots_and_everybody_reads_them(
    compile_for: Compile, home: Path, tmp_path: Path
) -> None:
    step = Archiving(compile_for, home, tmp_path, 'echo classes >"$HADOOP_ARCHIVE_CLASSES"')
    assert not step.held
    got = step.run()
    assert got.returncode == 0, got.stderr
    archive = tmp_path / "classes.jsa"
    assert (archive.read_text(), archive.owner(), archive.stat().st_mode & 0o777) == (
        "classes\n",
        "root",
        0o444,
    )
    assert step.held
    assert [path.name for path in home.iterdir()] == ["hdfs"]


@needs_root
def test_a_file_that_only_root_may_read_does_not_become_the_archive(
    compile_for: Compile, home: Path, tmp_path: Path
) -> None:
    (secret := home / "secret").write_text("s3cret")
    shutil.chown(secret, "root", "root")
    secret.chmod(0o600)
    step = Archiving(compile_for, home, tmp_path, f'ln -s {secret} "$HADOOP_ARCHIVE_CLASSES"')
    assert step.run().returncode != 0
    assert not step.held
    assert "s3cret" not in "".join(path.read_text() for path in tmp_path.glob("classes.jsa*"))

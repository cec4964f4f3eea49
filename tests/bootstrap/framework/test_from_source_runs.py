"""Packages built from source: the real steps on a small source tree."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bootstrap.framework import from_source, steps
from bootstrap.framework.recipe import Recipe
from tests.bootstrap.framework.test_from_source import TARBALL, lacking, planned_by_name

Rewrite = Callable[..., Recipe]


class World:
    """A build folder, and the tarball of an entry whose program counts its runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "build"
        self.folder.mkdir()
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:bz2") as tar:
            for name, text in {
                "one-1/LICENSE": "terms\n",
                "one-1/install": f"#!/bin/sh -e\necho ran >>{folder}/runs\n"
                f"[ ! -e {folder}/broken ] || exit 7\n"
                'mkdir -p "$1/lib"\necho "$PYTHON $JOBS" >"$1/lib/libone.so"\n',
            }.items():
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(text), 0o755
                tar.addfile(entry, io.BytesIO(text.encode()))
        self.tarball = folder / "one.tar.bz2"
        self.tarball.write_bytes(packed.getvalue())
        self.runs, self.broken = folder / "runs", folder / "broken"
        self.prefix = Path(from_source.prefix_of(str(self.folder)))

    def entry(self, **changes: Any) -> dict[str, Any]:
        digest = hashlib.sha256(self.tarball.read_bytes()).hexdigest()
        return {**TARBALL, "url": f"file://{self.tarball}", "sha256": digest, **changes}

    def run(self, recipe: Recipe, *names: str) -> subprocess.CompletedProcess[str]:
        """Run steps by name as a node does: each only where its guard does not hold."""
        planned = [step for name, step in planned_by_name(recipe, str(self.folder)).items() if name in names]
        done = _shell("true")
        for command in steps.commands(planned):
            if _shell(command.guard).returncode != 0:
                done = _shell(command.run)
            if done.returncode != 0:
                break
        return done


def _shell(script: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(["sh", "-euc", script], capture_output=True, text=True, check=False, env=env)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_it_is_built_once_and_its_terms_are_kept(world: World, rewrite: Rewrite) -> None:
    recipe = lacking(rewrite, world.entry())
    for _ in range(2):
        done = world.run(recipe, "Fetch one", "Build one")
        assert done.returncode == 0, done.stderr
    assert world.runs.read_text() == "ran\n"
    python, jobs = (world.prefix / "lib/libone.so").read_text().split()
    assert python == "python3"
    assert int(jobs) >= 1
    assert (world.prefix / "licenses/one.txt").read_text() == "terms\n"


def test_one_that_failed_is_not_taken_for_built(world: World, rewrite: Rewrite) -> None:
    recipe = lacking(rewrite, world.entry())
    world.broken.touch()
    assert world.run(recipe, "Fetch one", "Build one").returncode != 0
    world.broken.unlink()
    assert world.run(recipe, "Fetch one", "Build one").returncode == 0
    assert world.runs.read_text() == "ran\nran\n"


def test_one_that_was_cut_off_after_its_library_was_there_is_built_again(
    world: World, rewrite: Rewrite
) -> None:
    recipe = lacking(rewrite, world.entry())
    (world.prefix / "lib").mkdir(parents=True)
    (world.prefix / "lib/libone.so").write_text("half\n")
    assert world.run(recipe, "Fetch one", "Build one").returncode == 0
    assert (world.prefix / "lib/libone.so").read_text() != "half\n"


def test_commands_that_make_something_else_are_found_out(world: World, rewrite: Rewrite) -> None:
    done = world.run(lacking(rewrite, world.entry(creates="lib/libother.so")), "Fetch one", "Build one")
    assert done.returncode != 0
    assert "one did not create lib/libother.so" in done.stderr


def test_other_bytes_than_the_pinned_ones_are_refused(world: World, rewrite: Rewrite) -> None:
    done = world.run(lacking(rewrite, world.entry(sha256="0" * 64)), "Fetch one")
    assert done.returncode == 3
    assert "expected " + "0" * 64 in done.stderr
    assert not world.prefix.exists()


def test_python_packages_come_whole_or_not_at_all(world: World, rewrite: Rewrite, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(
        f"#!/bin/sh -e\n[ ! -e {world.broken} ] || exit 7\n"
        'while [ "$1" != --target ]; do shift; done\nmkdir -p "$2"; echo x >"$2/six.py"\n'
    )
    python.chmod(0o755)
    recipe = lacking(rewrite, wheels="small/cuda.txt", python=str(python))
    world.broken.touch()
    assert world.run(recipe, "Fetch Python packages").returncode == 7
    assert not (world.prefix / "python").exists()
    world.broken.unlink()
    assert world.run(recipe, "Fetch Python packages").returncode == 0
    assert (world.prefix / "python/six.py").is_file()

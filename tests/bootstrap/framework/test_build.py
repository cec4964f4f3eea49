"""Building on a stand-in node: attaching, going on after an interruption, and what each failure says."""

from __future__ import annotations

import hashlib
import io
import socket
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bootstrap import paths
from bootstrap.errors import BuildError, CaffeSparkError, IntegrityError
from bootstrap.framework import build, cache, steps
from bootstrap.framework.build import compile_on_head, expected_seconds
from bootstrap.framework.key import HeadFacts
from bootstrap.framework.manifest import Manifest
from bootstrap.framework.recipe import Recipe
from bootstrap.ssh.unit import Unit
from tests.bootstrap.framework.conftest import CUDA, FACTS
from tests.bootstrap.framework.test_from_source import COMMIT, TARBALL, lacking
from tests.bootstrap.local_node import LocalNode

KEY = "0123456789abcdef0123"
SHA256 = hashlib.sha256(b"archive").hexdigest()
GOOD = f"""
echo 'step 1/2 build: Compile'; echo '[ 50%] Building x.o'
echo 'step 1/2 build: Compile: changed (90 s)'
mkdir -p out; printf archive >out/caffe.tar.gz; touch out/tested
echo '{{"sha256": "{SHA256}", "size": 7, "unpacked": 9, "packages": ["libx"]}}' >out/report.json
"""


class Builder:
    """Calls `compile_on_head` on a stand-in node with a script of the test's own."""

    def __init__(self, node: LocalNode, recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
        self.node, self.recipe = node, recipe
        self.folder = node.folder / "build"
        self.text = io.StringIO()
        self.console = Console(file=self.text, width=200)
        self._patch = monkeypatch
        monkeypatch.setattr(steps, "folder_of", lambda key: str(self.folder))
        monkeypatch.chdir(node.folder)
        (node.folder / ".state").mkdir()

    def __call__(self, script: str, facts: HeadFacts = FACTS) -> tuple[Manifest, str]:
        self._patch.setattr(build, "script", lambda *_: script)
        return compile_on_head(
            self.node,
            self.recipe,
            facts,
            KEY,
            {
                "recipe": "small",
                "opencv": True,
                "distribution": FACTS.distribution,
                "steps": ["long"],
            },
            console=self.console,
            reconnect=lambda: self.node,
            stack="other",
        )


@pytest.fixture
def builder(tmp_path: Path, rewrite: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch) -> Builder:
    (tmp_path / "node").mkdir()
    return Builder(LocalNode(tmp_path / "node"), rewrite(), monkeypatch)


def test_a_build_gives_its_manifest_and_its_archive(builder: Builder) -> None:
    manifest, archive = builder(GOOD)
    assert (manifest.key, manifest.sha256, manifest.packages) == (KEY, SHA256, ["libx"])
    assert manifest.inputs == {"recipe": "small", "opencv": True, "distribution": FACTS.distribution}
    assert manifest.built.phases == {"Compile": 90.0}
    assert Path(archive).read_bytes() == b"archive"


def test_the_head_gets_the_recipes_files(builder: Builder) -> None:
    builder(GOOD)
    with tarfile.open(builder.folder / "inputs.tar") as packed:
        assert {"packing.py", "assemble.py", "small/one.patch", "small/allreduce/native.cpp"} <= set(
            packed.getnames()
        )


def test_for_gpus_it_gets_the_pins_and_the_program_that_packs_cudas_libraries(
    builder: Builder, rewrite: Callable[..., Recipe]
) -> None:
    builder.recipe = rewrite(**CUDA)
    builder(GOOD)
    with tarfile.open(builder.folder / "inputs.tar") as packed:
        assert {"packing.py", "assemble_cuda.py", "small/cuda.txt"} <= set(packed.getnames())


def test_the_full_log_stays_on_the_operators_machine(builder: Builder) -> None:
    builder(GOOD)
    (log,) = (builder.node.folder / ".state" / "log").glob("build-*/head.log")
    assert "[ 50%] Building x.o" in log.read_text()


def test_a_second_caller_attaches_to_the_build_that_runs(
    builder: Builder, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = builder.node.folder / "gate"
    waiting = f"while [ ! -e {gate} ]; do sleep 0.02; done"
    Unit(builder.node, build.unit_name(KEY), str(builder.folder)).start(f"{waiting}; {GOOD}")
    said: list[str] = []

    def on_print(text: str, **_: object) -> None:
        said.append(text)
        gate.touch()  # the first build ends only after the second caller has said what it does

    monkeypatch.setattr(builder.console, "print", on_print)
    manifest, _ = builder("echo 'a second build'; exit 1")
    assert manifest.sha256 == SHA256
    assert said[0] == f"Build {KEY} runs already on head; attaching to it"


def test_a_build_that_has_ended_well_is_not_done_again(builder: Builder) -> None:
    builder(GOOD)
    manifest, _ = builder("exit 1")
    assert manifest.sha256 == SHA256


def test_an_archive_that_changed_since_is_built_again(builder: Builder) -> None:
    builder(GOOD)
    (builder.folder / "out" / "caffe.tar.gz").write_bytes(b"damaged")
    manifest, archive = builder(GOOD)
    assert Path(archive).read_bytes() == b"archive"
    assert manifest.sha256 == SHA256


_FAILED = "echo 'step 3/8 build: {0}: failed with status {1} after 2 s' >&2; exit {1}"


@pytest.mark.parametrize(
    ("script", "kind", "says"),
    [
        (
            "echo 'caffe.orig.tar.gz: sha256 is 1f, expected 2e; removed it'; " + _FAILED.format("Fetch", 3),
            IntegrityError,
            ["step `Fetch`", "sha256 is 1f, expected 2e"],
        ),
        (
            "echo 'x.cpp:1: error: no such thing'; " + _FAILED.format("Compile", 2),
            BuildError,
            ["step `Compile` of the build on head", "error: no such thing", "head.log"],
        ),
        (
            "echo 'cannot write: No space left on device'; " + _FAILED.format("Compile", 2),
            BuildError,
            ["no space is left on head", "Free some"],
        ),
        (
            "echo 'c++: fatal error: Killed signal terminated program cc1plus'; "
            + _FAILED.format("Compile", 2),
            BuildError,
            ["ran out of memory"],
        ),
        (_FAILED.format("Check the compiler", 5), BuildError, ["another compiler", "again"]),
        ("exit 0", BuildError, ["left no", "report.json"]),
    ],
)
def test_each_failure_says_what_it_means(
    builder: Builder, script: str, kind: type[CaffeSparkError], says: list[str]
) -> None:
    with pytest.raises(kind) as error:
        builder(script)
    for words in says:
        assert words in str(error.value)


def test_what_is_to_be_typed_names_the_stack(builder: Builder) -> None:
    where = "CMakeCache.txt directory /a is different than the directory /b where CMakeCache.txt was created"
    with pytest.raises(BuildError, match="`fab build-headnode --stack other`"):
        builder(f"echo 'CMake Error: The current {where}'; " + _FAILED.format("Configure", 1))


def test_a_killed_build_says_so(builder: Builder) -> None:
    with pytest.raises(BuildError, match="it was killed, or the node went down"):
        builder("kill -9 $PPID $$")


def test_a_failed_build_goes_on_when_it_is_started_again_and_its_time_counts(builder: Builder) -> None:
    with pytest.raises(BuildError):
        builder("echo 'step 1/3 build: Configure: changed (7 s)'; exit 1")
    manifest, _ = builder(GOOD)
    assert manifest.built.phases == {"Configure": 7.0, "Compile": 90.0}


def test_a_head_with_a_full_disk_is_refused_before_anything_is_written(builder: Builder) -> None:
    with pytest.raises(BuildError, match="100 MB of free disk: compiling needs"):
        builder(GOOD, replace(FACTS, disk_free_mb=100))
    assert not builder.folder.exists()


def test_a_build_for_gpus_needs_more_disk(builder: Builder, rewrite: Callable[..., Recipe]) -> None:
    facts = replace(FACTS, disk_free_mb=build.NEEDED_MB + 1)
    builder.recipe = rewrite(**CUDA)
    with pytest.raises(BuildError, match=f"compiling needs {build.NEEDED_MB + build.CUDA_MB} MB"):
        builder(GOOD, facts)
    builder.recipe = rewrite()
    builder(GOOD, facts)


def test_the_first_estimate_is_the_recipes_and_later_ones_are_the_last_builds(
    builder: Builder, manifest: Manifest
) -> None:
    assert expected_seconds(builder.recipe, FACTS) == build.PACKAGES_SECONDS + 100
    with cache.adding(manifest) as path:
        path.write_bytes(b"archive")
    # 100 s of compiling on 4 cores are 50 s on 8; configuring takes what it takes
    assert expected_seconds(builder.recipe, replace(FACTS, cores=8)) == 55


def test_what_has_to_be_built_from_source_counts_in_the_first_estimate(
    builder: Builder, rewrite: Callable[..., Recipe]
) -> None:
    before = expected_seconds(builder.recipe, FACTS)
    assert expected_seconds(lacking(rewrite, TARBALL, COMMIT), FACTS) == before + (30 + 20) / FACTS.cores


def test_what_was_built_from_source_goes_once_the_archive_carries_it(builder: Builder) -> None:
    builder("mkdir -p from-source/prefix/lib\n" + GOOD)
    assert not (builder.folder / "from-source").exists()
    assert (builder.folder / "out/caffe.tar.gz").is_file()


def test_a_download_that_stalls_is_given_up(
    rewrite: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # lets everybody in, and says nothing
        port = silent.getsockname()[1]
        monkeypatch.setattr(build, "STALLED_S", 1)
        text = build.script(rewrite(), FACTS, str(tmp_path))
        start = text.index("export GIT_HTTP")
        patience = text[start : text.index("\n#!", start)]
        for fetch in (f"curl -fsS http://127.0.0.1:{port}/", f"git ls-remote http://127.0.0.1:{port}/x"):
            done = subprocess.run(["sh", "-c", f"{patience}\n{fetch}"], timeout=20, check=False)
            assert done.returncode not in (0, 127)


def test_the_script_names_each_step_and_can_be_run_as_it_is(rewrite: Callable[..., Any]) -> None:
    text = build.script(rewrite(), FACTS, "/var/lib/x")
    before, _, _ = text.partition("step 1 ")
    assert f"PYTHONPATH={paths.SYSTEM_PACKAGES}" in before, "pip's numpy would come before the distribution's"
    assert "build: Compile" in text
    assert "works.py" in text
    assert text.isascii()

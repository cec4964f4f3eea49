"""Builds of a recipe on the head, as a unit that survives the connection; a second caller attaches to it."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from bootstrap import paths
from bootstrap.diagnosis import diagnose
from bootstrap.engine import runlog
from bootstrap.engine.operations.shell import BAD_SUM, quote
from bootstrap.engine.render import render
from bootstrap.errors import BuildError, IntegrityError
from bootstrap.framework import cache, from_source, steps
from bootstrap.framework.key import HeadFacts
from bootstrap.framework.manifest import ARCHIVE, Manifest, built_now
from bootstrap.framework.progress import BuildBar, BuildLog
from bootstrap.framework.recipe import Recipe
from bootstrap.model import Model
from bootstrap.ssh.remote import Remote
from bootstrap.ssh.unit import LOST, Unit

PACKAGES_SECONDS = 120.0
"""Expected time of everything but compiling, where no build is recorded."""
NEEDED_MB = 4000
"""Free disk that a build needs: packages, object files, the tree, and a margin."""
CUDA_MB = 5000
"""More free disk for CUDA: wheels and toolkit (2.0 GB, 1.2 GB of which stay), tree and archive (1.7 GB)."""
SLOWEST = 1000
"""Bytes per second; a download that stays below it for STALLED_S seconds fails, and is retried."""
STALLED_S = 60
TAIL = 15
EARLIER = "earlier-steps"
"""File in the build's folder with the steps of interrupted runs, from their logs."""


class _Report(Model):
    """The report of a packing program."""

    sha256: str
    size: int
    unpacked: int
    packages: list[str]


def compile_on_head(
    head: Remote,
    recipe: Recipe,
    facts: HeadFacts,
    key: str,
    inputs: dict[str, Any],
    *,
    console: Console,
    reconnect: Callable[[], Remote],
    stack: str,
) -> tuple[Manifest, str]:
    """Compile, or attach to the compilation of this key that runs already.

    Returns:
        The manifest, and the archive's path on the head.

    Raises:
        BuildError: a step failed, the disk is too full, or the build was killed.
        IntegrityError: the source has another sha256 than the recipe says.
        Unreachable: the head is gone; the build runs on if the head does.
    """
    folder = steps.folder_of(key)
    out = f"{folder}/out"
    report = _report(head, out)
    if report is None:
        unit = Unit(head, unit_name(key), folder)
        if unit.state().running:
            console.print(f"Build {key} runs already on {head.node.name}; attaching to it", highlight=False)
        else:
            unit = start(head, recipe, facts, key)
        _follow(unit, expected_seconds(recipe, facts), console, reconnect, stack)
        head = unit.remote
        report = _report(head, out)
        if report is None:
            raise BuildError(
                f"build {key} on {head.node.name}",
                f"it ended well and left no {out}/report.json",
                f"Remove {folder} on {head.node.name}, then run `fab build-headnode` again.",
            )
    manifest = Manifest(
        key=key,
        **report.model_dump(),
        inputs={name: value for name, value in inputs.items() if name != "steps"},
        built=built_now(head.node.name, facts.cores, _phases(head, folder)),
    )
    # Object files take hundreds of megabytes; the patched source, the tarball and the log stay.
    head.run(f"cd {folder} && rm -rf work/build work.new source {from_source.FOLDER} out/tree", check=False)
    return manifest, f"{out}/{ARCHIVE}"


def start(head: Remote, recipe: Recipe, facts: HeadFacts, key: str) -> Unit:
    """Start the build, unless it runs already, and return its unit.

    Raises:
        BuildError: the disk is too full.
        CommandFailed: systemd refused to start it.
        Unreachable: the head is gone.
    """
    folder = steps.folder_of(key)
    unit = Unit(head, unit_name(key), folder)
    _require_disk(head, recipe, facts)
    head.put(_packed_inputs(recipe, facts.distribution), f"{folder}/inputs.tar")
    # Steps of an interrupted run count as well; its log is about to be replaced.
    head.run(f"cd {folder} && grep '^step ' log >>{EARLIER}", check=False)
    unit.start(script(recipe, facts, folder))
    return unit


def announcement(recipe: Recipe, facts: HeadFacts, key: str, head: str) -> str:
    """Return a line that says what is compiled, on which head."""
    return (
        f"Compiling {recipe.name} on {head} ({facts.distribution} {facts.arch}, "
        f"{' '.join(facts.compiler)}, {facts.cores} cores), key {key}"
    )


def unit_name(key: str) -> str:
    """Return the name of the systemd unit of a build on the head."""
    return f"{paths.BUILD_UNIT}{key}"


def script(recipe: Recipe, facts: HeadFacts, folder: str) -> str:
    """Return the build as one POSIX shell script; run again, it continues where it stopped."""
    planned = steps.steps(recipe, facts.distribution, facts.compiler, folder, facts.toolkits)
    planned.append(steps.test_step(recipe, facts.distribution, folder))
    unpack = (
        f"rm -rf {folder}/inputs && mkdir {folder}/inputs\n"
        f"tar -xf {folder}/inputs.tar -C {folder}/inputs --no-same-owner --no-same-permissions\n"
    )
    before = _patience(folder)
    if recipe.on(facts.distribution).python is None:
        # The distribution's numpy comes before one that pip has installed.
        before += f"export PYTHONNOUSERSITE=1 PYTHONPATH={paths.SYSTEM_PACKAGES}\n"
    return f"set -e\n{unpack}{before}{render(steps.commands(planned))}"


def _patience(folder: str) -> str:
    """Return shell that aborts stalled downloads, since no step has a time-out here.

    It sets the environment: changed commands would change the key, and caches would be lost.
    """
    return (
        f"export GIT_HTTP_LOW_SPEED_LIMIT={SLOWEST} GIT_HTTP_LOW_SPEED_TIME={STALLED_S} CURL_HOME={folder}\n"
        f"printf 'speed-limit = {SLOWEST}\\nspeed-time = {STALLED_S}\\n' >{folder}/.curlrc\n"
    )


def expected_seconds(recipe: Recipe, facts: HeadFacts) -> float:
    """Return the expected time: that of the last such build, per core, else the recipe's own estimate."""
    for manifest in cache.manifests():
        phases = manifest.built.phases
        same = (manifest.inputs.get("recipe"), manifest.inputs.get("opencv")) == (recipe.name, recipe.opencv)
        if same and steps.COMPILE in phases:
            compiling = phases[steps.COMPILE] * manifest.built.cores / facts.cores
            return sum(phases.values()) - phases[steps.COMPILE] + compiling
    lacked = sum(entry.core_seconds for entry in recipe.on(facts.distribution).from_source)
    return PACKAGES_SECONDS + (recipe.core_seconds + lacked) / facts.cores


def _follow(
    unit: Unit, expected: float, console: Console, reconnect: Callable[[], Remote], stack: str
) -> None:
    """Stream the build into a bar and a local log file until it has ended; explain a failure."""
    node = unit.remote.node.name
    path = runlog.new_folder("build") / f"{node}.log"
    console.print(f"Build log: {path}", style="dim", soft_wrap=True, highlight=False)
    tail: list[str] = []
    with path.open("w") as file, BuildBar(console, expected) as bar:

        def on_line(line: str) -> None:
            file.write(line + "\n")
            tail.append(line)
            del tail[:-TAIL]
            bar.feed(line)

        try:
            code = unit.follow(on_line, reconnect=reconnect)
        except KeyboardInterrupt:
            console.print(
                f"The build goes on on {node}; `fab build-headnode` attaches to it, "
                f"`sudo systemctl stop {unit.name}` there ends it.",
                soft_wrap=True,
                highlight=False,
            )
            raise
    if code != 0:
        console.print("\n".join(tail), style="dim", soft_wrap=True, highlight=False, markup=False)
        raise _failure(bar.log, code, tail, path, node=node, stack=stack)


def _phases(head: Remote, folder: str) -> dict[str, float]:
    """Return the seconds of each step, over all its runs."""
    log = BuildLog()
    for line in head.run(
        f"cd {folder} && cat {EARLIER} log 2>/dev/null | grep '^step '", check=False
    ).stdout.splitlines():
        log.feed(line)
    return log.phases


def _failure(  # noqa: PLR0911 - a case each
    log: BuildLog, code: int, tail: list[str], path: Path, *, node: str, stack: str
) -> BuildError | IntegrityError:
    """Return the error of a failed build; `tail` is the log's last lines."""
    step, status = log.failed or (log.step or "start", code)
    given, text = f"step `{step}` of the build on {node}", "\n".join(tail)
    again = "then `fab build-headnode` again; it goes on from here"
    if code == LOST and log.failed is None:
        return BuildError(given, "it was killed, or the node went down, before it ended", f"Run {again[5:]}.")
    if status == BAD_SUM and "expected" in text:
        line = next(line for line in reversed(tail) if "expected" in line)
        return IntegrityError(given, line, "Check the mirror, or the sum in the recipe, then run it again.")
    if status == steps.COMPILER_CHANGED:
        return BuildError(given, "the head got another compiler meanwhile", "Run `fab build-headnode` again.")
    if "No space left on device" in text:
        return BuildError(given, f"no space is left on {node}", f"Free some there, {again}.")
    if "Killed signal" in text or "cannot allocate memory" in text.lower():
        return BuildError(given, f"{node} ran out of memory", f"Give it more or fewer cores, {again}.")
    known = diagnose(text, node=node, stack=stack)
    if known is not None:
        return BuildError(given, known.why, f"{known.fix} Full log: {path}")
    telling = [line for line in tail if "error" in line.lower()] or [f"status {status}"]
    return BuildError(given, telling[0].strip(), f"Read {path}, fix the cause, {again}.")


def _require_disk(head: Remote, recipe: Recipe, facts: HeadFacts) -> None:
    needed = NEEDED_MB + (CUDA_MB if recipe.cuda else 0)
    if facts.disk_free_mb < needed:
        raise BuildError(
            f"{head.node.name} with {facts.disk_free_mb} MB of free disk",
            f"compiling needs {needed} MB",
            "Free some there, then run `fab build-headnode` again.",
        )


def _packed_inputs(recipe: Recipe, distribution: str) -> bytes:
    """Pack the recipe's files and our programs into a tarball."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, path in {**recipe.inputs(distribution), **steps.programs(recipe, distribution)}.items():
            tar.add(path, name)
    return packed.getvalue()


def _report(head: Remote, out: str) -> _Report | None:
    """Read the report of a complete build, if its archive still has the reported sum."""
    result = head.run(
        f"cd {quote(out)} 2>/dev/null && [ -e {steps.TESTED} ] && sha256sum <{ARCHIVE} && cat report.json",
        check=False,
    )
    if not result.ok:
        return None
    digest, _, text = result.stdout.partition("\n")
    try:
        report = _Report.model_validate_json(text)
    except ValueError:
        return None
    return report if report.sha256 == digest.split()[0] else None

"""Steps that build libraries that a distribution lacks, into a prefix of the build.

The packed tree contains these libraries (`on_head/assemble_built.py`): nodes need nothing of the prefix.
"""

from __future__ import annotations

from collections.abc import Sequence

from bootstrap.engine.operations.archive import Archive
from bootstrap.engine.operations.build import Build
from bootstrap.engine.operations.command import Shell
from bootstrap.engine.operations.git import Git
from bootstrap.engine.operations.shell import quote
from bootstrap.engine.role import Step
from bootstrap.framework.distribution import Distribution, FromSource

FOLDER = "from-source"
"""Folder of sources and prefix, below the build's; removed once the artefact is complete."""


def prefix_of(folder: str) -> str:
    """Return the folder that entries install to; `folder` is the build's."""
    return f"{folder}/{FOLDER}/prefix"


def steps(wanted: Distribution, folder: str, jobs: Sequence[str]) -> list[Step]:
    """Return steps that fetch and build each entry, in order, then fetch the wheels; none if nothing lacks.

    `jobs` are lines of shell that set `$jobs`.
    """
    planned = [step for entry in wanted.from_source for step in _entry(entry, wanted, folder, jobs)]
    if wanted.wheels is not None:
        planned.append(_wheels(wanted.interpreter, f"{folder}/inputs/{wanted.wheels}", prefix_of(folder)))
    return planned


def _entry(entry: FromSource, wanted: Distribution, folder: str, jobs: Sequence[str]) -> list[Step]:
    prefix, source = prefix_of(folder), f"{folder}/{FOLDER}/src/{entry.name}"
    fetch = Step(name=f"Fetch {entry.name}", timeout=1800, **_source(entry, source))
    # A library may be there before its headers are: only the mark says that all of it is.
    mark = f"{prefix}/.{entry.name}"
    lines = [
        f"export PREFIX={prefix} PYTHON={quote(wanted.interpreter)}",
        *jobs,
        'export JOBS="$jobs"',
        *entry.commands,
        f'[ -e "$PREFIX"/{quote(entry.creates)} ] || '
        f"{{ echo {quote(f'{entry.name} did not create {entry.creates}')} >&2; exit 1; }}",
    ]
    if entry.licence_file is not None:
        terms = quote(f"{source}/{entry.licence_file}")
        lines += ['mkdir -p "$PREFIX/licenses"', f'cp {terms} "$PREFIX/licenses/{entry.name}.txt"']
    lines.append(f"touch {mark}")
    where = source if entry.folder == "." else f"{source}/{entry.folder}"
    return [
        fetch,
        Step(
            name=f"Build {entry.name}",
            timeout=3600,
            build=Build(dir=where, commands=lines, creates=mark),
        ),
    ]


def _source(entry: FromSource, dest: str) -> dict[str, Archive | Git]:
    if entry.git is not None:
        return {"git": Git(**entry.git.model_dump(), dest=dest)}
    assert entry.url is not None and entry.sha256 is not None  # noqa: S101 - _one_source holds
    fetch = f'curl -fsSL --retry 3 --retry-delay 2 --connect-timeout 20 -o "$out" {quote(entry.url)}'
    return {"archive": Archive(fetch=fetch, sha256=entry.sha256, dest=dest)}


def _wheels(python: str, pins: str, prefix: str) -> Step:
    run = f"""\
new={prefix}/python.new
rm -rf "$new"
mkdir -p {prefix}
{quote(python)} -m pip install -q --disable-pip-version-check --no-cache-dir --no-compile \\
  --require-hashes --no-deps --only-binary :all: --target "$new" -r {quote(pins)}
mv -T "$new" {prefix}/python"""
    return Step(name="Fetch Python packages", timeout=900, command=Shell(run=run, creates=f"{prefix}/python"))

"""`fab data list` and `fab data show`: what data sets in shared storage hold.

Databases are read on the head, where a copy of them passes; this machine gets numbers and a few images.
"""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from bootstrap import paths
from bootstrap.cluster import Cluster
from bootstrap.console import print_line
from bootstrap.errors import JobError
from bootstrap.others_json import json_object
from bootstrap.ssh.as_user import AS_USER
from bootstrap.ssh.remote import Remote, connect
from bootstrap.storage.hadoop import SharedStorage
from jobs.datasets import own, registry
from jobs.datasets.on_head.images import CLASSES
from jobs.datasets.recognise import DATABASE, IMAGES, LMDB
from jobs.datasets.sheet import draw
from jobs.datasets.workspace import workspace
from jobs.submission.package import trainer_zip

TIMEOUT = 3600.0
"""Seconds for the head to copy a set from storage and to read it."""
PROGRAMS = "programs.zip"
_READ = (own.BUILT_IN, IMAGES, LMDB)
"""Kinds whose records are LMDBs."""
_SHOWN = 40
"""Classes, and shapes, in a table."""


class Looked(NamedTuple):
    """What the head's program says of the databases of a set, and the names of its classes."""

    sets: list[dict[str, Any]]
    samples: list[dict[str, Any]]
    classes: list[str]


def table(cluster: Cluster) -> Table:
    """Return a table of the data sets in shared storage.

    Raises:
        ServiceDown: the storage does not answer.
        Unreachable: the head does not answer.
    """
    shown = Table(box=None)
    for name in ("name", "kind", "files", "bytes", "put"):
        shown.add_column(name, no_wrap=True, justify="right" if name in {"files", "bytes"} else "left")
    with connect(cluster, cluster.head) as head:
        for name, manifest, when in own.listed(SharedStorage(head, cluster.shared_storage)):
            if manifest is None:
                shown.add_row(name, "manifest not valid" if when else "no manifest", "", "", when)
                continue
            sizes = manifest.sizes.values()
            shown.add_row(name, manifest.kind, f"{len(sizes):,}", decimal(sum(sizes)), when)
    return shown


def show(cluster: Cluster, name: str, console: Console, results: Path) -> None:
    """Print what a data set holds; write a contact sheet of its images into `results`/data.

    Raises:
        JobError: there is no such set, or it cannot be read.
        ServiceDown: the storage does not answer.
        Unreachable: the head does not answer.
    """
    if why := registry.fault(name):
        raise JobError(f"data {name!r}", why, "Take a name of `fab data list`.")
    with connect(cluster, cluster.head) as head:
        storage = SharedStorage(head, cluster.shared_storage)
        manifest = own.find(storage, name)
        _describe(console, storage, name, manifest)
        if manifest.kind not in _READ or not databases_of(manifest):
            print_line(
                console, f"records  not counted: those of kind {manifest.kind} need Spark; see docs/tools.md"
            )
            return
        with console.status(f"Reading {storage.url(registry.path_of(name))} on {head.node.name} …"):
            looked = _look(head, storage, name, manifest)
    for each in looked.sets:
        _print(console, each, looked.classes)
    # Caffe's tools write channels as blue, green, red; CIFAR-10's own archive as red, green, blue.
    path = results / "data" / f"{name}.png"
    if draw(looked.samples, looked.classes, path, blue_first=manifest.kind != own.BUILT_IN):
        print_line(console, f"sheet    {path}")


def databases_of(manifest: own.Manifest) -> list[str]:
    """Return the folders of the databases in a set, that of training first."""
    folders = [file.rpartition("/")[0] for file in manifest.sizes if file.endswith(f"/{DATABASE}")]
    return sorted(folders, key=lambda folder: (not folder.startswith("train"), folder))


def _describe(console: Console, storage: SharedStorage, name: str, manifest: own.Manifest) -> None:
    size = decimal(sum(manifest.sizes.values()))
    print_line(console, f"data     {storage.url(registry.path_of(name))}")
    print_line(console, f"kind     {manifest.kind}, {len(manifest.sizes):,} files, {size}")
    for source in sorted({file.partition("/")[0] for file in manifest.sizes if "/" in file}):
        print_line(console, f'source   "{registry.path_of(name)}/{source}"')


def _look(head: Remote, storage: SharedStorage, name: str, manifest: own.Manifest) -> Looked:
    path, databases, has_classes = registry.path_of(name), databases_of(manifest), CLASSES in manifest.sizes
    with workspace(head, name) as work, tempfile.TemporaryDirectory(prefix="caffe-spark-show-") as scratch:
        head.put(trainer_zip(), f"{work}/{PROGRAMS}")
        copy = f"{work}/copy"
        get = storage.command(f"dfs -get {storage.quoted(path)} set")
        environment = f"env PYTHONPATH={shlex.quote(f'{work}/{PROGRAMS}')}"
        arguments = shlex.join(f"{copy}/set/{folder}" for folder in databases)
        # With the job user's rights: jobs may have written the database.
        script = (
            f"set -e\n{AS_USER}mkdir -p {shlex.quote(copy)}; chmod 0755 {shlex.quote(work)}\n"
            f"chown {paths.JOB_USER} {shlex.quote(copy)}\n"
            f"(cd {shlex.quote(copy)}; {get}) </dev/null >&2\n"
            f"as_user {paths.JOB_USER} {environment} {paths.ANY_PYTHON} "
            f"-m jobs.datasets.on_head.look {arguments}"
        )
        answer = Path(scratch) / "answer.json"
        result = head.receive(script, answer, timeout=TIMEOUT)
        if not result.ok:
            own.require_whole(storage, name)
            why = (result.stderr.strip().splitlines() or [f"status {result.exit_code}"])[-1]
            raise JobError(f"data {name!r}", f"{head.node.name} cannot read it: {why}", "Run `fab doctor`.")
        text = storage.read(f"{path}/{CLASSES}") if has_classes else None
        return _looked(name, answer.read_bytes(), text)


def _looked(name: str, answer: bytes, classes: bytes | None) -> Looked:
    try:
        found = json_object(answer)
        return Looked(list(found["sets"]), list(found["samples"]), (classes or b"").decode().splitlines())
    except (ValueError, KeyError, TypeError) as error:
        raise JobError(f"data {name!r}", "the head's answer is not valid", "Rerun the command.") from error


def _print(console: Console, summary: Mapping[str, Any], classes: list[str]) -> None:
    shapes = ", ".join(f"{shape}: {count:,}" for shape, count in list(summary["shapes"].items())[:_SHOWN])
    labels = summary["labels"]
    more = f", and more than {len(labels):,} labels" if summary["others"] else ""
    print_line(console, f"records  {summary['name']}: {summary['records']:,} ({shapes})")
    shown = Table(box=None)
    for column in ("label", "class", "records"):
        shown.add_column(column, justify="left" if column == "class" else "right")
    for label, count in list(labels.items())[:_SHOWN]:
        shown.add_row(label, _class_of(classes, int(label)), f"{count:,}")
    console.print(shown)
    if len(labels) > _SHOWN or more:
        print_line(console, f"         {len(labels):,} labels in all{more}; the first {_SHOWN} are shown")


def _class_of(classes: list[str], label: int) -> str:
    """Return the name of a label's class; empty where none is known."""
    return classes[label] if 0 <= label < len(classes) else ""

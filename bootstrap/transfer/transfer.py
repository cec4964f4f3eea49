"""`fab get` and `fab put`: whole or not at all, and nothing again that is there already."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from bootstrap.aside import token
from bootstrap.cluster import Cluster
from bootstrap.errors import ConfigError
from bootstrap.ssh.remote import Moved, connect
from bootstrap.transfer.ends import End, InStorage, OnNode
from bootstrap.transfer.on_node import content
from bootstrap.transfer.place import Place, parse


def get(cluster: Cluster, source: str, to: str, console: Console, *, force: bool = False) -> Path:
    """Copy a file or folder of the cluster to this machine; return its path here.

    `to` that is a folder by its form (`.`, `..`, or with a trailing slash) gets it under its own name.

    Raises:
        ConfigError: `source` is not a valid place, or there is other content at the target.
        CommandFailed: there is nothing at `source`, or it cannot be read.
        ServiceDown: the storage does not answer.
        IntegrityError: what arrived is not what was sent.
    """
    place = parse(source, cluster)
    target = Path(to) / place.name if _into(to) else Path(to)
    with _end(cluster, place) as end:
        if target.exists() or target.is_symlink():
            with console.status(f"Comparing {place} with {target} …"):
                same = not target.is_symlink() and end.sums() == _sums(target)
            if same:
                console.print(f"{target}: it is there already, the same as {place}", soft_wrap=True)
                return target
            if not force:
                raise ConfigError(
                    str(target),
                    "it exists, with other content",
                    "Add `--force` to replace it, or name another path; "
                    f"`{target}/` would copy into the folder."
                    if target.is_dir()
                    else "Add `--force` to replace it, or name another path.",
                )
        target.parent.mkdir(parents=True, exist_ok=True)
        arrived = target.with_name(f".{target.name}.{token()}")
        folder = arrived.with_name(f"{arrived.name}.folder")
        try:
            with progress(console, f"{place}") as moved:
                is_folder = end.fetch(arrived, moved)
            size = arrived.stat().st_size
            if is_folder:
                with arrived.open("rb") as stream:
                    content.unpack(stream, str(folder))
            _replace(target, folder if is_folder else arrived)
        finally:
            arrived.unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)
    console.print(f"{place} → {target} ({decimal(size)})", soft_wrap=True)
    return target


def put(cluster: Cluster, source: str, to: str, console: Console, *, force: bool = False) -> Place:
    """Copy a file or folder of this machine to the cluster; return its place there.

    `to` with a trailing slash gets it under its own name.

    Raises: as `get`.
    """
    file = Path(source)
    if not (file.is_file() or file.is_dir()):
        raise ConfigError(source, "there is no such file or folder", "Check its path.")
    place = parse(f"{to}{file.resolve().name}" if to.endswith("/") else to, cluster)
    with _end(cluster, place) as end, tempfile.TemporaryDirectory(prefix="caffe-spark-put-") as scratch:
        with console.status(f"Looking at {place} …"):
            there = end.sums()
        if there is not None:
            if there == _sums(file):
                console.print(f"{place}: it is there already, the same as {file}", soft_wrap=True)
                return place
            if not force:
                raise ConfigError(
                    str(place),
                    "it exists, with other content",
                    "Add `--force` to replace it, or name another path.",
                )
        sent = file
        if file.is_dir():
            sent = Path(scratch) / "folder.tar"
            with sent.open("wb") as out:
                content.pack(str(file), out)
        mode = 0o755 if os.access(file, os.X_OK) else 0o644
        with progress(console, file.name) as moved:
            end.store(sent, folder=file.is_dir(), mode=mode, force=force, moved=moved)
        size = sent.stat().st_size
    console.print(f"{file} → {place} ({decimal(size)})", soft_wrap=True)
    return place


def _into(to: str) -> bool:
    return to.endswith("/") or Path(to).name in {"", "..", "."}


def _sums(path: Path) -> dict[str, str] | None:
    try:
        return content.sums(str(path))
    except ValueError:
        return None


@contextmanager
def _end(cluster: Cluster, place: Place) -> Iterator[End]:
    with connect(cluster, place.node or cluster.head) as remote:
        yield OnNode(remote, place) if place.node else InStorage(remote, place)


def _replace(target: Path, new: Path) -> None:
    """Rename `new` to `target`; a folder that is there goes aside first, since no rename replaces it."""
    if target.is_dir() and not target.is_symlink():
        old = new.with_name(f"{new.name}.old")
        target.rename(old)
        try:
            new.rename(target)
        except OSError:
            old.rename(target)
            raise
        shutil.rmtree(old)
    elif new.is_dir():
        target.unlink(missing_ok=True)
        new.rename(target)
    else:
        new.replace(target)


@contextmanager
def progress(console: Console, what: str) -> Iterator[Moved]:
    """Show a bar of the bytes that the yielded function is told, on a terminal."""
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        # Pulses while the node packs or reads.
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)

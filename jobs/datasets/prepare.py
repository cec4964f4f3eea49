"""Data sets that jobs name, in shared storage: built-in ones made there once, own ones checked.

A built-in set is downloaded and verified locally, and converted on the head. The folder in storage has a
manifest of the raw files and of its own files (`bootstrap.storage.folders`).
"""

from __future__ import annotations

import gzip
import shlex
import shutil
import tempfile
from pathlib import Path

from rich.console import Console

from bootstrap.cluster import Cluster
from bootstrap.errors import CommandFailed, JobError
from bootstrap.ssh.remote import Connect, Remote, connect
from bootstrap.storage import folders
from bootstrap.storage.folders import NOT_MADE
from bootstrap.storage.hadoop import SharedStorage
from jobs.datasets import own, registry
from jobs.datasets.base import CONVERT_TIMEOUT
from jobs.datasets.workspace import workspace
from jobs.spec import JobSpec


def ensure_shipped(spec: JobSpec) -> None:
    """Ensure that the files which the data set adds to the job are on this machine.

    Raises:
        JobError: the data set cannot be downloaded.
        IntegrityError: the downloaded files differ from the pinned ones.
    """
    chosen = registry.built_in(spec.data) if spec.data else None
    for make in chosen.shipped.values() if chosen else ():
        make()


def ensure_data(cluster: Cluster, spec: JobSpec, console: Console, through: Connect | None = None) -> None:
    """Ensure that the specification's data set is in shared storage, and is what its manifest says.

    Raises:
        JobError: it cannot be downloaded or converted; an own one is missing or damaged.
        IntegrityError: the downloaded files differ from the pinned ones.
        ServiceDown: shared storage does not answer.
        Unreachable: the head does not answer.
    """
    if spec.data is None:
        return

    def say(text: str, style: str = "") -> None:
        console.print(f"data     {text}", style=style, soft_wrap=True, highlight=False)

    with (through or connect)(cluster, cluster.head) as head:
        storage = SharedStorage(head, cluster.shared_storage)
        chosen, folder = registry.built_in(spec.data), registry.folder_of(spec.data)
        if chosen is None or folder is None:
            own.require_whole(storage, spec.data)
            say(f"{storage.url(registry.path_of(spec.data))} is there")
            return
        url, stored = storage.url(folder.path), folders.before_making(storage, folder)
        if stored.whole:
            say(f"{url} is there")
            return
        if stored.why:
            say(f"{url}: {stored.why}; it is rebuilt now", "yellow")
        say(f"{spec.data}: downloading")
        files = chosen.files()
        with workspace(head, spec.data) as work:
            upload(head, files, work)
            if chosen.program:
                head.put(chosen.program, f"{work}/{chosen.program.name}")
            say(f"{spec.data}: converting on {head.node.name}")
            try:
                wrote = folders.make(
                    storage,
                    folder,
                    chosen.script(work),
                    work=work,
                    timeout=CONVERT_TIMEOUT,
                    say=lambda line: say(f"{spec.data}: {line}"),
                )
            except CommandFailed as error:
                if error.exit_code != NOT_MADE:
                    raise
                fix = "Run `fab build-headnode`, then rerun the command."
                raise JobError(f"converting the data on {head.node.name}", error.why, fix) from error
        say(f"{url} {'written' if wrote else 'is there'}")


def upload(head: Remote, files: dict[str, Path], work: str) -> None:
    """Upload the raw files to a working folder on the head."""
    raw = f"{work}/raw"
    head.run(f"mkdir -p {shlex.quote(raw)}")
    for name, path in files.items():
        # Compressed for the upload (a fifth of the size); converters read them uncompressed.
        with tempfile.NamedTemporaryFile(suffix=".gz") as packed:
            with path.open("rb") as plain, gzip.open(packed, "wb", compresslevel=6) as compressed:
                shutil.copyfileobj(plain, compressed)
            packed.flush()
            head.put(Path(packed.name), f"{raw}/{name}.gz")

"""Data sets in shared storage: downloaded and verified locally, converted on the head, written once.

The folder in storage has a manifest of the raw files and of its own files (`bootstrap.storage.folders`).
"""

from __future__ import annotations

import gzip
import shlex
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from bootstrap import paths
from bootstrap.aside import token
from bootstrap.cluster import Cluster
from bootstrap.errors import CommandFailed, JobError, Unreachable
from bootstrap.ssh.remote import Remote, connect
from bootstrap.storage import folders
from bootstrap.storage.folders import MADE, NOT_MADE, Folder
from bootstrap.storage.hadoop import SharedStorage
from jobs.datasets import cifar10
from jobs.datasets.mnist import FILES, ensure_files
from jobs.spec import JobSpec

STAGING = f"{paths.STATE}/data"
CONVERT = f"{paths.CAFFE_HOME}/bin/convert_mnist_data"
CONVERT_TIMEOUT = 600.0
STALE_MIN = 24 * 60
"""Minutes after which a working folder on the head is left by a command that was interrupted."""
CIFAR10 = Path(__file__).parent / "on_head" / "cifar10.py"
_SETS = {"train": "train", "test": "t10k"}


class DataSet(NamedTuple):
    """A data set, by how it is made."""

    inputs: Mapping[str, str]
    """sha256 of its raw files."""
    files: Callable[[], dict[str, Path]]
    """Function that returns the raw files on this machine, by name."""
    script: Callable[[str], str]
    """Function that returns the script which converts them in a working folder on the head."""
    program: Path | None = None
    """Program that the script runs, from its working folder."""


def data_set(name: str) -> DataSet:
    """Return a data set by its name in specifications."""
    if name == "cifar10":
        return DataSet(cifar10.FILES, cifar10.ensure_files, cifar10_script, CIFAR10)
    return DataSet(FILES, ensure_files, convert_script)


def folder_of(name: str) -> Folder:
    """Return the folder of a data set in shared storage."""
    files = tuple(f"{phase}_lmdb/data.mdb" for phase in _SETS)
    return Folder(f"{paths.DATA}/{name}", data_set(name).inputs, files)


def ensure_shipped(spec: JobSpec) -> None:
    """Ensure that the files which the data set adds to the job are on this machine.

    Raises:
        JobError: the data set cannot be downloaded.
        IntegrityError: the downloaded files differ from the pinned ones.
    """
    if spec.data == "cifar10":
        cifar10.ensure_mean()


def ensure_data(cluster: Cluster, spec: JobSpec, console: Console) -> None:
    """Ensure that the specification's data set is in shared storage, and is what its manifest says.

    Raises:
        JobError: it cannot be downloaded or converted.
        IntegrityError: the downloaded files differ from the pinned ones.
        ServiceDown: shared storage does not answer.
        Unreachable: the head does not answer.
    """
    if spec.data is None:
        return

    def say(text: str, style: str = "") -> None:
        console.print(f"data     {text}", style=style, soft_wrap=True, highlight=False)

    with connect(cluster, cluster.head) as head:
        storage = SharedStorage(head, cluster.shared_storage)
        storage.require_writable()
        folder = folder_of(spec.data)
        url = storage.url(folder.path)
        stored = folders.check(storage, folder)
        if stored.whole:
            say(f"{url} is there")
            return
        if stored.why:
            say(f"{url}: {stored.why}; it is rebuilt now", "yellow")
        say(f"{spec.data}: downloading")
        chosen = data_set(spec.data)
        files = chosen.files()
        work = f"{STAGING}/{spec.data}-{token()}"
        try:
            upload(head, files, work)
            if chosen.program:
                head.put(chosen.program, f"{work}/{chosen.program.name}")
            say(f"{spec.data}: converting on {head.node.name}")
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
        finally:
            with suppress(Unreachable):  # the first error matters
                head.run(f"rm -rf {shlex.quote(work)}", check=False)
        say(f"{url} {'written' if wrote else 'is there'}")


def upload(head: Remote, files: dict[str, Path], work: str) -> None:
    """Upload the raw files to a working folder on the head; remove what interrupted commands left there."""
    parent, raw = shlex.quote(STAGING), f"{work}/raw"
    head.run(
        f"mkdir -p {shlex.quote(raw)}\n"
        f"find {parent} -mindepth 1 -maxdepth 1 -mmin +{STALE_MIN} -exec rm -rf {{}} +\n"
    )
    for name, path in files.items():
        # Compressed for the upload (a fifth of the size); convert_mnist_data reads them uncompressed.
        with tempfile.NamedTemporaryFile(suffix=".gz") as packed:
            with path.open("rb") as plain, gzip.open(packed, "wb", compresslevel=6) as compressed:
                shutil.copyfileobj(plain, compressed)
            packed.flush()
            head.put(Path(packed.name), f"{raw}/{name}.gz")


def convert_script(work: str) -> str:
    """Return the shell script that converts the raw files of a working folder to two LMDBs."""
    raw, made = shlex.quote(f"{work}/raw"), shlex.quote(f"{work}/{MADE}")
    sets = "".join(
        f"timeout -k 10 {CONVERT_TIMEOUT / len(_SETS):g} {CONVERT} "
        f"{raw}/{stem}-images-idx3-ubyte {raw}/{stem}-labels-idx1-ubyte {made}/{name}_lmdb --backend=lmdb\n"
        # Readers open it without locking; a lock file of another machine would only hinder them.
        f"rm -f {made}/{name}_lmdb/lock.mdb\n"
        for name, stem in _SETS.items()
    )
    return f"mkdir -p {made}\ngunzip {raw}/*.gz\n{sets}chmod -R a+rX {shlex.quote(work)}\n"


def cifar10_script(work: str) -> str:
    """Return the shell script that converts CIFAR-10's archive in a working folder to two LMDBs."""
    raw, made = shlex.quote(f"{work}/raw"), shlex.quote(f"{work}/{MADE}")
    return (
        f"mkdir -p {made}\ngunzip {raw}/*.gz.gz\n"
        f"timeout -k 10 {CONVERT_TIMEOUT:g} {paths.ANY_PYTHON} {shlex.quote(f'{work}/{CIFAR10.name}')} "
        f"{raw}/{cifar10.ARCHIVE} {made}\n"
        f"chmod -R a+rX {shlex.quote(work)}\n"
    )

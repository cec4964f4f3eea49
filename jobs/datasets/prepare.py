"""Brings a data set into shared storage, once: downloaded and checked here, converted on the head.

What lies in storage carries a manifest of the raw files' sha256; the folder appears there at once, whole.
"""

from __future__ import annotations

import gzip
import json
import shlex
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from bootstrap import paths
from bootstrap.aside import token
from bootstrap.cluster import Cluster
from bootstrap.errors import CommandFailed, JobError, Unreachable
from bootstrap.ssh.remote import Remote, connect
from bootstrap.storage.hadoop import SharedStorage
from jobs.datasets.mnist import FILES, ensure_files
from jobs.spec import JobSpec

MANIFEST = "manifest.json"
STAGING = f"{paths.STATE}/data"
CONVERT = f"{paths.CAFFE_HOME}/bin/convert_mnist_data"
CONVERT_TIMEOUT = 600.0
_SETS = {"train": "train", "test": "t10k"}


def ensure_data(cluster: Cluster, spec: JobSpec, console: Console) -> None:
    """Have the specification's data set in shared storage.

    Raises:
        JobError: it cannot be downloaded or converted.
        IntegrityError: what was downloaded is not what was pinned.
        ServiceDown: shared storage does not answer.
        Unreachable: the head does not.
    """
    if spec.data is None:
        return
    with connect(cluster, cluster.head) as head:
        storage = SharedStorage(head, cluster.shared_storage)
        storage.require_writable()
        folder = f"{paths.DATA}/{spec.data}"
        if is_present(storage.read(f"{folder}/{MANIFEST}")):
            console.print(f"data     {storage.url(folder)} is there")
            return
        console.print(f"data     {spec.data}: downloading")
        files = ensure_files()
        console.print(f"data     {spec.data}: converting on {head.node.name}")
        staging = f"{STAGING}/{spec.data}-{token()}"
        try:
            convert(head, files, staging)
            # Somebody else may have put it there meanwhile, and jobs may be reading it.
            wrote = storage.put(staging, folder, same=MANIFEST)
        finally:
            with suppress(Unreachable):  # what happened first is told
                head.run(f"rm -rf {shlex.quote(staging)} {shlex.quote(staging)}.raw", check=False)
        console.print(f"data     {storage.url(folder)} {'written' if wrote else 'is there'}")


def is_present(manifest: bytes | None) -> bool:
    """Whether a manifest from storage is of the pinned files."""
    if manifest is None:
        return False
    try:
        inputs = json.loads(manifest)["inputs"]
    except (ValueError, KeyError, TypeError):
        return False
    return bool(inputs == FILES)


def convert(head: Remote, files: dict[str, Path], staging: str) -> None:
    """Turn the raw files into two LMDBs and a manifest in a folder of the head.

    Raises:
        JobError: convert_mnist_data is missing or fails.
    """
    aside = f"{staging}.raw"
    quoted = {"out": shlex.quote(staging), "raw": shlex.quote(aside)}
    head.run("rm -rf {out} {raw}; mkdir -p {out} {raw}".format(**quoted))
    for name, path in files.items():
        # A fifth of the bytes travel; convert_mnist_data wants them plain.
        head.put(gzip.compress(path.read_bytes(), compresslevel=6), f"{aside}/{name}.gz")
    head.put(json.dumps({"inputs": FILES}, indent=1).encode(), f"{staging}/{MANIFEST}")
    sets = "".join(
        f"{CONVERT} {quoted['raw']}/{stem}-images-idx3-ubyte {quoted['raw']}/{stem}-labels-idx1-ubyte "
        f"{quoted['out']}/{name}_lmdb --backend=lmdb\n"
        # Readers open it without a lock; a lock file of another machine only gets in their way.
        f"rm -f {quoted['out']}/{name}_lmdb/lock.mdb\n"
        for name, stem in _SETS.items()
    )
    try:
        head.run(
            f"set -e\ngunzip {quoted['raw']}/*.gz\n{sets}"
            f"rm -rf {quoted['raw']}\nchmod -R a+rX {quoted['out']}\n",
            timeout=CONVERT_TIMEOUT,
        )
    except CommandFailed as error:
        last = error.output.strip().splitlines()[-1:] or [f"status {error.exit_code}"]
        raise JobError(
            f"converting the data on {head.node.name}", last[0], "Run `fab build-headnode`, then this again."
        ) from error

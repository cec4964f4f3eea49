"""Data sets in shared storage: downloaded and verified locally, converted on the head, written once.

The folder in storage has a manifest of the raw files' sha256 and is published atomically.
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
    """Ensure that the specification's data set is in shared storage.

    Raises:
        JobError: it cannot be downloaded or converted.
        IntegrityError: the downloaded files differ from the pinned ones.
        ServiceDown: shared storage does not answer.
        Unreachable: the head does not answer.
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
            # Another operator may have written it meanwhile, and jobs may be reading it.
            wrote = storage.put(staging, folder, same=MANIFEST)
        finally:
            with suppress(Unreachable):  # the first error matters
                head.run(f"rm -rf {shlex.quote(staging)} {shlex.quote(staging)}.raw", check=False)
        console.print(f"data     {storage.url(folder)} {'written' if wrote else 'is there'}")


def is_present(manifest: bytes | None) -> bool:
    """Return whether a manifest lists the pinned files."""
    if manifest is None:
        return False
    try:
        inputs = json.loads(manifest)["inputs"]
    except (ValueError, KeyError, TypeError):
        return False
    return bool(inputs == FILES)


def convert(head: Remote, files: dict[str, Path], staging: str) -> None:
    """Convert the raw files to two LMDBs and a manifest in a folder of the head.

    Raises:
        JobError: convert_mnist_data is missing or fails.
    """
    aside = f"{staging}.raw"
    quoted = {"out": shlex.quote(staging), "raw": shlex.quote(aside)}
    head.run("rm -rf {out} {raw}; mkdir -p {out} {raw}".format(**quoted))
    for name, path in files.items():
        # Compressed for the upload (a fifth of the size); convert_mnist_data reads them uncompressed.
        head.put(gzip.compress(path.read_bytes(), compresslevel=6), f"{aside}/{name}.gz")
    head.put(json.dumps({"inputs": FILES}, indent=1).encode(), f"{staging}/{MANIFEST}")
    sets = "".join(
        f"{CONVERT} {quoted['raw']}/{stem}-images-idx3-ubyte {quoted['raw']}/{stem}-labels-idx1-ubyte "
        f"{quoted['out']}/{name}_lmdb --backend=lmdb\n"
        # Readers open it without locking; a lock file of another machine would only hinder them.
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
            f"converting the data on {head.node.name}",
            last[0],
            "Run `fab build-headnode`, then rerun the command.",
        ) from error

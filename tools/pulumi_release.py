"""Pulumi's released CLI: downloaded, compared with the published sums, unpacked.

The sums come from another server than the archive, so one of them alone cannot replace the CLI.
"""

from __future__ import annotations

import platform
import re
import shutil
import tarfile
import tempfile
import time
import urllib.request
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from bootstrap.downloads import Limited
from bootstrap.errors import ConfigError, IntegrityError
from bootstrap.sums import BLOCK, sha256_of
from tools.processes import programs

ARCHIVES = "https://get.pulumi.com/releases/sdk"
SUMS = "https://github.com/pulumi/pulumi/releases/download"
CONNECT_S = 8
"""Timeout of the connection, and of each read."""
DOWNLOAD_S = 900
SYSTEMS = {"Linux": "linux", "Darwin": "darwin"}
MACHINES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}


def wanted_version(lock: str) -> str:
    """Return the version of Pulumi's Python package in the text of requirements.lock; the CLI has the same.

    Raises:
        ConfigError: the lock does not name one.
    """
    match = re.search(r"^pulumi==([0-9.]+)", lock, re.MULTILINE)
    if match is None:
        raise ConfigError("requirements.lock", "it does not pin pulumi", "Run `make lock`.")
    return match[1]


def install(version: str, target: Path) -> None:
    """Replace the folder `target` by the binaries of this version.

    Raises:
        OSError: this system has no released CLI, or a server cannot be reached.
        IntegrityError: the archive's sum is not the published one, or none is published.
    """
    system, machine = SYSTEMS.get(platform.system()), MACHINES.get(platform.machine())
    if system is None or machine is None:
        raise OSError(f"there is no release for {platform.system()} on {platform.machine()}")
    name = f"pulumi-v{version}-{system}-{machine}.tar.gz"
    target.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + DOWNLOAD_S
    with tempfile.TemporaryDirectory(prefix="pulumi.", dir=target.parent) as scratch:
        archive, sums, fresh = (Path(scratch, part) for part in (name, "sums", "bin"))
        _fetch(f"{SUMS}/v{version}/pulumi-{version}-checksums.txt", sums, deadline)
        published = published_sum(sums.read_text(), name)
        _fetch(f"{ARCHIVES}/{name}", archive, deadline)
        got = sha256_of(archive)
        if got != published:
            raise IntegrityError(
                f"{ARCHIVES}/{name}",
                f"its sha256 is {got}, published is {published}",
                "It is not used. Look for a proxy that changes downloads, or put a Pulumi CLI on PATH.",
            )
        _unpack(archive, fresh)
        shutil.rmtree(target, ignore_errors=True)
        fresh.replace(target)


def published_sum(sums: str, name: str) -> str:
    """Return the sum of a file in the text of a release's checksums.

    Raises:
        IntegrityError: the file is not listed.
    """
    for line in sums.splitlines():
        digest, _, file = line.partition("  ")
        if file == name and re.fullmatch(r"[0-9a-f]{64}", digest):
            return digest
    raise IntegrityError(
        name,
        "the published sums do not name it",
        "It is not used. Put a Pulumi CLI on PATH yourself, then rerun the command.",
    )


def _fetch(url: str, path: Path, deadline: float) -> None:
    """Write a file."""
    size = 0
    try:
        with urllib.request.urlopen(url, timeout=CONNECT_S) as answer, path.open("wb") as file:  # noqa: S310
            if urlsplit(answer.url).scheme != urlsplit(url).scheme:
                raise OSError(f"{url} leads to {answer.url}")
            body = Limited(answer, deadline)
            while block := body.read(BLOCK):
                programs.check()
                size += file.write(block)
            if size < int(answer.headers.get("Content-Length", size)):
                raise OSError(f"{url}: the connection ended after {size} bytes")
    except HTTPException as error:
        raise OSError(f"{url}: {error!r}") from error
    except TimeoutError as error:
        raise OSError(f"{url}: the download took longer than {DOWNLOAD_S} s, or stalled ({error})") from error


def _unpack(archive: Path, folder: Path) -> None:
    """Write the binaries, which lie in one folder of the archive."""
    folder.mkdir()
    with tarfile.open(archive) as packed:
        for member in packed:
            content = packed.extractfile(member) if member.isreg() else None
            if content is not None:
                binary = folder / Path(member.name).name
                with content, binary.open("wb") as file:
                    shutil.copyfileobj(content, file)
                binary.chmod(0o755)

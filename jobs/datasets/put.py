"""`fab data put`: own data into shared storage, with a manifest, whole or not at all.

Images become LMDBs on the head; other kinds are stored as they are.
"""

from __future__ import annotations

import io
import json
import shlex
import tarfile
import tempfile
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.filesize import decimal

from bootstrap import paths
from bootstrap.cluster import Cluster
from bootstrap.console import print_line
from bootstrap.errors import CommandFailed, ConfigError, JobError
from bootstrap.ssh.remote import Remote, connect
from bootstrap.storage import folders
from bootstrap.storage.folders import MADE, NOT_MADE, Folder
from bootstrap.storage.hadoop import SharedStorage
from bootstrap.transfer.transfer import progress
from jobs.datasets import own, registry
from jobs.datasets.labelled import Image
from jobs.datasets.on_head.images import INDEX, TOLD
from jobs.datasets.recognise import Content, recognise
from jobs.datasets.workspace import workspace
from jobs.submission.package import trainer_zip

TIMEOUT = 3600.0
"""Seconds for the head to unpack or convert the files."""
ARCHIVE, PROGRAMS = "content.tar", "programs.zip"
_TAKEN = "another command has put other content there meanwhile"
_SHOWN_SIZES, _SHOWN_CLASSES = 3, 20


def put(
    cluster: Cluster,
    path: str,
    name: str,
    console: Console,
    *,
    labels: str | None = None,
    force: bool = False,
) -> None:
    """Put a file or folder of this machine into shared storage as the data set `name`.

    Raises:
        ConfigError: the name or the content is not valid, or other content has that name.
        JobError: it could not be converted.
        CommandFailed: storage refused the write.
        ServiceDown: the storage does not answer.
        Unreachable: the head does not answer.
    """
    own.require_own(name)
    with console.status(f"Reading {path} …"):
        content = recognise(Path(path), Path(labels) if labels else None)
        inputs = {own.KIND: content.kind, "source": _digest(content)}
    folder = Folder(registry.path_of(name), inputs, content.stored)

    def say(text: str) -> None:
        print_line(console, f"data     {name}: {text}")

    with connect(cluster, cluster.head) as head:
        storage = SharedStorage(head, cluster.shared_storage)
        url, stored = storage.url(folder.path), folders.before_making(storage, folder)
        if stored.whole:
            say(f"{url} is there already, the same as {path}")
            return
        if not force and (stored.why or storage.exists(folder.path)):
            why = f"{url} exists, with other content ({stored.why or 'without a manifest'})"
            fix = "Add `--force` to replace it, or take another name."
            raise ConfigError(f"data {name!r}", why, fix)
        for line in _told(content):
            say(line)
        with workspace(head, name) as work:
            _send(head, content, inputs["source"], work, console)
            refuse = "" if force else _refuse_taken(storage, folder)
            try:
                folders.make(
                    storage,
                    folder,
                    refuse + _script(content, work),
                    work=work,
                    timeout=TIMEOUT,
                    say=say,
                    prefix=TOLD,
                )
            except CommandFailed as error:
                if error.exit_code != NOT_MADE:
                    raise
                if _TAKEN in error.output:
                    raise ConfigError(f"data {name!r}", _TAKEN, "Add `--force` to replace it.") from error
                why = f"{head.node.name} could not make it of {path}: {error.why}"
                raise JobError(f"data {name!r}", why, "Run `fab doctor`, then this command again.") from error
    say(f"{url} written ({content.kind}, {len(content.stored)} files)")
    for source in sorted({file.partition("/")[0] for file in content.stored if "/" in file}):
        say(f'source: "{folder.path}/{source}"')


def _digest(content: Content) -> str:
    try:
        return content.digest()
    except OSError as error:
        raise ConfigError(str(error.filename), f"it cannot be read ({error.strerror})", "Fix it.") from error


def _told(content: Content) -> list[str]:
    """Return lines about the sets before they are sent."""
    if not content.images:
        counts = Counter(name.partition("/")[0] for name in content.files)
        return [f"{name}: {count:,} {content.kind} files" for name, count in sorted(counts.items())]
    total, classes = sum(content.sizes.values()), len(content.classes)
    lines = [f"{total:,} images" + (f" of {classes:,} classes" if classes else "")]
    for name, images in sorted(content.images.items()):
        labels = Counter(image.label for image in images)
        told = [
            f"{dict(enumerate(content.classes)).get(label, label)} {labels[label]:,}"
            for label in sorted(labels)
        ]
        more = f", and {len(told) - _SHOWN_CLASSES:,} more" if len(told) > _SHOWN_CLASSES else ""
        word = "classes" if classes else "labels"
        lines.append(f"{name}: {len(images):,} images; {word}: {', '.join(told[:_SHOWN_CLASSES])}{more}")
    if content.unlisted:
        lines.append(f"{content.unlisted:,} images have no line in the file of labels, and are left out")
    if len(content.sizes) > 1:
        common = sorted(content.sizes.items(), key=lambda each: -each[1])[:_SHOWN_SIZES]
        sizes = ", ".join(f"{width}x{height}: {count:,}" for (width, height), count in common)
        lines.append(
            f"images have {len(content.sizes)} sizes (width x height: images; {sizes} …), "
            "and a layer takes one: resize them first"
        )
    return lines


def _send(head: Remote, content: Content, digest: str, work: str, console: Console) -> None:
    """Send an archive of the content, which has this digest, and the programs, to the folder on the head."""
    with tempfile.TemporaryDirectory(prefix="caffe-spark-data-") as scratch:
        archive = Path(scratch) / ARCHIVE
        try:
            pack(content, archive)
        except OSError as error:
            given = str(error.filename or scratch)
            fix = "Make room in the folder for temporary files (TMPDIR), or fix the file."
            raise ConfigError(given, f"it cannot be packed ({error.strerror or error})", fix) from error
        if _digest(content) != digest:
            why = "files of it have changed while they were read"
            raise ConfigError("fab data put", why, "Run the command again.")
        with progress(console, f"{decimal(archive.stat().st_size)} to {head.node.name}") as moved:
            target = shlex.quote(f"{work}/{ARCHIVE}")
            result = head.send(archive, f'mv -f "$file" {target}', timeout=TIMEOUT, moved=moved)
    if not result.ok:
        raise CommandFailed(
            f"{head.node.name}:{work}",
            f"the upload failed: {result.tail or f'status {result.exit_code}'}",
            f"Free space on {head.node.name}, then rerun the command.",
            exit_code=result.exit_code,
            output=result.tail,
        )
    if content.images:
        head.put(trainer_zip(), f"{work}/{PROGRAMS}")


def pack(content: Content, archive: Path) -> None:
    """Write the content as tar: files by their stored names, or the index and the images in its order."""
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
        if content.images:
            sets = {
                name: [[key_of(number, image), image.label] for number, image in enumerate(images)]
                for name, images in content.images.items()
            }
            index = json.dumps({"sets": sets, "classes": content.classes}).encode()
            member = tarfile.TarInfo(INDEX)
            member.size = len(index)
            tar.addfile(member, io.BytesIO(index))
        images = [image.path for each in content.images.values() for image in each]
        for name, path in [*content.files.items(), *((f"{i}", path) for i, path in enumerate(images))]:
            member = tarfile.TarInfo(name)
            with path.open("rb") as file:
                member.size, member.mode = path.stat().st_size, 0o644
                tar.addfile(member, file)


def key_of(number: int, image: Image) -> str:
    """Return the key of an image's record: its position and its name, as Caffe's convert_imageset writes it.

    LMDB's keys have at most 511 bytes: of a longer name the end is kept.
    """
    name = image.name.encode("utf-8", "backslashreplace")[-500:].decode("utf-8", "ignore")
    return f"{number:08}_{name}"


def _script(content: Content, work: str) -> str:
    """Return the shell script that makes the folder of the archive in a working folder."""
    folder, made = shlex.quote(work), shlex.quote(f"{work}/{MADE}")
    if not content.images:
        return (
            f"mkdir -p {made}\ntar -xf {folder}/{ARCHIVE} --no-same-owner -C {made}\nchmod -R a+rX {folder}\n"
        )
    return (
        f"PYTHONPATH={folder}/{PROGRAMS} timeout -k 10 {TIMEOUT:g} {paths.ANY_PYTHON} "
        f"-m jobs.datasets.on_head.images {folder}/{ARCHIVE} {made}\nchmod -R a+rX {folder}\n"
    )


def _refuse_taken(storage: SharedStorage, folder: Folder) -> str:
    """Return shell that fails where the folder exists: under the lock no other command is at work."""
    test = storage.command(f"dfs -test -e {storage.quoted(folder.path)}")
    return f"! {test} </dev/null || {{ echo {shlex.quote(_TAKEN)} >&2; exit 1; }}\n"

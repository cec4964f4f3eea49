"""Content of a file or folder: its sums, and its packing into one stream.

Runs on this machine and on nodes. Only regular files and folders are content: links and devices of a folder
that others write could lead elsewhere, so they are left out. Python 3.8, standard library only.
"""

import hashlib
import json
import os
import shutil
import stat
import sys
import tarfile
from typing import IO, Dict, Iterator, Tuple

BLOCK = 1 << 20
FILE = ""
"""Name of the file itself, where content is one file."""
FOLDER, ONE_FILE = "kind: folder", "kind: file"
"""Last lines on stderr of the verb `read`."""
MISSING, NOT_CONTENT = 3, 4
"""Exit statuses: there is nothing at that path; it is neither a file nor a folder."""


def entries(path: str) -> Iterator[Tuple[str, os.stat_result]]:
    """Yield names below a folder in order, folders before their content; `FILE` for a file."""
    found = os.stat(path)
    if not stat.S_ISDIR(found.st_mode):
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("it is neither a file nor a folder")
        yield FILE, found
        return
    for name in sorted(os.listdir(path)):
        below = os.path.join(path, name)
        found = os.lstat(below)
        if stat.S_ISREG(found.st_mode):
            yield name, found
        elif stat.S_ISDIR(found.st_mode):
            yield name, found
            for rest, status in entries(below):
                yield os.path.join(name, rest), status


def digest_of(path: str) -> str:
    """Return the sha256 of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(BLOCK), b""):
            digest.update(block)
    return digest.hexdigest()


def sums(path: str) -> Dict[str, str]:
    """Return the sha256 of each file by its name below the folder, and `/` for a folder."""
    found = {}
    for name, status in entries(path):
        whole = os.path.join(path, name) if name else path
        found[name] = "/" if stat.S_ISDIR(status.st_mode) else digest_of(whole)
    return found


def pack(path: str, out: IO[bytes]) -> None:
    """Write a folder as a tar stream; names are below the folder, owners and times are left out."""
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for name, status in entries(path):
            member = tarfile.TarInfo(name)
            member.mode = 0o755 if status.st_mode & 0o100 else 0o644
            if stat.S_ISDIR(status.st_mode):
                member.type = tarfile.DIRTYPE
                tar.addfile(member)
                continue
            with open(os.path.join(path, name), "rb") as file:
                # Of this moment: a log may have grown since it was listed.
                member.size = os.fstat(file.fileno()).st_size
                tar.addfile(member, file)


def unpack(stream: IO[bytes], path: str) -> None:
    """Make a folder of a tar stream.

    Raises:
        ValueError: a member is no file or folder, or leads out of the folder.
    """
    os.mkdir(path)
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        for member in tar:
            parts = member.name.split("/")
            if member.name.startswith("/") or ".." in parts or not (member.isreg() or member.isdir()):
                raise ValueError("{!r} does not belong into a folder".format(member.name))
            target = os.path.join(path, member.name)
            if member.isdir():
                os.makedirs(target, exist_ok=True)
                continue
            os.makedirs(os.path.dirname(target), exist_ok=True)
            source = tar.extractfile(member)
            # A new file always: a link that an earlier member made does not exist, none are made.
            with open(target, "xb") as file:
                shutil.copyfileobj(source, file, BLOCK)  # type: ignore[arg-type]
            os.chmod(target, 0o755 if member.mode & 0o100 else 0o644)


def main(verb: str, path: str) -> int:
    """Print the sums as JSON, write the content to stdout, or unpack stdin."""
    try:
        if verb == "unpack":
            unpack(sys.stdin.buffer, path)
        elif verb == "sums":
            json.dump(sums(path), sys.stdout)
        elif os.path.isdir(path):
            pack(path, sys.stdout.buffer)
            print(FOLDER, file=sys.stderr)
        else:
            next(entries(path))
            with open(path, "rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer, BLOCK)
            print(ONE_FILE, file=sys.stderr)
    except FileNotFoundError as error:
        print("{}: there is no such file or folder".format(error.filename), file=sys.stderr)
        return MISSING
    except ValueError as error:
        print(error, file=sys.stderr)
        return NOT_CONTENT
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

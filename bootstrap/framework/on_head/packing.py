"""Functions that turn a compiled Caffe into a reproducible tarball; shared by the packing programs beside it.

The `assemble*.py` programs run on the head node with the standard library of Python 3.8.
"""

import compileall
import gzip
import hashlib
import json
import os
import py_compile
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Callable, Iterable, List, Optional

ARCHIVE = "caffe.tar.gz"
REPORT = "report.json"
_BLOCK = 1 << 20


def run(*words: str) -> str:
    """Return a command's output; exit with an error if it fails."""
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout


def new_tree(out: Path) -> Path:
    """Empty the output folder and create the tree in it."""
    shutil.rmtree(str(out), ignore_errors=True)
    tree = out / "tree"
    tree.mkdir(parents=True)
    return tree


def lay_out(source: Path, tree: Path) -> None:
    """Copy the files that users and jobs need from the build tree: bin/, lib/, python/."""
    built = source / "build"
    for folder in ("bin", "lib", "python"):
        (tree / folder).mkdir(parents=True)
    for program in [*native_in(built / "tools"), *native_in(*(built / "examples").glob("*"))]:
        shutil.copy(str(program), str(tree / "bin"))
    for library in sorted((built / "lib").glob("libcaffe.so*")):
        shutil.copy(str(library), str(tree / "lib"), follow_symlinks=False)
    skip = shutil.ignore_patterns("test", "__pycache__", "*.cpp", "*.so", "*.pyc")
    shutil.copytree(str(source / "python" / "caffe"), str(tree / "python" / "caffe"), ignore=skip)
    shutil.copy(str(built / "lib" / "_caffe.so"), str(tree / "python" / "caffe"))
    for package in sorted(path.parent for path in source.glob("modules/*/*/__init__.py")):
        ours = tree / "python" / package.name
        shutil.copytree(str(package), str(ours), ignore=skip)
        shutil.copy(str(built / "modules" / package.name / "_native.so"), str(ours))


def native_files(tree: Path) -> List[Path]:
    """List the ELF files of a tree, without symbolic links."""
    return native_in(*(path for path in tree.rglob("*") if path.is_dir()), tree)


def native_in(*folders: Path) -> List[Path]:
    """List the ELF files that lie in folders themselves, without symbolic links."""
    files = sorted(path for folder in folders for path in folder.glob("*") if path.is_file())
    files = [path for path in files if not path.is_symlink()]
    return [path for path in files if path.open("rb").read(4) == b"\x7fELF"]


def needed(file: Path) -> List[str]:
    """List the names of the libraries that an ELF file links against."""
    lines = run("readelf", "-d", str(file)).splitlines()
    return [line.split("[", 1)[1].rstrip("]") for line in lines if "(NEEDED)" in line]


def add_libraries(tree: Path, find: Callable[[str], Optional[Path]]) -> List[str]:
    """Copy the libraries that `find` locates into lib/, with their own dependencies; return their names.

    `find` returns None for a library that a distribution package provides.
    """
    wanted = [name for file in native_files(tree) for name in needed(file)]
    added = []  # type: List[str]
    while wanted:
        name = wanted.pop()
        source = find(name)
        if source is None or name in added:
            continue
        copy = tree / "lib" / name
        shutil.copy(str(source), str(copy))
        copy.chmod(0o755)
        added.append(name)
        wanted += needed(copy)
    return sorted(added)


def make_relocatable(tree: Path) -> None:
    """Strip the native files and make their run paths relative: each version has a folder of its own."""
    for path in native_files(tree):
        run("strip", "--strip-unneeded", str(path))
        up = os.path.relpath(str(tree / "lib"), str(path.parent))
        run("patchelf", "--set-rpath", "$ORIGIN" if up == "." else "$ORIGIN/" + up, str(path))


def compile_python(tree: Path) -> None:
    """Compile the Python modules ahead of time: jobs run as a user who cannot write byte code there."""
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    if not compileall.compile_dir(str(tree / "python"), quiet=1, invalidation_mode=mode, ddir="python"):
        sys.exit("byte-compiling the Python modules failed")


def runtime_packages(tree: Path) -> List[str]:
    """List the packages that own the libraries which the tree links against directly.

    The package manager resolves the dependencies of those packages.
    """
    names, found, missing = set(), {}, set()
    for path in native_files(tree):
        names.update(needed(path))
        for line in run("ldd", str(path)).splitlines():
            name, arrow, where = line.strip().partition(" => ")
            if where.startswith("/"):
                found[name] = where.split()[0]
            elif arrow:
                missing.add(name)
    if missing:
        sys.exit("libraries not found: " + ", ".join(sorted(missing)))
    packages = set()
    for library in names & set(found):
        real = os.path.realpath(found[library])
        if not real.startswith(str(tree) + "/"):
            packages.add(owner(real))
    return sorted(packages)


def owner(path: str) -> str:
    """Return the package that owns a file; dpkg may know its path with or without the leading /usr."""
    other = path[len("/usr") :] if path.startswith("/usr/") else "/usr" + path
    for known in (path, other):
        found = subprocess.run(
            ["dpkg", "-S", known], check=False, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        if found.returncode == 0:
            return found.stdout.decode().split(":", 1)[0]
    sys.exit("no package owns " + path)


def pack(tree: Path, archive: Path) -> None:
    """Write a tarball that depends on the tree's bytes only: sorted, without times and owners."""

    def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = entry.mtime = 0
        entry.uname = entry.gname = "root"
        entry.mode = 0o777 if entry.issym() else 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
        return entry

    with archive.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed, tarfile.open(
        fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT
    ) as tar:
        for path in sorted(tree.rglob("*")):
            tar.add(str(path), str(path.relative_to(tree)), recursive=False, filter=plain)


def write_report(out: Path, tree: Path, packages: Iterable[str]) -> None:
    """Write the archive's checksum, the sizes, and the packages that a node needs, as the last file."""
    archive = out / ARCHIVE
    digest = hashlib.sha256()
    with archive.open("rb") as file:
        for block in iter(lambda: file.read(_BLOCK), b""):
            digest.update(block)
    report = {
        "sha256": digest.hexdigest(),
        "size": archive.stat().st_size,
        "unpacked": sum(path.stat().st_size for path in tree.rglob("*") if not path.is_symlink()),
        "packages": sorted(set(runtime_packages(tree)) | set(packages)),
    }
    partial = out / (REPORT + ".part")
    partial.write_text(json.dumps(report))
    partial.rename(out / REPORT)

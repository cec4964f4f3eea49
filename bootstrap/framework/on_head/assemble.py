"""On the head: what was compiled becomes a tree, a tarball that only depends on its bytes, and a report.

usage: assemble.py BUILD_TREE OUT [PACKAGE …]

Standard library only, Python 3.8. OUT gets `caffe.tar.gz` and, last, `report.json`. The runtime packages in
the report are those that own the libraries which the files link against, and the PACKAGEs given.
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
from typing import List


def run(*words: str) -> str:
    """A command's output; its failure ends the program."""
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout


def lay_out(source: Path, tree: Path) -> None:
    """Copy what people and jobs use: bin/, lib/, python/."""
    built = source / "build"
    for folder in ("bin", "lib", "python"):
        (tree / folder).mkdir(parents=True)
    shutil.copy(str(built / "tools" / "caffe"), str(tree / "bin"))
    shutil.copy(str(built / "examples" / "mnist" / "convert_mnist_data"), str(tree / "bin"))
    for library in sorted((built / "lib").glob("libcaffe.so*")):
        shutil.copy(str(library), str(tree / "lib"), follow_symlinks=False)
    skip = shutil.ignore_patterns("test", "__pycache__", "*.cpp", "*.so", "*.pyc")
    shutil.copytree(str(source / "python" / "caffe"), str(tree / "python" / "caffe"), ignore=skip)
    shutil.copy(str(built / "lib" / "_caffe.so"), str(tree / "python" / "caffe"))
    ours = tree / "python" / "caffe_allreduce"
    shutil.copytree(str(source / "allreduce" / "caffe_allreduce"), str(ours), ignore=skip)
    shutil.copy(str(built / "lib" / "_native.so"), str(ours))


def native_files(tree: Path) -> List[Path]:
    """Every ELF file of the tree, links left out."""
    files = [path for path in sorted(tree.rglob("*")) if path.is_file() and not path.is_symlink()]
    return [path for path in files if path.open("rb").read(4) == b"\x7fELF"]


def make_relocatable(tree: Path) -> None:
    """Strip, and find libcaffe relative to each file: versions lie side by side in folders of their own."""
    for path in native_files(tree):
        run("strip", "--strip-unneeded", str(path))
        up = os.path.relpath(str(tree / "lib"), str(path.parent))
        run("patchelf", "--set-rpath", "$ORIGIN" if up == "." else "$ORIGIN/" + up, str(path))


def compile_python(tree: Path) -> None:
    """Byte code beside the sources: jobs' users cannot write it there, and it saves time at each start."""
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    if not compileall.compile_dir(str(tree / "python"), quiet=1, invalidation_mode=mode, ddir="python"):
        sys.exit("byte-compiling the Python modules failed")


def runtime_packages(tree: Path) -> List[str]:
    """The packages that own the libraries which the tree's files name.

    What those need in turn is the package manager's business.
    """
    needed, found, missing = set(), {}, set()
    for path in native_files(tree):
        for line in run("readelf", "-d", str(path)).splitlines():
            if "(NEEDED)" in line:
                needed.add(line.split("[", 1)[1].rstrip("]"))
        for line in run("ldd", str(path)).splitlines():
            name, arrow, where = line.strip().partition(" => ")
            if where.startswith("/"):
                found[name] = where.split()[0]
            elif arrow:
                missing.add(name)
    if missing:
        sys.exit("libraries not found: " + ", ".join(sorted(missing)))
    packages = set()
    for library in needed & set(found):
        real = os.path.realpath(found[library])
        if not real.startswith(str(tree) + "/"):
            packages.add(owner(real))
    return sorted(packages)


def owner(path: str) -> str:
    """The package of a file. dpkg knows paths as packages ship them: before or after the merge of /usr."""
    other = path[len("/usr") :] if path.startswith("/usr/") else "/usr" + path
    for known in (path, other):
        found = subprocess.run(
            ["dpkg", "-S", known], check=False, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        if found.returncode == 0:
            return found.stdout.decode().split(":", 1)[0]
    sys.exit("no package owns " + path)


def pack(tree: Path, archive: Path) -> None:
    """The same tree gives the same bytes: sorted, without times and owners."""

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


def main() -> None:
    """See the module."""
    source, out, packages = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    tree = out / "tree"
    shutil.rmtree(str(out), ignore_errors=True)
    tree.mkdir(parents=True)
    lay_out(source, tree)
    make_relocatable(tree)
    compile_python(tree)
    pack(tree, out / "caffe.tar.gz")
    report = {
        "sha256": hashlib.sha256((out / "caffe.tar.gz").read_bytes()).hexdigest(),
        "size": (out / "caffe.tar.gz").stat().st_size,
        "unpacked": sum(path.stat().st_size for path in tree.rglob("*") if not path.is_symlink()),
        "packages": sorted(set(runtime_packages(tree)) | set(packages)),
    }
    partial = out / "report.json.part"
    partial.write_text(json.dumps(report))
    partial.rename(out / "report.json")


if __name__ == "__main__":
    main()

"""On the head: as assemble.py, where the distribution lacks something: the tree also holds what was built.

usage: assemble_built.py BUILD_TREE OUT PREFIX [PACKAGE …]

Run by the Python that pycaffe is for. No package owns the libraries in PREFIX/lib, nor that Python's own
where it came from elsewhere; those that the tree's files need are copied and found in one folder. Of PREFIX
go along: python/ (packages), licenses/. Standard library only, Python 3.8.
"""

import hashlib
import json
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, List, Optional

if TYPE_CHECKING:
    from bootstrap.framework.on_head import assemble
else:
    import assemble  # lies beside this file


def needed(file: Path) -> List[str]:
    """The names of the libraries that an ELF file is linked against."""
    lines = assemble.run("readelf", "-d", str(file)).splitlines()
    return [line.split("[", 1)[1].rstrip("]") for line in lines if "(NEEDED)" in line]


def of_the_system() -> List[str]:
    """The names of the libraries that the loader finds without being told where."""
    lines = assemble.run("ldconfig", "-p").splitlines()
    return [line.split()[0] for line in lines if " => " in line]


def find(name: str, prefix: Path, system: List[str]) -> Optional[Path]:
    """A library that was built, or Python's own; None for what packages bring."""
    built = prefix / "lib" / name
    if built.is_file():
        return built
    # Of Python's folder nothing else: one that has a compiler's libraries in it has them for itself.
    own = Path(sysconfig.get_config_var("LIBDIR") or "/usr/lib") / name
    return own if name.startswith("libpython") and name not in system and own.is_file() else None


def add_libraries(tree: Path, prefix: Path, system: List[str]) -> List[str]:
    """Copy into lib/ what the tree's files need of what was built, and what that needs; gives their names."""
    wanted = [name for file in assemble.native_files(tree) for name in needed(file)]
    added: List[str] = []
    while wanted:
        name = wanted.pop()
        source = find(name, prefix, system)
        if source is None or name in added:
            continue
        copy = tree / "lib" / name
        shutil.copy(str(source), str(copy))
        copy.chmod(0o755)
        added.append(name)
        wanted += needed(copy)
    return sorted(added)


def add_rest(tree: Path, prefix: Path, libraries: List[str]) -> None:
    """Python packages, and the terms of all that goes along."""
    for path in sorted((prefix / "python").glob("*")):
        if path.is_dir() and path.name not in ("bin", "__pycache__"):
            shutil.copytree(str(path), str(tree / "python" / path.name))
        elif path.is_file():
            shutil.copy(str(path), str(tree / "python"))
    terms = {path.name: path for path in (prefix / "licenses").glob("*.txt")}
    if any(name.startswith("libpython") for name in libraries):
        terms["python.txt"] = Path(sysconfig.get_path("stdlib")) / "LICENSE.txt"
    for name, path in sorted(terms.items()):
        if path.is_file():
            (tree / "licenses").mkdir(exist_ok=True)
            shutil.copy(str(path), str(tree / "licenses" / name))


def main() -> None:
    """See the module."""
    source, out, prefix, packages = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:]
    tree, archive = out / "tree", out / "caffe.tar.gz"
    shutil.rmtree(str(out), ignore_errors=True)
    tree.mkdir(parents=True)
    assemble.lay_out(source, tree)
    libraries = add_libraries(tree, prefix, of_the_system())
    print("with " + " ".join(libraries))
    add_rest(tree, prefix, libraries)
    assemble.make_relocatable(tree)
    assemble.compile_python(tree)
    assemble.pack(tree, archive)
    report = {
        "sha256": hashlib.sha256(archive.read_bytes()).hexdigest(),
        "size": archive.stat().st_size,
        "unpacked": sum(path.stat().st_size for path in tree.rglob("*") if not path.is_symlink()),
        "packages": sorted(set(assemble.runtime_packages(tree)) | set(packages)),
    }
    partial = out / "report.json.part"
    partial.write_text(json.dumps(report))
    partial.rename(out / "report.json")


if __name__ == "__main__":
    main()

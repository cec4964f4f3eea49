"""Pack a compiled Caffe together with libraries and Python packages that were built from source.

usage: assemble_built.py BUILD_TREE OUT PREFIX [PACKAGE …]

Runs under the interpreter that pycaffe was built for. No package owns the libraries in PREFIX/lib, nor the
interpreter's own library if it comes from elsewhere; those that the tree links against are copied into one
folder. PREFIX/python (packages) and PREFIX/licenses are copied whole.
"""

import shutil
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, List, Optional

if TYPE_CHECKING:
    from bootstrap.framework.on_head import packing
else:
    import packing  # beside this file


def system_libraries() -> List[str]:
    """List the names of the libraries on the loader's default path."""
    lines = packing.run("ldconfig", "-p").splitlines()
    return [line.split()[0] for line in lines if " => " in line]


def find(name: str, prefix: Path, system: List[str]) -> Optional[Path]:
    """Locate a library built from source, or the interpreter's own; None if a package provides it."""
    built = prefix / "lib" / name
    if built.is_file():
        return built
    # Only libpython: an interpreter's folder may hold compiler libraries for its own use.
    own = Path(sysconfig.get_config_var("LIBDIR") or "/usr/lib") / name
    return own if name.startswith("libpython") and name not in system and own.is_file() else None


def add_rest(tree: Path, prefix: Path, libraries: List[str]) -> None:
    """Copy the Python packages, and the licences of everything included."""
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
    """Pack the tree; see the module's usage line."""
    source, out, prefix, packages = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:]
    tree, system = packing.new_tree(out), system_libraries()
    packing.lay_out(source, tree)
    libraries = packing.add_libraries(tree, lambda name: find(name, prefix, system))
    print("including " + " ".join(libraries))
    add_rest(tree, prefix, libraries)
    packing.make_relocatable(tree)
    packing.compile_python(tree)
    packing.pack(tree, out / packing.ARCHIVE)
    packing.write_report(out, tree, packages)


if __name__ == "__main__":
    main()

"""Pack a Caffe compiled with CUDA together with the NVIDIA libraries that it links against.

usage: assemble_cuda.py BUILD_TREE OUT TOOLKIT [PACKAGE …]

No distribution package owns these libraries, so a worker needs only the NVIDIA driver. They are copied
unmodified: NVIDIA strips them, and they find each other in one folder.
"""

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Optional

if TYPE_CHECKING:
    from bootstrap.framework.on_head import packing
else:
    import packing  # beside this file

FOLDERS = ("lib64", "lib", "targets/x86_64-linux/lib")
"""Library folders of a toolkit; which of them are symbolic links depends on the packaging."""
LICENCES = ("licenses/*", "EULA.txt", "LICENSE")


def find(name: str, toolkit: Path) -> Optional[Path]:
    """Locate a library of the toolkit; None if it has no such library."""
    places = [toolkit / folder / name for folder in FOLDERS]
    return next((place for place in places if place.is_file()), None)


def add_licences(tree: Path, toolkit: Path) -> None:
    """Copy the toolkit's licences."""
    for file in sorted(file for pattern in LICENCES for file in toolkit.glob(pattern)):
        (tree / "licenses").mkdir(exist_ok=True)
        shutil.copy(str(file), str(tree / "licenses" / file.name))


def pack(tree: Path, archive: Path) -> None:
    """Write a tarball that depends on the tree's bytes only, as `packing.pack`, at gzip's fastest level.

    Most of the content is GPU code that is compressed already: six times as fast, 4 % larger.
    """
    plain = "--format=ustar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 --mode=u=rwX,go=rX"
    packing.run("tar", *plain.split(), "-I", "gzip -n -1", "-C", str(tree), "-cf", str(archive), ".")


def main() -> None:
    """Pack the tree; see the module's usage line."""
    source, out, toolkit, packages = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:]
    tree = packing.new_tree(out)
    packing.lay_out(source, tree)
    # Before NVIDIA's libraries are added, which stay as they are.
    packing.make_relocatable(tree)
    print("including " + " ".join(packing.add_libraries(tree, lambda name: find(name, toolkit))))
    add_licences(tree, toolkit)
    packing.compile_python(tree)
    pack(tree, out / packing.ARCHIVE)
    packing.write_report(out, tree, packages)


if __name__ == "__main__":
    main()

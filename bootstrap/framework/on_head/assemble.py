"""Pack a compiled Caffe whose libraries all come from distribution packages.

usage: assemble.py BUILD_TREE OUT [PACKAGE …]

Writes `caffe.tar.gz` and then `report.json` to OUT. The report lists the packages that own the libraries
which the files link against, and every PACKAGE given.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bootstrap.framework.on_head import packing
else:
    import packing  # beside this file


def main() -> None:
    """Pack the tree; see the module's usage line."""
    source, out, packages = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    tree = packing.new_tree(out)
    packing.lay_out(source, tree)
    packing.make_relocatable(tree)
    packing.compile_python(tree)
    packing.pack(tree, out / packing.ARCHIVE)
    packing.write_report(out, tree, packages)


if __name__ == "__main__":
    main()

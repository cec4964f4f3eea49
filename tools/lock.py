"""`make lock`: resolves pyproject.toml and its extras into requirements.lock, every file pinned by its hash.

The lock holds for every Python that the project takes, and names no index: the machine's own settings decide
where packages come from.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from bootstrap.errors import CaffeSparkError
from tools.environment import state_folder
from tools.progress import run

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = ("aws", "azure", "dev")
LOWEST_PYTHON = "3.10"
SHAPE = (
    "--universal",
    "--python-version",
    LOWEST_PYTHON,
    "--generate-hashes",
    "--no-header",
    "--no-emit-index-url",
)


def compile_argv(uv: str, target: str) -> list[str]:
    """The resolver's command line; paths relative, so that no comment names a folder of this machine."""
    extras = [word for extra in EXTRAS for word in ("--extra", extra)]
    return [uv, "pip", "compile", "--quiet", *SHAPE, *extras, "--upgrade", "pyproject.toml", "-o", target]


def index_variables(pip: str) -> dict[str, str]:
    """pip's own index, in uv's words; uv reads none of pip's settings."""
    asked = subprocess.run([pip, "config", "list"], capture_output=True, text=True, check=False)
    found = {}
    for line in asked.stdout.splitlines():
        key, _, value = line.partition("=")
        if key.endswith("index-url") and not key.endswith("extra-index-url"):
            found["UV_DEFAULT_INDEX"] = value.strip("'\"")
    return found


def main() -> int:
    """Writes requirements.lock; an expected failure is one line and exit 1."""
    folder, log = state_folder(ROOT) / "lock-tools", state_folder(ROOT) / "log" / "lock.log"
    pip, fix = str(folder / "bin" / "pip"), "Look at the log, then run `make lock` again."
    draft = ROOT / "requirements.lock.new"
    try:
        run("virtual environment", [sys.executable, "-m", "venv", str(folder)], log=log, fix=fix)
        run("resolver", [pip, "install", "--quiet", "--upgrade", "uv"], log=log, fix=fix)
        env = {**os.environ, **index_variables(pip)}
        argv = compile_argv(str(folder / "bin" / "uv"), draft.name)
        run("resolving", argv, log=log, fix=fix, env=env, cwd=ROOT)
    except CaffeSparkError as error:
        print(error, file=sys.stderr)
        return 1
    draft.replace(ROOT / "requirements.lock")
    print("requirements.lock is new. Run `make test` before you commit it.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

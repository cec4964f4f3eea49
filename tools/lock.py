"""`make lock`: resolution of pyproject.toml and its extras into requirements.lock, with hashes.

The lock is valid for every supported Python version and names no index; the machine's pip settings select it.
The resolver is uv as the present lock pins it.
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
    """Return the resolver's command line; paths are relative, since the lock's comments quote them."""
    extras = [word for extra in EXTRAS for word in ("--extra", extra)]
    return [uv, "pip", "compile", "--quiet", *SHAPE, *extras, "--upgrade", "pyproject.toml", "-o", target]


def index_variables(pip: str) -> dict[str, str]:
    """Return pip's configured index as uv's variable, since uv does not read pip's settings."""
    asked = subprocess.run([pip, "config", "list"], capture_output=True, text=True, check=False)
    variables = {}
    for line in asked.stdout.splitlines():
        key, _, value = line.partition("=")
        if key.endswith("index-url") and not key.endswith("extra-index-url"):
            variables["UV_DEFAULT_INDEX"] = value.strip("'\"")
    return variables


def main() -> int:
    """Write requirements.lock; report an expected failure in one line with exit status 1."""
    programs, log = ROOT / ".venv" / "bin", state_folder(ROOT) / "log" / "lock.log"
    fix = "Read the log, then rerun `make lock`."
    draft = ROOT / "requirements.lock.new"
    try:
        env = {**os.environ, **index_variables(str(programs / "pip"))}
        argv = compile_argv(str(programs / "uv"), draft.name)
        run("resolving", argv, log=log, fix=fix, env=env, cwd=ROOT)
    except CaffeSparkError as error:
        print(error, file=sys.stderr)
        return 1
    draft.replace(ROOT / "requirements.lock")
    print("requirements.lock is updated. Run `make test` before you commit it.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

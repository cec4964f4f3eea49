"""The virtual environment: what requirements.lock pins, checked by hash, and the project itself, editable."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path

from tools.progress import run

FIX = "Look at the log, then run `make setup` again: it goes on from here."
PIP = ["-m", "pip", "--disable-pip-version-check", "--no-input"]
BYTECODE = """
import compileall, re, sysconfig
aws = "autoscaling|cloudwatch|config|ec2|iam|s3|ssm|vpc"
azure = "authorization|config|hdinsight|managedidentity|network|operationalinsights|privatedns"
azure += "|resources|storage"
rest = rf"pulumi_aws/(?!({aws})/)\\w+|pulumi_azure_native/(?!({azure})/)\\w+"
unused = re.compile(rf"/({rest}|tests?)/")
compileall.compile_dir(sysconfig.get_path("purelib"), quiet=2, workers=0, rx=unused)
"""
"""Where PYTHONDONTWRITEBYTECODE is set, every start of `fab` and `pulumi` would compile 300 modules: 0.5 s.

Of the two large provider packages only what the program touches is compiled: all of it takes a minute.
"""


def ensure(root: Path, log: Path) -> str:
    """Brings .venv to what the lock and pyproject.toml say; returns one word on what it did.

    Each part has a stamp with the hash of what decides it. A stamp goes before work begins and comes back
    after it has ended, so that an interrupted run is taken up.

    Raises:
        CommandFailed: pip failed, or a hash did not match.
    """
    venv = root / ".venv"
    stamps = Stamps(venv / "caffe-spark.json")
    base = {"python": f"{sys.version_info.major}.{sys.version_info.minor}", "root": str(root)}
    lock = {**base, "lock": _digest(root / "requirements.lock")}
    project = {**lock, "pyproject": _digest(root / "pyproject.toml")}
    if stamps.get("base") != base or not (venv / "bin" / "python").exists():
        # scripts name their folder: a moved checkout, or another Python, needs a new environment
        shutil.rmtree(venv, ignore_errors=True)
        # not sys.executable: that is .venv's own when setup runs in an activated shell
        python = getattr(sys, "_base_executable", None) or sys.executable
        run("virtual environment", [python, "-m", "venv", str(venv)], log=log, fix=FIX)
        stamps.set("base", base)
    python = str(venv / "bin" / "python")
    done = []
    if stamps.get("lock") != lock:
        stamps.drop("lock", "project")
        options = ["--require-hashes", "--no-deps", "--no-compile", "--progress-bar", "off"]
        wanted = ["install", *options, "-r", str(root / "requirements.lock")]
        run("Python packages", [python, *PIP, *wanted], log=log, fix=FIX, note=_pip_note)
        run("bytecode", [python, "-c", BYTECODE], log=log, fix=FIX)
        stamps.set("lock", lock)
        done.append("packages")
    if stamps.get("project") != project:
        stamps.drop("project")
        options = ["--no-deps", "--no-build-isolation", "--no-compile"]
        run("the project, editable", [python, *PIP, "install", *options, "-e", str(root)], log=log, fix=FIX)
        stamps.set("project", project)
        done.append("project")
    return f"installed {' and '.join(done)}" if done else "as locked"


class Stamps:
    """A small JSON file of what was done; inside .venv, so that it goes with it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, part: str) -> dict[str, str] | None:
        """What was recorded for this part, None if nothing or nothing readable."""
        value = self._all().get(part)
        return value if isinstance(value, dict) else None

    def set(self, part: str, value: dict[str, str]) -> None:
        """Records that this part is done."""
        self._write({**self._all(), part: value})

    def drop(self, *parts: str) -> None:
        """Forgets these parts."""
        self._write({name: value for name, value in self._all().items() if name not in parts})

    def _all(self) -> dict[str, object]:
        try:
            found = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _write(self, everything: dict[str, object]) -> None:
        draft = self._path.with_suffix(".new")
        draft.write_text(json.dumps(everything, indent=1))
        draft.replace(self._path)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _pip_note(line: str) -> str | None:
    words = line.split()
    if line.startswith("Collecting") and len(words) > 1:
        return words[1]
    return "installing" if line.startswith("Installing collected") else None

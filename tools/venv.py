"""Virtual environment: the packages of requirements.lock, checked by hash, and the project, editable."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path

from tools.progress import run

FIX = "Read the log, then rerun `make setup` to continue."
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
"""Program that compiles bytecode; under PYTHONDONTWRITEBYTECODE, it saves each `fab` and `pulumi` 0.5 s.

Of the two large provider packages, only the used modules are compiled; all of them take a minute.
"""


def ensure(root: Path, log: Path) -> str:
    """Update .venv to the lock and pyproject.toml; return a short description of the result.

    Each part has a stamp with the hash of its inputs. A stamp is removed before work and written after it, so
    that an interrupted run is resumed.

    Raises:
        CommandFailed: pip failed, or a hash did not match.
    """
    venv = root / ".venv"
    stamps = Stamps(venv / "caffe-spark.json")
    base = {"python": f"{sys.version_info.major}.{sys.version_info.minor}", "root": str(root)}
    lock = {**base, "lock": _digest(root / "requirements.lock")}
    project = {**lock, "pyproject": _digest(root / "pyproject.toml"), "editable": "compat"}
    if stamps.get("base") != base or not (venv / "bin" / "python").exists():
        # scripts contain their folder: a moved checkout, or another Python, requires a new environment
        shutil.rmtree(venv, ignore_errors=True)
        # not sys.executable, which is .venv's own in an activated shell
        python = getattr(sys, "_base_executable", None) or sys.executable
        run("virtual environment", [python, "-m", "venv", str(venv)], log=log, fix=FIX)
        stamps.set("base", base)
    python = str(venv / "bin" / "python")
    done = []
    if stamps.get("lock") != lock:
        stamps.drop("lock", "project")
        # wheels only: what builds a source distribution would be downloaded without a hash
        options = ["--require-hashes", "--no-deps", "--only-binary", ":all:", "--no-compile"]
        wanted = ["install", *options, "--progress-bar", "off", "-r", str(root / "requirements.lock")]
        run("Python packages", [python, *PIP, *wanted], log=log, fix=FIX, note=_pip_note)
        run("bytecode", [python, "-c", BYTECODE], log=log, fix=FIX)
        stamps.set("lock", lock)
        done.append("packages")
    if stamps.get("project") != project:
        stamps.drop("project")
        options = ["--no-index", "--no-deps", "--no-build-isolation", "--no-compile"]
        # As a line of a .pth file; setuptools' own way loads a finder into every Python that starts: 40 ms.
        options += ["--config-settings", "editable_mode=compat"]
        run("the project, editable", [python, *PIP, "install", *options, "-e", str(root)], log=log, fix=FIX)
        stamps.set("project", project)
        done.append("project")
    return f"installed {' and '.join(done)}" if done else "as locked"


class Stamps:
    """JSON file of completed parts; inside .venv, so that both are removed together."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, part: str) -> dict[str, str] | None:
        """Return the stamp of a part; None if it is missing or unreadable."""
        value = self._all().get(part)
        return value if isinstance(value, dict) else None

    def set(self, part: str, value: dict[str, str]) -> None:
        """Record a part as done."""
        self._write({**self._all(), part: value})

    def drop(self, *parts: str) -> None:
        """Remove the stamps of these parts."""
        self._write({name: value for name, value in self._all().items() if name not in parts})

    def _all(self) -> dict[str, object]:
        try:
            stamps = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return {}
        return stamps if isinstance(stamps, dict) else {}

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

"""Environment variables of `pulumi` and `fab`: backend, passphrase, PATH.

    python -m tools.environment --shell        lines for `eval`, as ./activate does
    python -m tools.environment -- COMMAND …   runs a command under them

Variables that the user has set are kept. Standard library only: setup uses it before .venv exists.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import secrets
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bootstrap.errors import CaffeSparkError, ConfigError

ROOT = Path(__file__).resolve().parent.parent
DEV = "dev"
WITHOUT_METADATA = "?metadata=skip"
"""Without it, the backend writes two files per update; a kill in between leaves an unreadable stack."""
PYTHON = "PULUMI_PYTHON_CMD"
"""Python by which the engine runs programs. Ours lists no packages: otherwise the engine would run `pip list`
twice before each command (1 s), and fetch a plugin (300 MB) for each provider package in .venv, used or not.
Plugins that a stack uses are still fetched when its first resource is registered."""


_TEAM_BACKEND = re.compile(r"^backend:[ \t]*\n[ \t]+url:[ \t]*[\"']?(?P<url>[^\s\"'#]+)", re.MULTILINE)
_BACKEND = re.compile(r"^backend:(?!\s*(?:\{\s*\}|null|~)?\s*(?:#.*)?$)|^backend:\s*\n\s+\S", re.MULTILINE)


def state_folder(root: Path) -> Path:
    """Return the checkout's ignored folder for Pulumi's state, the passphrase, logs and the CLI."""
    return root / ".state"


def wrapper_folder(root: Path) -> Path:
    """Return the folder of the `pulumi` that removes locks of killed ones, and then runs the CLI."""
    return root / "tools" / "bin"


def cli_folder(root: Path) -> Path:
    """Return the folder of the Pulumi CLI that setup installs if the machine has no recent one."""
    return state_folder(root) / "pulumi-cli" / "bin"


def passphrase_file(root: Path) -> Path:
    """Return the file of the generated passphrase, which encrypts the secrets of this checkout's state."""
    return state_folder(root) / "passphrase"


def chosen_backend(root: Path, given: Mapping[str, str]) -> str:
    """Return the backend that the user has set (PULUMI_BACKEND_URL), else the team's; empty without either.

    The team's is `backend.url` of Pulumi.yaml, which the CLI itself honours, written as in docs/team.md.

    Raises:
        ConfigError: Pulumi.yaml has it in another form.
    """
    if given.get("PULUMI_BACKEND_URL"):
        return given["PULUMI_BACKEND_URL"]
    project = root / "Pulumi.yaml"
    text = project.read_text() if project.is_file() else ""
    found = _TEAM_BACKEND.search(text)
    if found is None and _BACKEND.search(text):
        # The CLI may read it all the same; a state of this checkout's own in its place would be a second one.
        raise ConfigError(
            "Pulumi.yaml",
            "its `backend` is written in a way that this program does not read",
            "Write two lines: `backend:`, and below it, indented, `url: s3://…`.",
        )
    return found["url"] if found else ""


def keeps_its_own_state(root: Path, given: Mapping[str, str]) -> bool:
    """Return True unless the user or the team has set a backend."""
    return not chosen_backend(root, given)


def is_shared(backend: str) -> bool:
    """Return whether a backend is one that several machines reach: a bucket, a container, a service."""
    return bool(backend) and not backend.startswith("file://")


def needs_passphrase(root: Path, given: Mapping[str, str]) -> bool:
    """Return True unless the user has set a passphrase, possibly empty, or a passphrase file.

    A shared state gets none from here: secrets that this machine's own passphrase encrypts open nowhere else.
    """
    if is_shared(chosen_backend(root, given)):
        return False
    return "PULUMI_CONFIG_PASSPHRASE" not in given and not given.get("PULUMI_CONFIG_PASSPHRASE_FILE")


def environment(root: Path, given: Mapping[str, str]) -> dict[str, str]:
    """Return `given` (usually os.environ), completed. Of files it reads Pulumi.yaml alone.

    Args:
        root: the folder of Pulumi.yaml, absolute.
        given: variables that are already set; their values win.

    Raises:
        ConfigError: Pulumi.yaml names a backend in a form that is not read here.
    """
    env = dict(given)
    own = f"file://{state_folder(root) / 'pulumi'}{WITHOUT_METADATA}"
    env["PULUMI_BACKEND_URL"] = chosen_backend(root, given) or own
    if needs_passphrase(root, given):
        env["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(passphrase_file(root))
    env.setdefault("PULUMI_SKIP_UPDATE_CHECK", "true")
    # The salt of the dev stack's secrets is not committed (see .gitattributes), but the state contains it.
    env.setdefault("PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER", "true")
    env.setdefault(PYTHON, str(root / "tools" / "pulumi-python"))
    env["VIRTUAL_ENV"] = str(root / ".venv")
    env.pop("PYTHONHOME", None)
    # .venv before all else: the language host runs the first python3 on PATH.
    ours = [str(root / ".venv" / "bin"), str(wrapper_folder(root)), str(cli_folder(root))]
    rest = [entry for entry in given.get("PATH", os.defpath).split(os.pathsep) if entry and entry not in ours]
    env["PATH"] = os.pathsep.join([*ours, *rest])
    return env


def selected_stack(root: Path, env: Mapping[str, str]) -> str | None:
    """Return the stack that `pulumi stack select` recorded for this folder and backend, without the CLI.

    Returns None if none is selected, or if the record has an unknown format.
    """
    home = Path(env.get("PULUMI_HOME") or Path(env.get("HOME") or Path.home()) / ".pulumi")
    digest = hashlib.sha1(str(root / "Pulumi.yaml").encode(), usedforsecurity=False).hexdigest()
    for record in sorted((home / "workspaces").glob(f"*-{digest}-workspace.json")):
        try:
            known = json.loads(record.read_text())
            name = known.get("stacks", {}).get(env.get("PULUMI_BACKEND_URL", "")) or known.get("stack")
        except (OSError, ValueError, AttributeError):
            continue
        if isinstance(name, str) and name:
            return name.rsplit("/", 1)[-1]
    return None


def prepare(root: Path, given: Mapping[str, str]) -> None:
    """Create the folders and, once, the passphrase that the environment refers to. Overwrites nothing.

    Raises:
        ConfigError: the passphrase is missing while stacks exist that were created with it.
    """
    (state_folder(root) / "log").mkdir(parents=True, exist_ok=True)
    if keeps_its_own_state(root, given):
        (state_folder(root) / "pulumi").mkdir(exist_ok=True)
    if needs_passphrase(root, given):
        _make_passphrase(root)


def _make_passphrase(root: Path) -> None:
    path = passphrase_file(root)
    if path.exists():
        path.chmod(0o600)
        return
    stacks = sorted((state_folder(root) / "pulumi" / ".pulumi" / "stacks").glob("*/*.json"))
    if stacks:
        raise ConfigError(
            str(path.relative_to(root)),
            f"it is missing, and the secrets of stack {stacks[0].stem!r} cannot be decrypted without it",
            f"Restore it; or remove the stack's nodes by hand and then {state_folder(root) / 'pulumi'}.",
        )
    draft = path.with_name(f"passphrase.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(32) + "\n")
    try:
        os.link(draft, path)  # atomic, and never replaces an existing file
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def shell_lines(env: Mapping[str, str], given: Mapping[str, str]) -> str:
    """Return POSIX shell that exports the differences from `given`."""
    lines = [
        f"export {name}={shlex.quote(value)}"
        for name, value in sorted(env.items())
        if given.get(name) != value
    ]
    lines += [f"unset {name}" for name in sorted(given) if name not in env]
    return "\n".join(lines)


def summary(root: Path, env: Mapping[str, str]) -> str:
    """Return a one-line summary of stack, state, passphrase and CLI."""
    behind = [entry for entry in env["PATH"].split(os.pathsep) if entry != str(wrapper_folder(root))]
    cli = _which("pulumi", os.pathsep.join(behind)) or "missing (run `make setup`)"
    state = env["PULUMI_BACKEND_URL"].removeprefix("file://").removesuffix(WITHOUT_METADATA)
    stack = selected_stack(root, env) or f"none selected, {DEV} by default"
    set_file = env.get("PULUMI_CONFIG_PASSPHRASE_FILE") or "none"
    secret = "set" if "PULUMI_CONFIG_PASSPHRASE" in env else set_file
    parts = {"stack": stack, "state": state, "passphrase": secret, "pulumi": cli}
    return "caffe-spark: " + "; ".join(
        f"{name} {value.replace(f'{root}/', '')}" for name, value in parts.items()
    )


def _which(name: str, path: str) -> str | None:
    for folder in path.split(os.pathsep):
        if os.access(Path(folder) / name, os.X_OK):
            return str(Path(folder) / name)
    return None


def main(arguments: Sequence[str]) -> int:
    """Run the command line; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m tools.environment", description=__doc__.splitlines()[0])
    parser.add_argument("--shell", action="store_true", help="print lines for eval; a summary on stderr")
    parser.add_argument("command", nargs="*", help="a command to run under the environment")
    options = parser.parse_args(arguments)
    try:
        prepare(ROOT, os.environ)
    except CaffeSparkError as error:
        print(error, file=sys.stderr)
        return 1
    env = environment(ROOT, os.environ)
    if options.shell:
        print(shell_lines(env, os.environ))
        print(summary(ROOT, env), file=sys.stderr)
    if options.command:
        os.environ.clear()
        os.environ.update(env)
        os.execvp(options.command[0], options.command)  # noqa: S606 - the user's command, as typed
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

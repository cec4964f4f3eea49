"""Commands in a folder, until a file exists."""

from __future__ import annotations

from bootstrap.engine.operations.shell import Scripts, comment, quote
from bootstrap.engine.role import Build


def scripts(spec: Build) -> Scripts:
    """Run the commands in order; `creates` is relative to the folder unless it is absolute."""
    folder = quote(spec.dir)
    guard = f"cd {folder}\n[ -e {quote(spec.creates)} ]"
    lines = [comment(f"build {spec.creates} in {spec.dir}"), f"cd {folder}"]
    for command in spec.commands:
        lines += [f"echo {quote('+ ' + command.strip())}", command]
    return Scripts(guard, "\n".join(lines))

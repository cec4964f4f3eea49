"""A folder with this mode, owner and group; what lies in it is left alone."""

from __future__ import annotations

from bootstrap.engine.operations.shell import Scripts, comment, has_access, ownership, quote
from bootstrap.engine.role import Directory


def scripts(spec: Directory) -> Scripts:
    """Make the folder and its parents, then set its access."""
    path = quote(spec.path)
    guard = f"[ -d {path} ]\n{has_access(spec.path, spec.mode, spec.owner, spec.group)}"
    run = [
        comment(f"make folder {spec.path}"),
        f"mkdir -p {path}",
        f"chown {ownership(spec.owner, spec.group)} {path}",
        f"chmod {int(spec.mode, 8):o} {path}",
    ]
    return Scripts(guard, "\n".join(run))

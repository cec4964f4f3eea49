"""A file with exactly this content, mode, owner and group."""

from __future__ import annotations

from bootstrap.engine.operations.shell import Scripts, comment, has_access, has_content, write_file
from bootstrap.engine.role import File


def scripts(spec: File, content: str) -> Scripts:
    """Write `content` (the filled template) where it differs."""
    guard = "\n".join(
        [has_content(spec.path, content), has_access(spec.path, spec.mode, spec.owner, spec.group)]
    )
    run = write_file(spec.path, content, mode=spec.mode, owner=spec.owner, group=spec.group)
    return Scripts(guard, f"{comment(f'write {spec.path}')}\n{run}")

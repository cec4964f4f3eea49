"""Directory operation: a folder with mode, owner and group; its content is left alone."""

from __future__ import annotations

from bootstrap.engine.operations.base import Operation
from bootstrap.engine.operations.shell import Scripts, comment, has_access, ownership, quote


class Directory(Operation):
    """A folder with owner and mode."""

    path: str
    mode: str = "0755"
    owner: str = "root"
    group: str | None = None

    def scripts(self, text: str | None = None) -> Scripts:
        """Create the folder and its parents, then set mode and owner."""
        path = quote(self.path)
        guard = f"[ -d {path} ]\n{has_access(self.path, self.mode, self.owner, self.group)}"
        run = [
            comment(f"make folder {self.path}"),
            f"mkdir -p {path}",
            f"chown {ownership(self.owner, self.group)} {path}",
            f"chmod {int(self.mode, 8):o} {path}",
        ]
        return Scripts(guard, "\n".join(run))

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
        """Create the folder and its parents, then set mode and owner; refuse a link in its place."""
        path = quote(self.path)
        parent, _, name = self.path.rstrip("/").rpartition("/")
        real = f'"$(cd {quote(parent)} && pwd -P)"/{quote(name)}' if parent else path
        guard = f"[ -d {path} ]\n[ ! -L {path} ]\n{has_access(self.path, self.mode, self.owner, self.group)}"
        run = [
            comment(f"make folder {self.path}"),
            f"mkdir -p {path}",
            # In the folder itself: in a parent that a user may write, the name may become a link meanwhile.
            f"cd {path}",
            f'[ "$(pwd -P)" = {real} ] || '
            f"{{ echo {path}' is a link, and has to be a folder' >&2; exit 1; }}",
            f"chown {ownership(self.owner, self.group)} .",
            f"chmod {int(self.mode, 8):o} .",
        ]
        return Scripts(guard, "\n".join(run))

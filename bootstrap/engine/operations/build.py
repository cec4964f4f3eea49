"""Build operation: commands in a folder, until a file exists."""

from __future__ import annotations

from bootstrap.engine.operations.base import Operation
from bootstrap.engine.operations.shell import Scripts, comment, quote


class Build(Operation):
    """Commands run in a folder until `creates` exists."""

    dir: str
    commands: list[str]
    creates: str

    def scripts(self, text: str | None = None) -> Scripts:
        """Run the commands in order; `creates` is relative to the folder unless it is absolute."""
        folder = quote(self.dir)
        guard = f"cd {folder}\n[ -e {quote(self.creates)} ]"
        lines = [comment(f"build {self.creates} in {self.dir}"), f"cd {folder}"]
        for command in self.commands:
            lines += [f"echo {quote('+ ' + command.strip())}", command]
        return Scripts(guard, "\n".join(lines))

"""User operation: a system user with a group of its name, a home folder and further groups."""

from __future__ import annotations

from pydantic import Field

from bootstrap.engine.operations.base import Operation
from bootstrap.engine.operations.shell import Scripts, comment, quote


class User(Operation):
    """A system user with a home folder."""

    name: str
    home: str
    groups: list[str] = Field(default=[])

    def scripts(self, text: str | None = None) -> Scripts:
        """Create the user, or change home and groups of the existing one."""
        name, home = quote(self.name), quote(self.home)
        current_home = f"$(getent passwd {name} | cut -d: -f6)"
        guard = [f'[ "{current_home}" = {home} ]', f"[ -d {home} ]"]
        guard += [f"id -nG {name} | tr ' ' '\\n' | grep -qxF -e {quote(group)}" for group in self.groups]
        run = [
            comment(f"useradd {self.name}"),
            f"if getent passwd {name} >/dev/null; then",
            f'  if [ "{current_home}" != {home} ]; then usermod --home {home} {name}; fi',
            f"elif getent group {name} >/dev/null; then",
            f"  useradd --system --create-home --home-dir {home} --shell /bin/bash --gid {name} {name}",
            "else",
            f"  useradd --system --create-home --home-dir {home} --shell /bin/bash --user-group {name}",
            "fi",
            # useradd leaves a home alone that is there, whoever owns it.
            f'if [ ! -d {home} ]; then install -d -m 0755 -o {name} -g "$(id -gn {name})" {home}; fi',
        ]
        for group in self.groups:
            run += [f"getent group {quote(group)} >/dev/null || groupadd --system {quote(group)}"]
            run += [f"usermod --append --groups {quote(group)} {name}"]
        return Scripts("\n".join(guard), "\n".join(run))

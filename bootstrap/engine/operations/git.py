"""Git operation: a checkout of one commit."""

from __future__ import annotations

from pydantic import Field

from bootstrap.engine.operations.base import Operation
from bootstrap.engine.operations.shell import Scripts, comment, quote, replace_folder


class Git(Operation):
    """A checkout at exactly one commit."""

    repo: str
    rev: str = Field(pattern=r"^[0-9a-f]{40}$")
    dest: str

    def scripts(self, text: str | None = None) -> Scripts:
        """Fetch that commit alone beside `dest`, then replace `dest`; manual changes in `dest` are lost."""
        dest, new = quote(self.dest), quote(self.dest + ".new")
        # The folder may belong to another user than root, which git refuses to look into.
        git = "git -c safe.directory='*'"
        guard = f'[ "$({git} -C {dest} rev-parse HEAD)" = {self.rev} ]'
        run = f"""\
{comment(f"git checkout {self.repo} at {self.rev}")}
export GIT_TERMINAL_PROMPT=0
mkdir -p "$(dirname {dest})"
rm -rf {new}
git -c init.defaultBranch=main init -q {new}
# Some servers hand out a commit only with the branch that it is on.
git -C {new} fetch -q --depth 1 {quote(self.repo)} {self.rev} ||
  git -C {new} fetch -q {quote(self.repo)} '+refs/heads/*:refs/remotes/origin/*' '+refs/tags/*:refs/tags/*'
git -C {new} -c advice.detachedHead=false checkout -q --detach {self.rev}
{replace_folder(self.dest + ".new", self.dest)}"""
        return Scripts(guard, run)

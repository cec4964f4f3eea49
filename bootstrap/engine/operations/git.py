"""A checkout of one commit, named in full."""

from __future__ import annotations

from bootstrap.engine.operations.shell import Scripts, comment, quote, replace_folder
from bootstrap.engine.role import Git


def scripts(spec: Git) -> Scripts:
    """Fetch just that commit beside `dest`, then put it there; changes made by hand in `dest` go with it."""
    dest, new = quote(spec.dest), quote(spec.dest + ".new")
    # The folder may belong to another user than root, which git refuses to look into.
    git = "git -c safe.directory='*'"
    guard = f'[ "$({git} -C {dest} rev-parse HEAD)" = {spec.rev} ]'
    run = f"""\
{comment(f"git checkout {spec.repo} at {spec.rev}")}
export GIT_TERMINAL_PROMPT=0
mkdir -p "$(dirname {dest})"
rm -rf {new}
git -c init.defaultBranch=main init -q {new}
# Some servers hand out a commit only with the branch that it is on.
git -C {new} fetch -q --depth 1 {quote(spec.repo)} {spec.rev} ||
  git -C {new} fetch -q {quote(spec.repo)} '+refs/heads/*:refs/remotes/origin/*' '+refs/tags/*:refs/tags/*'
git -C {new} -c advice.detachedHead=false checkout -q --detach {spec.rev}
{replace_folder(spec.dest + ".new", spec.dest)}"""
    return Scripts(guard, run)

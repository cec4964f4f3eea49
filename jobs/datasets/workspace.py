"""Working folders of data sets on the head, removed at the end of what uses them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from bootstrap import paths
from bootstrap.aside import token
from bootstrap.errors import Unreachable
from bootstrap.ssh.remote import Remote
from bootstrap.storage.folders import AT_WORK

STAGING = f"{paths.STATE}/data"
STALE_MIN = 24 * 60
"""Minutes after which a working folder on the head is left by a command that was interrupted."""


@contextmanager
def workspace(head: Remote, name: str) -> Iterator[str]:
    """Yield the path of a new working folder on the head; what interrupted commands left there goes.

    A script of `folders.make` that is at work in it, after Ctrl-C, removes it itself: without it the set
    would be stored in part.
    """
    parent, work = shlex.quote(STAGING), f"{STAGING}/{name}-{token()}"
    head.run(
        f"mkdir -p {shlex.quote(work)}\n"
        f"find {parent} -mindepth 1 -maxdepth 1 -mmin +{STALE_MIN} -exec rm -rf {{}} +\n"
    )
    try:
        yield work
    finally:
        with suppress(Unreachable):  # the first error matters
            at_work = shlex.quote(f"{work}/{AT_WORK}")
            head.run(f"[ -e {at_work} ] || rm -rf {shlex.quote(work)}", check=False)

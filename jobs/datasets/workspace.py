"""Working folders of data sets on the head, removed at the end of the command that made them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from bootstrap import paths
from bootstrap.aside import token
from bootstrap.errors import Unreachable
from bootstrap.ssh.remote import Remote

STAGING = f"{paths.STATE}/data"
STALE_MIN = 24 * 60
"""Minutes after which a working folder on the head is left by a command that was interrupted."""


@contextmanager
def workspace(head: Remote, name: str) -> Iterator[str]:
    """Yield the path of a new working folder on the head; what interrupted commands left there goes."""
    parent, work = shlex.quote(STAGING), f"{STAGING}/{name}-{token()}"
    head.run(
        f"mkdir -p {shlex.quote(work)}\n"
        f"find {parent} -mindepth 1 -maxdepth 1 -mmin +{STALE_MIN} -exec rm -rf {{}} +\n"
    )
    try:
        yield work
    finally:
        with suppress(Unreachable):  # the first error matters
            head.run(f"rm -rf {shlex.quote(work)}", check=False)

"""The Pulumi program: configuration → the provider's program → the stack's outputs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import pulumi
from pulumi.runtime.config import CONFIG

from bootstrap.errors import CaffeSparkError
from infra import config
from infra.local.program import program as local

PROGRAMS: Final = {"local": local}
SAID_ALREADY: Final = 32
"""Tells the language host that the user has read why; with RunError it adds `an unhandled error occurred`."""


def main() -> None:
    """Register the stack; an expected failure is one line, and comes before the first resource."""
    stack = pulumi.get_stack()
    try:
        # The whole namespace, not key by key: a misspelt key has to be seen.
        settings = config.load(CONFIG.get(), stack)
        outputs = PROGRAMS[settings.provider](settings, stack, str(Path.cwd()))
    except CaffeSparkError as error:
        pulumi.log.error(str(error))
        sys.exit(SAID_ALREADY)
    for name, value in outputs.items():
        pulumi.export(name, value)


if __name__ == "__main__":
    main()

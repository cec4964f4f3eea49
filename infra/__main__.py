"""The Pulumi program: configuration → the provider's program → the stack's outputs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import pulumi
from pulumi.runtime.config import CONFIG

from bootstrap.errors import CaffeSparkError
from infra import config
from infra.registry import PROVIDERS

SAID_ALREADY: Final = 32
"""Tells the language host that the user has read why; with RunError it adds `an unhandled error occurred`."""


def main() -> None:
    """Register the stack; an expected failure is one line, and comes before the first resource."""
    stack = pulumi.get_stack()
    try:
        # The whole namespace, not key by key: a misspelt key has to be seen.
        settings = config.load(CONFIG.get(), stack)
        # A cloud's resources take a second to import, and the others' stacks do without them.
        program = PROVIDERS[settings.provider].program
        outputs = program(settings, stack, str(Path.cwd()))
    except CaffeSparkError as error:
        pulumi.log.error(str(error))
        sys.exit(SAID_ALREADY)
    for name, value in outputs.items():
        pulumi.export(name, value)


if __name__ == "__main__":
    main()

"""Entry point of the Pulumi program: load the configuration, run the provider's program, export its
outputs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import pulumi
from pulumi.runtime.config import CONFIG

from bootstrap.errors import CaffeSparkError
from infra import config, running
from infra.registry import PROVIDERS

SAID_ALREADY: Final = 32
"""Exit status that tells the language host that the error has been reported; a `RunError` would add `an
unhandled error occurred`."""


def main() -> None:
    """Run the stack's program; an expected error is logged in one line, before the first resource is
    registered."""
    stack = pulumi.get_stack()
    try:
        # The whole namespace instead of single keys, so that a misspelt key is found.
        settings = config.load(CONFIG.get(), stack)
        running.check(settings.spark, stack, running.last_outputs(stack))
        # Importing a cloud's resources takes a second: import those of this provider only.
        program = PROVIDERS[settings.provider].program
        outputs = program(settings, stack, str(Path.cwd()))
    except CaffeSparkError as error:
        pulumi.log.error(str(error))
        sys.exit(SAID_ALREADY)
    for name, value in outputs.items():
        pulumi.export(name, value)


if __name__ == "__main__":
    main()

"""Base image of the dev stack, built before `pulumi up` asks for it: `make mnist` does so while it sets up.

python -m infra.local.image_ahead      builds it if it is missing (a minute, once)
"""

from __future__ import annotations

import sys

from bootstrap.errors import CaffeSparkError
from infra.config import from_file
from infra.local import image
from infra.local.engine import find_engine
from infra.local.settings.config import LocalConfig
from infra.settings.stack_file import project

STACK = "dev"


def main() -> int:
    """Build the image; report an expected failure in one line with exit status 1."""
    try:
        config = from_file(project() / f"Pulumi.{STACK}.yaml", STACK)
        if isinstance(config, LocalConfig):
            engine = find_engine(config.engine, STACK)
            tag, recipe = image.describe(config.image)
            image.BaseImageProvider().create({"engine": engine.kind, "tag": tag, "recipe": recipe})
    except CaffeSparkError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

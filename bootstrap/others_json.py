"""JSON that others may have written: jobs, nodes, whoever may write to shared storage."""

from __future__ import annotations

import json
from typing import Any


def json_object(text: str | bytes) -> dict[str, Any]:
    """Return the object of a JSON text; its values are of any type.

    Raises:
        ValueError: it is not JSON, not an object, or nested too deep.
    """
    try:
        found = json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    if not isinstance(found, dict):
        raise ValueError("it is not an object")
    return found

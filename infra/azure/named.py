"""Names chosen by the stack, as outputs that carry a dependency."""

from __future__ import annotations

import pulumi


def named(resource: pulumi.CustomResource, name: pulumi.Input[str]) -> pulumi.Output[str]:
    """Return the name of a resource as an output: what uses it is created after it, and deleted before it."""
    return pulumi.Output.all(resource.id, name).apply(lambda both: str(both[1]))

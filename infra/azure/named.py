"""Names that the stack itself has given, as outputs of what bears them."""

from __future__ import annotations

import pulumi


def named(resource: pulumi.CustomResource, name: pulumi.Input[str]) -> pulumi.Output[str]:
    """The name it was given, once it is there: what uses it comes after it, and goes before it."""
    return pulumi.Output.all(resource.id, name).apply(lambda both: str(both[1]))

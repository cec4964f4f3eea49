"""Identity of a machine, whose roles are not declared."""

from __future__ import annotations

import pulumi

from infra.aws.roles import Machine


def identity() -> Machine:
    """Return one with names and ARNs of the test's own."""
    text = pulumi.Output.from_input
    return Machine(
        profile_name=text("profile"),
        profile_arn=text("arn:profile"),
        role_name=text("role"),
        role_arn=text("arn:role"),
        role_id=text("AROA1"),
        ready=(),
    )

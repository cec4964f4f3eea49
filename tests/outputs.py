"""Outputs of the project's dynamic providers, without an engine."""

from __future__ import annotations

from typing import Any

from infra.provider import Props, Provider


def outputs_of(provider: Provider, **props: Any) -> Props:
    """Create a resource of these properties; return its outputs, which Pulumi declares as optional."""
    outs = provider.create(props).outs
    assert outs is not None
    return outs

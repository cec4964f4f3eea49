"""Base of models that files and stack outputs are read into, and the first fault that a file has."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError


class Model(BaseModel):
    """Immutable; refuses unknown fields; validation errors do not quote the input, which may hold secrets."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def first_fault(error: ValidationError) -> tuple[str, str]:
    """Return the field of the first fault, e.g. `steps.0.git.rev` (empty: the whole), and its reason."""
    first = error.errors(include_input=False)[0]
    return ".".join(str(part) for part in first["loc"]), first["msg"].removeprefix("Value error, ")

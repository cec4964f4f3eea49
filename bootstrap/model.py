"""Base of the cluster document's models."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """Immutable; refuses unknown fields; validation errors do not quote the input, which holds secrets."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

"""What a stack may say: its configuration, typed and checked before the first resource exists.

The sections are told apart by `provider`. Values arrive as the strings of `PULUMI_CONFIG`, which already
holds the defaults of Pulumi.yaml; the defaults here are the same ones, for callers without an engine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from bootstrap.errors import ConfigError
from infra.tags import PROJECT

MIN_MEMORY_MB: Final = 2048
"""HDFS, Spark's daemons, an executor and a trainer do not fit into less (see `infra.local.program`)."""
FIRST_NODE: Final = 10
"""The head's number in the subnet; worker N has this plus N."""
MAX_WORKERS: Final = 200
PLANNED_PROVIDERS: Final = ("aws", "azure")


def _private(subnet: IPv4Network) -> IPv4Network:
    if not subnet.is_private:
        raise ValueError(f"{subnet} is not a private network; take one such as 10.89.77.0/24")
    return subnet


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)


class DebstrapImage(_Section):
    """A base image made here from the distribution's packages."""

    source: Literal["mmdebstrap"]
    suite: str = Field(default="bookworm", pattern=r"^[a-z]+$")


class RegistryImage(_Section):
    """A base image on top of a stock Debian or Ubuntu one, e.g. `docker.io/library/debian:12`."""

    source: Literal["registry"]
    ref: str = Field(pattern=r"^[a-z0-9][a-zA-Z0-9._:/@-]+$")


Image = Annotated[DebstrapImage | RegistryImage, Field(discriminator="source")]


class LocalConfig(_Section):
    """A cluster of containers on this machine."""

    provider: Literal["local"] = "local"
    workers: int = Field(default=2, ge=1, le=MAX_WORKERS)
    vcpu: int = Field(default=2, ge=1)
    """CPUs of each node."""
    memory_mb: int = Field(default=3072, ge=MIN_MEMORY_MB)
    """Memory of each node."""
    subnet: Annotated[IPv4Network, AfterValidator(_private)] = IPv4Network("10.89.77.0/24")
    image: Image = DebstrapImage(source="mmdebstrap")
    engine: Literal["auto", "podman", "docker"] = "auto"

    @model_validator(mode="after")
    def _nodes_fit(self) -> LocalConfig:
        # The last address is the broadcast address.
        room = self.subnet.num_addresses - 2 - FIRST_NODE
        if self.workers > room:
            raise ValueError(
                f"subnet {self.subnet} has room for {max(room, 0)} workers, not for {self.workers}; "
                "take a larger one such as 10.89.77.0/24"
            )
        return self

    def address(self, number: int) -> IPv4Address:
        """Address of the head (0) or of worker `number`; it stays when the number of workers changes."""
        return self.subnet[FIRST_NODE + number]


StackConfig = LocalConfig
"""Becomes a union told apart by `provider` with the second section."""


def load(values: Mapping[str, str], stack: str) -> StackConfig:
    """The stack's configuration from `namespace:key` → text, as the engine hands it over.

    Raises:
        ConfigError: an unknown key, a value of the wrong shape, or a provider that is not there yet.
    """
    given: dict[str, Any] = {}
    for name, text in values.items():
        namespace, _, key = name.partition(":")
        if namespace == PROJECT:
            given[key] = _value(text)
    provider = given.get("provider", "local")
    if provider in PLANNED_PROVIDERS:
        raise ConfigError(
            f"provider: {provider}",
            "this version has only the provider local",
            f"Run `pulumi config set provider local --stack {stack}`.",
        )
    try:
        return LocalConfig.model_validate(given)
    except ValidationError as error:
        raise _one_line(error, stack) from None


def _value(text: str) -> Any:  # noqa: ANN401 - whatever YAML held
    if text.startswith(("{", "[")):
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            pass
    return text


_EXAMPLES: Final = {
    "provider": "local",
    "workers": "2",
    "vcpu": "2",
    "memoryMb": "3072",
    "subnet": "10.89.77.0/24",
    "engine": "auto",
    "image": "--path image.source mmdebstrap",
}


def _one_line(error: ValidationError, stack: str) -> ConfigError:
    """The first complaint, with the command that mends it."""
    first = error.errors(include_url=False)[0]
    loc = [str(part) for part in first["loc"] if part not in ("mmdebstrap", "registry")]
    key, kind = ".".join(loc), first["type"]
    top = loc[0] if loc else "subnet"
    choices = ", ".join(_EXAMPLES)
    message = str(first["msg"]).removeprefix("Value error, ")
    if kind == "extra_forbidden" and len(loc) == 1:
        return ConfigError(
            f"{PROJECT}:{key}",
            f"there is no such key; there are: {choices}",
            f"Run `pulumi config rm {key} --stack {stack}`.",
        )
    if kind == "value_error":
        given = f"{PROJECT}:{top}"
    elif kind in ("extra_forbidden", "missing"):
        given = f"{PROJECT}:{key}"
        message = (
            "there is no such key; an image has source and suite, or source and ref"
            if kind == "extra_forbidden"
            else message
        )
    else:
        given = f"{PROJECT}:{key} = {first['input']!r}"
    if top == "image":
        command = "pulumi config set --path image.source mmdebstrap"
        if key != "image":
            message += "; valid: {source: mmdebstrap, suite: bookworm} or {source: registry, ref: IMAGE}"
    else:
        command = f"pulumi config set {top} {_EXAMPLES.get(top, '…')}"
    return ConfigError(given, message, f"For example: `{command} --stack {stack}`.")

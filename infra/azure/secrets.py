"""Password of the gateway: the stack file's, or one that is generated and stored encrypted in the state."""

from __future__ import annotations

import secrets
import string
from collections.abc import Iterable, Sequence
from typing import Final

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource
from pulumi.runtime.config import is_config_secret

from bootstrap.errors import ConfigError
from infra.azure.settings.config import AzureConfig
from infra.azure.settings.name_rules import PASSWORD_SPECIALS, password_faults, user_faults
from infra.provider import Props, Provider, changed, replace_if
from infra.tags import PROJECT

LENGTH: Final = 24
"""More than 140 bits."""
KEY: Final = f"{PROJECT}:gatewayPassword"


class GatewayPasswordProvider(Provider):
    """Generates a password that HDInsight accepts.

    It stays as it is: HDInsight's script actions fail after the password changes. It is replaced only where
    another user's name forbids it, which replaces the cluster anyway.
    """

    def create(self, props: Props) -> CreateResult:
        """Generate a password."""
        value = generate(props.get("users") or ())
        return CreateResult(id_=str(props["purpose"]), outs={**props, "value": value})

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        """Replace a password that another user's name forbids; stacks of earlier versions have no names."""
        others = "users" in olds and changed(olds, news, ("users",))
        forbidden = others and user_faults(str(olds.get("value")), news.get("users") or ())
        return replace_if(["users"] if forbidden else [])


class GatewayPassword(Resource, module="azure", name="GatewayPassword"):
    """Password of the gateway's user."""

    value: pulumi.Output[str]

    def __init__(
        self, name: str, *, users: Sequence[str] = (), opts: pulumi.ResourceOptions | None = None
    ) -> None:
        opts = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(additional_secret_outputs=["value"]))
        props = {"purpose": name, "users": list(users), "value": None}
        super().__init__(GatewayPasswordProvider(), name, props, opts)


def generate(users: Iterable[str]) -> str:
    """Generate a password that HDInsight accepts beside these users; it begins with a letter, so that no
    command takes it for an option."""
    names = list(users)
    alphabet = string.ascii_letters + string.digits + PASSWORD_SPECIALS
    while True:
        first, rest = (
            secrets.choice(string.ascii_letters),
            (secrets.choice(alphabet) for _ in range(LENGTH - 1)),
        )
        password = first + "".join(rest)
        if not password_faults(password) and not user_faults(password, names):
            return password


def require_encrypted(config: AzureConfig, stack: str) -> None:
    """Refuse a plain-text password in the stack file.

    Raises:
        ConfigError: it is plain text.
    """
    if config.gateway_password is not None and not is_config_secret(KEY):
        raise ConfigError(
            f"{KEY} = ***",
            "it is plain text in the stack file; valid: encrypted, or none: the stack then generates one",
            f"Run `pulumi config set --secret gatewayPassword --stack {stack}`.",
        )


def gateway_password(config: AzureConfig) -> pulumi.Output[str]:
    """Return the password as a secret output."""
    if config.gateway_password is not None:
        return pulumi.Output.secret(config.gateway_password.get_secret_value())
    return pulumi.Output.secret(GatewayPassword("gateway-password", users=config.users).value.apply(str))

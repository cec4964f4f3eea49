"""Former location of `infra.keys`, by which the state of older stacks names its providers."""

from infra.keys import Secret, SecretProvider, SshKey, SshKeyProvider

__all__ = ["Secret", "SecretProvider", "SshKey", "SshKeyProvider"]

"""Where `infra.keys` was: the state of stacks made before names its providers by this module."""

from infra.keys import Secret, SecretProvider, SshKey, SshKeyProvider

__all__ = ["Secret", "SecretProvider", "SshKey", "SshKeyProvider"]

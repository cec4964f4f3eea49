"""Expected failures: what was given; why it fails; the next command to type.

    CaffeSparkError
    ├── ConfigError          a value in a stack file, role, recipe or job spec
    │   └── NoCredentials    nobody on this machine has ever logged in to that cloud
    ├── StackError           the Pulumi stack: missing, not up, without `cluster` output
    ├── Unreachable          a node does not answer, or is not the host it was
    ├── CommandFailed        a command on a node ended with a non-zero status
    ├── StepFailed           a role's step failed on one or more nodes
    ├── ServiceDown          a service (HDFS, Spark, Azurite …) is not usable
    ├── IntegrityError       a sha256 does not match
    ├── BuildError           the framework did not compile
    └── JobError             a job was refused, failed or was killed

Commands print these as one line and exit 1. Every other exception is a bug and keeps its traceback.
"""

from __future__ import annotations


class CaffeSparkError(Exception):
    """Base of every failure that a user can act on.

    `given` says what was given, `why` why it fails, `fix` the next command to type.
    """

    def __init__(self, given: str, why: str, fix: str) -> None:
        self.given, self.why, self.fix = given, why, fix
        super().__init__(given, why, fix)

    def __str__(self) -> str:
        return f"{self.given}: {self.why.rstrip('.')}. {self.fix}"


class ConfigError(CaffeSparkError, ValueError):
    """A value in a stack file, role, recipe or job spec is refused."""


class NoCredentials(ConfigError):
    """There are no credentials for a cloud on this machine, not even wrong ones."""


class StackError(CaffeSparkError):
    """The Pulumi stack is missing, not up, or exports no usable `cluster`."""


class Unreachable(CaffeSparkError, ConnectionError):
    """A node does not answer on SSH, or answers with another host key."""


class CommandFailed(CaffeSparkError):
    """A command on a node ended with a non-zero status; `exit_code` and `output` are kept."""

    def __init__(self, given: str, why: str, fix: str, *, exit_code: int = 1, output: str = "") -> None:
        super().__init__(given, why, fix)
        self.exit_code, self.output = exit_code, output


class StepFailed(CaffeSparkError):
    """A step of a role failed on one or more nodes; the others have finished theirs."""


class ServiceDown(CaffeSparkError):
    """A service that the command needs is not usable."""


class IntegrityError(CaffeSparkError, ValueError):
    """Bytes do not have the sha256 that was pinned or recorded for them."""


class BuildError(CaffeSparkError):
    """The framework did not compile."""


class JobError(CaffeSparkError):
    """A job was refused, failed or was killed."""

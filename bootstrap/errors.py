"""Expected failures: the given input, the cause, and the next command.

    CaffeSparkError
    ├── ConfigError          a value in a stack file, role, recipe or job spec
    │   └── NoCredentials    no credentials for that cloud on this machine
    ├── StackError           the Pulumi stack: missing, not up, without `cluster` output
    ├── Unreachable          a node does not answer, or shows another host key
    ├── CommandFailed        a command on a node ended with a non-zero status
    ├── StepFailed           a role's step failed on one or more nodes
    ├── ServiceDown          a service (HDFS, Spark, Azurite …) cannot be used
    ├── IntegrityError       a sha256 does not match
    ├── BuildError           the framework did not compile
    └── JobError             a job was refused, failed or was killed
        └── JobRefused       its own program refused it, before it did anything

Commands print these as one line and exit 1. Every other exception is a bug and keeps its traceback.
"""

from __future__ import annotations


class CaffeSparkError(Exception):
    """Base of every failure that a user can act on.

    `given` is the input, `why` the cause, `fix` the next command.
    """

    def __init__(self, given: str, why: str, fix: str) -> None:
        self.given, self.why, self.fix = given, why, fix
        super().__init__(given, why, fix)

    def __str__(self) -> str:
        return f"{self.given}: {self.why.rstrip('.')}. {self.fix}"


class ConfigError(CaffeSparkError, ValueError):
    """Invalid value in a stack file, role, recipe or job spec."""


class NoCredentials(ConfigError):
    """No credentials for a cloud on this machine, not even invalid ones."""


class StackError(CaffeSparkError):
    """Pulumi stack that is missing, not up, or exports no valid `cluster`."""


class Unreachable(CaffeSparkError, ConnectionError):
    """Node that does not answer SSH, or shows another host key."""


class CommandFailed(CaffeSparkError):
    """Command on a node with a non-zero exit status; keeps `exit_code` and `output`."""

    def __init__(self, given: str, why: str, fix: str, *, exit_code: int = 1, output: str = "") -> None:
        super().__init__(given, why, fix)
        self.exit_code, self.output = exit_code, output


class StepFailed(CaffeSparkError):
    """Role step that failed on one or more nodes; the other nodes have finished it."""


class ServiceDown(CaffeSparkError):
    """Required service that cannot be used."""


class IntegrityError(CaffeSparkError, ValueError):
    """Mismatch between data and its pinned or recorded sha256."""


class BuildError(CaffeSparkError):
    """Failed compilation of the framework."""


class JobError(CaffeSparkError):
    """Job that was refused, failed or was killed."""


class JobRefused(JobError):
    """Job that its own program has refused: it has done nothing."""

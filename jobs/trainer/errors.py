"""Exceptions of the trainer that a user can act on: a code of `contract.failures` with its fields."""

from __future__ import annotations

from typing import Any, Tuple

from jobs.trainer.contract import FAILED, REFUSED, failures


class TrainerError(Exception):
    """A failure that prints as one line; the job exits with `exit_code`.

    Counterpart of CaffeSparkError, which is not shipped to the nodes.
    """

    exit_code = FAILED

    def __init__(self, code: str, **fields: Any) -> None:  # noqa: ANN401 - any JSON value
        self.code, self.fields = code, fields
        self.given, self.why, self.fix = failures.words(code, fields)
        super().__init__(code)

    def __reduce__(self) -> Tuple[Any, ...]:
        return _restore, (type(self), self.code, self.fields)

    def __str__(self) -> str:
        return failures.sentence((self.given, self.why, self.fix))


class Refused(TrainerError):
    """The command line, a prototxt or the data cannot be run; nothing has been changed."""

    exit_code = REFUSED


def _restore(kind: Any, code: str, fields: Any) -> TrainerError:  # noqa: ANN401
    error: TrainerError = kind(code, **fields)
    return error

"""Exceptions of the trainer that a user can act on: a code of `contract.failures` with its fields."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Iterator, List, Tuple

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


def reason_of(error: Exception) -> str:
    """Return the reason of an error alone, without its input and its fix."""
    if isinstance(error, TrainerError):
        return str(error.fields.get("reason") or error.why)
    return "{}: {}".format(type(error).__name__, error)


def _restore(kind: Any, code: str, fields: Any) -> TrainerError:  # noqa: ANN401
    error: TrainerError = kind(code, **fields)
    return error


class Refusals:
    """Faults of one input, collected so that a single error names all of them."""

    def __init__(self, subject: str) -> None:
        self._subject = subject
        self._found: List[Refused] = []

    def refuse(self, code: str, **fields: Any) -> None:  # noqa: ANN401 - any JSON value
        """Add a fault."""
        self._add(Refused(code, **fields))

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Add a `Refused` that ends this block, and go on after the block."""
        try:
            yield
        except Refused as error:
            self._add(error)

    def _add(self, error: Refused) -> None:
        # A net of both phases has its faults in both.
        if str(error) not in map(str, self._found):
            self._found.append(error)

    def end(self) -> None:
        """Raise what was found.

        Raises:
            Refused: the only fault, or one error with all of them.
        """
        if len(self._found) == 1:
            raise self._found[0]
        if self._found:
            faults = " ".join("({}) {}".format(index, one) for index, one in enumerate(self._found, start=1))
            raise Refused("several-faults", subject=self._subject, count=len(self._found), faults=faults)

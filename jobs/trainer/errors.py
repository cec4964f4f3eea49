"""The one kind of failure that a user can act on."""

from __future__ import annotations


class TrainerError(Exception):
    """What was given; why it fails; what to do. Prints as one line, and the job exits with `exit_code`.

    The project's own exceptions stay behind on the operator's machine, so this is their double here.
    """

    exit_code = 1

    def __init__(self, given: str, why: str, fix: str) -> None:
        self.given, self.why, self.fix = given, why, fix
        super().__init__(given, why, fix)

    def __str__(self) -> str:
        return " ".join("{}: {}. {}".format(self.given, self.why.rstrip("."), self.fix).split())


class Refused(TrainerError):
    """The command line, a prototxt or the data cannot be run; nothing has been changed."""

    exit_code = 2

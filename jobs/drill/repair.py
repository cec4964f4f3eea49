"""Repair of a local stack by its own commands, which make and provision the nodes that are gone."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bootstrap.errors import CommandFailed

LIMIT: Final = 2700.0
"""Seconds for a command."""


@dataclass(frozen=True)
class Repair:
    """Commands that make and provision nodes of a local stack that are gone."""

    stack: str
    folder: Path
    """Folder of Pulumi.yaml."""
    env: Mapping[str, str]

    def run(self, log: Path) -> None:
        """Run them; append their output to `log`.

        Raises:
            CommandFailed: one of them failed.
        """
        stack = ("--stack", self.stack)
        self._one(("pulumi", "up", "--yes", "--skip-preview", "--non-interactive", *stack), log)
        self._one(("fab", "build-headnode", *stack), log)

    def _one(self, command: Sequence[str], log: Path) -> None:
        given = " ".join(command)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as file:
            file.write(f"$ {given}\n".encode())
            file.flush()
            try:
                # In a session of its own: Ctrl-C ends the drill, which then waits for the replacement.
                done = subprocess.run(
                    command,
                    cwd=self.folder,
                    env=dict(self.env),
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    timeout=LIMIT,
                    check=False,
                    start_new_session=True,
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                raise CommandFailed(given, str(error), f"Run it again; its output: {log}") from error
        if done.returncode != 0:
            why = f"it ended with status {done.returncode}"
            raise CommandFailed(given, why, f"Run it again; its output: {log}", exit_code=done.returncode)

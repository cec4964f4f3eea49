"""Nodes of a local stack as containers, which are killed or cut off from outside."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bootstrap.errors import CommandFailed, ConfigError

ENGINES: Final = ("podman", "docker")
LIMIT: Final = 120.0
"""Seconds; a busy machine takes ten for what usually takes a tenth of one."""
LINKS: Final = Path("/sys/class/net")
"""This machine's network links, each with its number in `ifindex`."""
_PEER: Final = "/sys/class/net/eth0/iflink"
"""In a container: the number of the link at this machine's end."""


@dataclass(frozen=True)
class Containers:
    """Containers of a stack, by the engine that runs them; their names are `infra.tags.full_name`'s."""

    stack: str
    engine: str
    _cut: dict[str, str] = field(default_factory=dict, compare=False)
    """Links that are down, by node."""

    @classmethod
    def of(cls, stack: str, head: str) -> Containers:
        """Find the engine that runs the stack's head.

        Raises:
            ConfigError: none does.
        """
        for engine in filter(shutil.which, ENGINES):
            found = cls(stack, engine)
            try:
                found.run("container", "inspect", "--format", "{{.Id}}", found.name(head))
            except CommandFailed:
                continue
            return found
        raise ConfigError(
            f"stack {stack!r}",
            f"no container {cls(stack, '').name(head)} runs on this machine",
            f"Run `pulumi up --stack {stack}` on the machine that has the stack.",
        )

    def name(self, node: str) -> str:
        """Return the name of a node's container."""
        return f"caffe-spark-{self.stack}-{node}"

    def run(self, *arguments: str) -> str:
        """Run a command of the engine as root; return its output.

        Raises:
            CommandFailed: it failed, or took longer than `LIMIT` seconds.
        """
        return run_as_root((self.engine, *arguments))

    def kill(self, node: str) -> None:
        """Kill all processes of a node at once, as a loss of power does."""
        self.run("kill", "--signal", "KILL", self.name(node))

    def cut(self, node: str) -> None:
        """Take down the node's link: nothing reaches it or leaves it, and no end is told.

        Raises:
            CommandFailed: this machine does not have the other end of its link.
        """
        number = self.run("exec", self.name(node), "cat", _PEER).strip()
        link = next((path.parent.name for path in LINKS.glob("*/ifindex") if _text(path) == number), "")
        if not link:
            why = "the other end of its network link is not on this machine"
            raise CommandFailed(self.name(node), why, "Run the drill with --no-notice.")
        run_as_root(("ip", "link", "set", "dev", link, "down"))
        self._cut[node] = link

    def heal(self, node: str) -> None:
        """Bring up a link that was cut; nothing happens where none was."""
        link = self._cut.get(node)
        if link is not None:
            run_as_root(("ip", "link", "set", "dev", link, "up"))
            del self._cut[node]

    def heal_all(self) -> None:
        """Bring up all links that are down."""
        for node in tuple(self._cut):
            self.heal(node)


def run_as_root(command: Sequence[str]) -> str:
    """Run a command as root, with `sudo -n` unless already root; return its output.

    Raises:
        CommandFailed: it failed, or took longer than `LIMIT` seconds.
    """
    prefix = () if os.geteuid() == 0 else ("sudo", "-n")
    given = " ".join(command[:3])
    try:
        done = subprocess.run(
            (*prefix, *command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
            cwd="/",
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CommandFailed(given, str(error), "Fix the cause above, then rerun the command.") from error
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        asks = "password is required" in said
        fix = "Run `sudo -v`, then rerun the command." if asks else "Look at the node with `podman ps -a`."
        raise CommandFailed(given, said, fix, exit_code=done.returncode, output=done.stderr)
    return done.stdout


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:  # it has gone
        return ""

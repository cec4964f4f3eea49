"""Facts of a node and the guards that hold on it, read in one round trip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bootstrap.engine.command import Command
from bootstrap.engine.operations.shell import quote
from bootstrap.engine.script import ENVIRONMENT
from bootstrap.errors import Unreachable
from bootstrap.ssh.remote import Remote

GUARD_TIMEOUT = 20
"""Seconds; a guard that takes longer counts as not holding."""
_FACT = "@fact"
_TAG = "END_OF_FACTS"
_LATE = ("124", "137")
"""Exit statuses of `timeout`: what ran was ended, or killed."""


@dataclass(frozen=True)
class Facts:
    """Distribution (`debian-12`), architecture (`amd64`), disk and memory in MiB, guards that held."""

    distribution: str
    arch: str
    disk_free_mb: int
    memory_mb: int
    held: tuple[bool, ...]


def script(commands: Sequence[Command]) -> str:
    """Return a script without side effects that prints the facts; guards run in parallel."""
    lines = [
        ENVIRONMENT,
        f'( . /etc/os-release; echo "{_FACT} distribution $ID-$VERSION_ID" )',
        f'echo "{_FACT} arch $(dpkg --print-architecture)"',
        f"echo \"{_FACT} disk_free_mb $(df -Pm / | awk 'NR == 2 {{ print $4 }}')\"",
        f"echo \"{_FACT} memory_mb $(awk '/^MemTotal/ {{ print int($2 / 1024) }}' /proc/meminfo)\"",
    ]
    for index, command in enumerate(commands):
        # `eval`: a guard that is not valid shell fails alone.
        guard = f"( set -eu; eval {quote(command.guard)} ) </dev/null >/dev/null 2>&1"
        lines.append(f'{{ {guard}; echo "{_FACT} guard {index} $?"; }} &')
    # They begin at the same time, so one limit is the limit of each: a `timeout` and a shell for every guard
    # would take as long as the guards.
    limited = f"timeout -k 2 {GUARD_TIMEOUT:g} sh -s <<'{_TAG}'"
    return "\n".join([limited, *lines, "wait", _TAG, f'echo "{_FACT} status $?"', ""])


def parse(output: str, count: int) -> Facts:
    """Parse the output of `script` for `count` commands.

    Raises:
        ValueError: a fact is missing.
    """
    facts: dict[str, str] = {}
    held: dict[int, bool] = {}
    late = False
    for line in output.splitlines():
        match line.split():
            case [tag, "guard", index, status] if tag == _FACT:
                held[int(index)] = status == "0"
            case [tag, "status", status] if tag == _FACT and status in _LATE:
                late = True
            case [tag, name, value] if tag == _FACT:
                facts[name] = value
    missing = {"distribution", "arch", "disk_free_mb", "memory_mb"} - facts.keys()
    if late:
        held = {index: held.get(index, False) for index in range(count)}
    if missing or held.keys() != set(range(count)):
        raise ValueError(f"missing: {sorted(missing)}, {count - len(held)} guards")
    return Facts(
        distribution=facts["distribution"],
        arch=facts["arch"],
        disk_free_mb=int(facts["disk_free_mb"]),
        memory_mb=int(facts["memory_mb"]),
        held=tuple(held[index] for index in range(count)),
    )


def read(remote: Remote, commands: Sequence[Command]) -> Facts:
    """Read the facts of a node, and which of these commands' guards hold on it.

    Raises:
        Unreachable: the connection broke, or the node's system is not one that roles support.
    """
    result = remote.run(script(commands), check=False, timeout=GUARD_TIMEOUT * 2 + 10)
    try:
        return parse(result.stdout, len(commands))
    except ValueError as error:
        raise Unreachable(
            f"{remote.node.name} ({remote.node.address})",
            f"its facts cannot be read ({error}): {result.tail or 'no output'}",
            "Log in and check: nodes run Debian or Ubuntu, with sudo that asks for no password.",
        ) from error

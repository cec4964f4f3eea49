"""Lanes of a node: the steps of each role, which run beside those of roles that it does not require."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bootstrap.engine.command import Command
from bootstrap.engine.plan import first_pending
from bootstrap.engine.role import Role


@dataclass(frozen=True)
class Lane:
    """Steps of one role on one node, in their order."""

    role: str
    after: tuple[str, ...]
    """Roles that have to be through before: all that it requires, with steps on this node."""
    commands: tuple[Command, ...]
    first: int
    """Index of the first command to run; those before it hold, and so do the roles in `after`."""

    @property
    def pending(self) -> bool:
        """True if there is a command to run."""
        return self.first < len(self.commands)


def lanes(
    commands: Sequence[Command],
    roles: Sequence[Role],
    held: Sequence[bool],
    unsettled: Iterable[bool] = (),
) -> list[Lane]:
    """Return the lanes of a node's commands, each after those in its `after`. Pure.

    What a role builds on may change: its steps are all looked at again when a required role has one to run.

    Args:
        commands: the node's commands, as `bootstrap.engine.plan` orders them.
        roles: the roles of the plan, each after those that it requires.
        held: whether each command's guard held.
        unsettled: whether what each command needs of the head may still change.
    """
    doubts = list(unsettled) or [False] * len(commands)
    required = _closure(roles)
    found: dict[str, Lane] = {}
    for role in roles:
        own = [number for number, command in enumerate(commands) if command.role == role.name]
        if not own:
            continue
        after = tuple(name for name in found if name in required[role.name])
        mine = tuple(commands[number] for number in own)
        first = 0
        if not any(found[name].pending for name in after):
            first = first_pending(mine, (held[n] for n in own), (doubts[n] for n in own))
        found[role.name] = Lane(role.name, after, mine, first)
    return list(found.values())


def _closure(roles: Sequence[Role]) -> Mapping[str, frozenset[str]]:
    required: dict[str, frozenset[str]] = {}
    for role in roles:  # each comes after those that it requires
        required[role.name] = frozenset(role.requires).union(
            *(required.get(name, frozenset()) for name in role.requires)
        )
    return required

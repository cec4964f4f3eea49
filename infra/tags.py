"""Names and labels of everything that a stack makes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

PROJECT: Final = "caffe-spark"
HEAD: Final = "head"

_MANAGER: Final = "pulumi"

_PROJECT_LABEL: Final = "caffe-spark.project"
_STACK_LABEL: Final = "caffe-spark.stack"
_HOME_LABEL: Final = "caffe-spark.home"


def full_name(stack: str, part: str = "") -> str:
    """What the engine calls a thing of this stack: `caffe-spark-dev`, `caffe-spark-dev-w1`."""
    return "-".join(filter(None, (PROJECT, stack, part)))


def worker_names(count: int) -> list[str]:
    """Host names of the workers; a name never moves to another worker when their number changes."""
    return [f"w{number}" for number in range(1, count + 1)]


def labels(stack: str, home: str) -> dict[str, str]:
    """Labels of everything the stack makes.

    `home` is the program's folder: two clones of the project may both have a stack `dev`, and neither
    may take the other's containers for its own.
    """
    return {_PROJECT_LABEL: PROJECT, _STACK_LABEL: stack, _HOME_LABEL: home}


def aws_tags(stack: str) -> dict[str, str]:
    """Tags of everything the stack makes on AWS, by which `fab sweep` finds what is left."""
    return {"Project": PROJECT, "Stack": stack, "ManagedBy": _MANAGER}


def azure_tags(stack: str, further: Mapping[str, str]) -> dict[str, str]:
    """Tags of everything the stack makes on Azure; `further` are the operator's."""
    return {**further, **aws_tags(stack)}


def owner(found: dict[str, str]) -> str:
    """In words, whose thing carries these labels."""
    if found.get(_PROJECT_LABEL) != PROJECT:
        return "something else"
    return f"stack {found.get(_STACK_LABEL)!r} of {found.get(_HOME_LABEL)}"


def is_ours(found: dict[str, str], ours: dict[str, str]) -> bool:
    """True when a thing with labels `found` was made by the stack whose labels are `ours`."""
    return all(found.get(key) == value for key, value in ours.items())

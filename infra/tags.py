"""Names and labels of everything that a stack makes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

PROJECT: Final = "caffe-spark"
HEAD: Final = "head"

PROJECT_TAG: Final = "Project"
STACK_TAG: Final = "Stack"
_MANAGER_TAG: Final = "ManagedBy"
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


def cloud_tags(stack: str) -> dict[str, str]:
    """Tags of everything the stack makes in a cloud, by which `fab sweep` finds what is left."""
    return {PROJECT_TAG: PROJECT, STACK_TAG: stack, _MANAGER_TAG: _MANAGER}


def azure_tags(stack: str, further: Mapping[str, str]) -> dict[str, str]:
    """Tags of everything the stack makes on Azure; `further` are the operator's."""
    return {**further, **cloud_tags(stack)}


def of_azure(found: Mapping[str, str] | None) -> dict[str, str]:
    """Tags as Azure answers, ours under the names that we gave them.

    Azure tells names apart without regard to case, and changes it here and there.
    """
    ours = {name.lower(): name for name in cloud_tags("")}
    return {ours.get(name.lower(), name): value for name, value in (found or {}).items()}


def is_projects(found: Mapping[str, str], stack: str | None) -> bool:
    """Whether these are tags of the project, and of the stack where one is named."""
    return found.get(PROJECT_TAG) == PROJECT and stack in (None, found.get(STACK_TAG))


def owner(found: dict[str, str]) -> str:
    """In words, whose thing carries these labels."""
    if found.get(_PROJECT_LABEL) != PROJECT:
        return "something else"
    return f"stack {found.get(_STACK_LABEL)!r} of {found.get(_HOME_LABEL)}"


def is_ours(found: Mapping[str, str], ours: Mapping[str, str]) -> bool:
    """True when a thing with labels or tags `found` was made by the stack that gives it `ours`."""
    return all(found.get(key) == value for key, value in ours.items())

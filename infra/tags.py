"""Names, labels and tags of a stack's resources. Pure."""

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
    """Return the container engine's name of a resource: `caffe-spark-dev`, `caffe-spark-dev-w1`."""
    return "-".join(filter(None, (PROJECT, stack, part)))


def worker_names(count: int) -> list[str]:
    """Return the workers' host names; a worker keeps its name when the number of workers changes."""
    return [f"w{number}" for number in range(1, count + 1)]


def labels(stack: str, home: str) -> dict[str, str]:
    """Return the labels of a local stack's containers and networks.

    `home` is the program's folder: two clones of the project may both have a stack `dev`, and must not take
    each other's containers for their own.
    """
    return {_PROJECT_LABEL: PROJECT, _STACK_LABEL: stack, _HOME_LABEL: home}


def stack_of(found: Mapping[str, str]) -> str:
    """Return the name of the stack with these labels."""
    return found[_STACK_LABEL]


def cloud_tags(stack: str) -> dict[str, str]:
    """Return the tags of a stack's cloud resources, by which `fab sweep` finds leftovers."""
    return {PROJECT_TAG: PROJECT, STACK_TAG: stack, _MANAGER_TAG: _MANAGER}


def aws_tags(stack: str, further: Mapping[str, str]) -> dict[str, str]:
    """Return the tags of a stack's resources on AWS; `further` are the operator's."""
    return {**further, **cloud_tags(stack)}


def azure_tags(stack: str, further: Mapping[str, str]) -> dict[str, str]:
    """Return the tags of a stack's resources on Azure; `further` are the operator's."""
    return {**further, **cloud_tags(stack)}


def of_azure(found: Mapping[str, str] | None) -> dict[str, str]:
    """Normalize tags that Azure returns: the project's own get their original spelling.

    Azure compares tag names without regard to case, and sometimes changes their case.
    """
    ours = {name.lower(): name for name in cloud_tags("")}
    return {ours.get(name.lower(), name): value for name, value in (found or {}).items()}


def is_projects(found: Mapping[str, str], stack: str | None) -> bool:
    """Return whether these tags are the project's, and those of `stack` if given."""
    return found.get(PROJECT_TAG) == PROJECT and stack in (None, found.get(STACK_TAG))


def owner(found: dict[str, str]) -> str:
    """Describe the owner of a container or network by its labels."""
    if found.get(_PROJECT_LABEL) != PROJECT:
        return "something else"
    return f"stack {found.get(_STACK_LABEL)!r} of {found.get(_HOME_LABEL)}"


def is_ours(found: Mapping[str, str], ours: Mapping[str, str]) -> bool:
    """Return whether a resource with labels or tags `found` belongs to the stack with labels or tags
    `ours`."""
    return all(found.get(key) == value for key, value in ours.items())

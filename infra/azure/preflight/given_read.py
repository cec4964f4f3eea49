"""Reads of resources that a stack is given, which a login need not have the right to read."""

from __future__ import annotations

from bootstrap.clouds import azure
from infra.azure.arm import Document
from infra.azure.preflight.cloud import Cloud
from infra.preflight.finding import Finding


def read(
    cloud: Cloud, id_: str, version: str, *, name: str, what: str, stack: str, fix: str = ""
) -> Document | Finding:
    """Return a resource, or the finding of the check `name`: it does not exist, or may not be read.

    Raises:
        ServiceDown: Azure does not answer.
    """
    try:
        with azure.translate_errors(f"reading {what}", stack):
            found = cloud.arm.find(id_, version)
    except azure.Denied as error:
        return Finding(name, "skipped", f"{what} {id_} cannot be read: {error.why}", error.fix)
    if found is None:
        missing = f"there is no {what} {id_}, or this login does not see it"
        return Finding(name, "failed", missing, fix or "Correct its id in the stack file.")
    return found

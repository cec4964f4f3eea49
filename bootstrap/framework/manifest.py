"""Manifest of an artefact: its inputs, its build, and the packages that it needs."""

from __future__ import annotations

import getpass
import re
import socket
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator

from bootstrap.engine.operations.packages import PACKAGE
from bootstrap.errors import IntegrityError
from bootstrap.model import Model, first_fault

PackageName = Annotated[str, Field(pattern=f"^{PACKAGE.pattern}$")]
DISTRIBUTION = re.compile(r"[a-z0-9][a-z0-9._-]*")

ARCHIVE = "caffe.tar.gz"
MANIFEST = "manifest.json"


class Built(Model):
    """Record of a build; `phases` has the seconds of each step that changed something."""

    by: str
    host: str
    project: str
    at: datetime
    cores: int = Field(ge=1)
    seconds: float = Field(ge=0)
    phases: dict[str, float] = Field(default={})


class Manifest(Model):
    """Manifest, version 1; sizes in bytes."""

    version: Literal[1] = 1
    key: str = Field(pattern=r"^[0-9a-f]{20}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=1)
    unpacked: int = Field(ge=1)
    packages: list[PackageName]
    """Packages that a node needs: owners of the native libraries, and those of Python."""
    inputs: dict[str, Any]
    """Inputs of the key; `distribution` is always one of them."""
    built: Built

    @field_validator("inputs")
    @classmethod
    def _distribution(cls, inputs: dict[str, Any]) -> dict[str, Any]:
        if not DISTRIBUTION.fullmatch(str(inputs.get("distribution", ""))):
            raise ValueError("distribution: it is not a valid ID-VERSION, such as debian-12")
        return inputs

    def to_bytes(self) -> bytes:
        """Return the content of the file."""
        return (self.model_dump_json(indent=1) + "\n").encode()

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> Manifest:
        """Read a manifest; `where` names it in errors.

        Raises:
            IntegrityError: it is not a valid manifest of this version.
        """
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            field, reason = first_fault(error)
            raise IntegrityError(
                where,
                f"it is not a valid manifest of version 1 ({field or 'whole'}: {reason})",
                "Run `fab build-headnode`.",
            ) from error


def built_now(host: str, cores: int, phases: dict[str, float]) -> Built:
    """Return the record of a build that has just ended, with this operator's name."""
    try:
        project = version("caffe-spark")
    except PackageNotFoundError:
        project = "unknown"
    return Built(
        by=f"{_user()}@{socket.gethostname()}",
        host=host,
        project=project,
        at=datetime.now(timezone.utc).replace(microsecond=0),
        cores=cores,
        seconds=round(sum(phases.values()), 1),
        phases=phases,
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name
        return "unknown"

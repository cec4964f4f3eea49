"""What to run and how big: job specifications, read from YAML."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    model_validator,
)

from bootstrap.errors import ConfigError

_UNITS = {"MIB": 1, "MB": 1, "M": 1, "GIB": 1024, "GB": 1024, "G": 1024}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)")
LEAST_MEMORY_MB = 1024
"""Half of it is the JVM's heap, and Spark does not start below 450 MiB."""


def _megabytes(value: Any) -> int:  # noqa: ANN401 - whatever YAML gives
    match = _SIZE.fullmatch(str(value).strip())
    unit = _UNITS.get(match[2].upper()) if match else None
    if match is None or unit is None:
        raise ValueError(f"{value!r} is no size, write it like 1 GiB or 1536 MiB")
    return round(float(match[1]) * unit)


def _blob(name: str) -> str:
    if not re.fullmatch(r"[^\s,]+", name):
        raise ValueError(f"{name!r} is no blob name: no spaces, no commas")
    return name


Megabytes = Annotated[
    int,
    BeforeValidator(_megabytes),
    PlainSerializer(lambda megabytes: f"{megabytes} MiB"),
    Field(ge=LEAST_MEMORY_MB),
]
Blob = Annotated[str, BeforeValidator(_blob)]


class JobSpec(BaseModel):
    """A training job. Paths in the file are relative to the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")
    solver: Path
    net: Path
    files: tuple[Path, ...] = ()
    """More files that the prototxts name, such as a mean file."""
    data: Literal["mnist"] | None = None
    """A data set that is brought into shared storage first; none: the prototxt's sources are there."""

    executors: int = Field(ge=1)
    cores: int = Field(ge=1, default=1)
    """Of each executor."""
    threads: int = Field(ge=1, default=1)
    """Of BLAS in each executor."""
    devices: int = Field(ge=1, default=1)
    memory: Megabytes = 1024
    """MiB of each executor: half for its JVM, half for Caffe."""

    train: bool = True
    test: bool = True
    """Write the means over the TEST source."""
    features: tuple[Blob, ...] = ()
    label: str = ""
    batch: int | None = Field(ge=1, default=None)
    """Of each executor while training; none: the net's."""
    max_iter: int | None = Field(ge=1, default=None)
    """None: the solver's."""
    weights: str = ""
    """URI of a .caffemodel to start from."""
    snapshot: str = ""
    """URI of a .solverstate to go on from; needs `weights`."""
    model: str = ""
    """URI of the trained model; none: in the job's own folder of shared storage."""

    transport: Literal["ethernet", "none"] = "ethernet"
    """`none`: executors train alone. Only to measure what communication costs: their weights differ."""
    timeout: float = Field(gt=0, default=120)
    """Seconds after which a silent executor counts as lost."""

    @model_validator(mode="after")
    def _possible(self) -> JobSpec:
        if self.threads > self.cores:
            raise ValueError(f"threads: {self.threads} BLAS threads do not fit {self.cores} cores")
        if self.devices > 1:
            raise ValueError(f"devices: {self.devices}, and CPU mode has a single device; give 1")
        if not (self.train or self.test or self.features):
            raise ValueError("nothing to do: set train, test, or features")
        if self.label and not self.features:
            raise ValueError("label: it adds a column to features; give features, or neither")
        if self.snapshot and not self.weights:
            raise ValueError("snapshot: it needs `weights`, the .caffemodel written beside it")
        if (self.snapshot or self.weights) and not self.train:
            raise ValueError("weights, snapshot: they are where training starts; name `model` to score one")
        if not self.train and not self.model:
            raise ValueError("model: without training, name the model to score")
        return self

    @classmethod
    def from_file(cls, path: Path) -> JobSpec:
        """Read a specification.

        Raises:
            ConfigError: the file is missing, is not YAML, has unknown keys or impossible values, or names
                files that are not there.
        """
        try:
            document = yaml.safe_load(path.read_text())
        except OSError as error:
            raise ConfigError(str(path), f"it cannot be read ({error.strerror})", "Mend the path.") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            said = " ".join(str(error).split())
            raise ConfigError(str(path), f"it is not YAML: {said}", "Mend the file.") from error
        if not isinstance(document, dict):
            raise ConfigError(str(path), "it holds no keys", "See jobs/specs/mnist.yaml.")
        return cls._read(path, document)

    @classmethod
    def _read(cls, path: Path, document: dict[str, Any]) -> JobSpec:
        try:
            spec = cls.model_validate(document)
        except ValidationError as error:
            raise ConfigError(str(path), _first(error), "Mend the file.") from error
        folder = path.resolve().parent
        found = spec.model_copy(
            update={
                "solver": folder / spec.solver,
                "net": folder / spec.net,
                "files": tuple(folder / file for file in spec.files),
            }
        )
        for file in found.shipped:
            if not file.is_file():
                raise ConfigError(str(path), f"it names {file}, which is not there", "Mend the path.")
        names = [file.name for file in found.shipped]
        if len(set(names)) < len(names):
            raise ConfigError(str(path), f"two files have one name: {', '.join(names)}", "Rename one.")
        return found

    @property
    def shipped(self) -> tuple[Path, ...]:
        """Files that travel with the job; they lie side by side on the nodes."""
        return (self.solver, self.net, *self.files)

    def with_overrides(self, *, executors: int | None = None, iterations: int | None = None) -> JobSpec:
        """A copy with values given on the command line.

        Raises:
            ConfigError: one is impossible.
        """
        given = {"executors": executors, "max_iter": iterations}
        changed = {name: value for name, value in given.items() if value is not None}
        try:
            return type(self).model_validate({**self.model_dump(), **changed})
        except ValidationError as error:
            raise ConfigError("the command line", _first(error), "Give another value.") from error


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    words = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        words = f"there is no such key; there are: {', '.join(JobSpec.model_fields)}"
    elif where:
        words = f"{words} (given: {first['input']!r})"
    return f"{where}: {words}" if where else words

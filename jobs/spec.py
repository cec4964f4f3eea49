"""Job specifications: the training job and its resources, and which values go together."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    model_validator,
)

from bootstrap import durations
from bootstrap.errors import ConfigError
from bootstrap.model import first_fault
from jobs.datasets import registry

_UNITS = {"MIB": 1, "MB": 1, "M": 1, "GIB": 1024, "GB": 1024, "G": 1024}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)")
INT32_MAX = 2**31 - 1
"""Largest int32, which prototxts hold."""
LEAST_MEMORY_MB = 1024
"""Half of it is the JVM heap, and Spark does not start with less than 450 MiB."""


def _megabytes(value: Any) -> int:  # noqa: ANN401 - any YAML value
    match = _SIZE.fullmatch(str(value).strip())
    unit = _UNITS.get(match[2].upper()) if match else None
    if match is None or unit is None:
        raise ValueError(f"{value!r} is not a valid size; write it like 1 GiB or 1536 MiB")
    return round(float(match[1]) * unit)


def _duration(value: Any) -> float | None:  # noqa: ANN401 - any YAML value
    """Return seconds; 0 for `none` (and for YAML's `off`, which is False)."""
    if value is None or (isinstance(value, float) and value >= 0):  # as a record has it
        return value
    if value is False or value == "none":
        return 0.0
    seconds = durations.seconds(str(value))
    if seconds is None:
        raise ValueError(f"{value!r} is not a valid duration; write it like 30 s, 15 min or 2 h")
    return float(seconds)


def _blob(name: str) -> str:
    if not re.fullmatch(r"[^\s,]+", name):
        raise ValueError(f"{name!r} is not a valid blob name: it has a space or a comma")
    return name


def _lower(value: Any) -> Any:  # noqa: ANN401 - any YAML value
    return value.lower() if isinstance(value, str) else value


def _data(value: Any) -> Any:  # noqa: ANN401 - any YAML value
    if isinstance(value, str) and value != "none" and (why := registry.fault(value)):
        raise ValueError(why)
    return None if value == "none" else value


Megabytes = Annotated[
    int,
    BeforeValidator(_megabytes),
    PlainSerializer(lambda megabytes: f"{megabytes} MiB"),
    Field(ge=LEAST_MEMORY_MB),
]
Duration = Annotated[float, BeforeValidator(_duration), Field(ge=0, le=INT32_MAX, allow_inf_nan=False)]
"""Seconds, written with their unit."""
Blob = Annotated[str, BeforeValidator(_blob)]


class JobSpec(BaseModel):
    """A training job."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")
    solver: Path
    net: Path
    files: tuple[Path, ...] = ()
    """Other files that the prototxts refer to, such as a mean file."""
    script: Path | None = None
    """Python program that runs instead of the trainer, on its Python API."""
    arguments: tuple[str, ...] = ()
    """Further words of the script's `sys.argv`, after the options."""
    data: Annotated[str | None, BeforeValidator(_data)] = None
    """Data set in shared storage: a built-in one is prepared first, and is the net's source; one of
    `fab data put` has to be whole. None or `none`: the net's sources exist already."""

    executors: int = Field(ge=1, le=INT32_MAX)
    cores: int = Field(ge=1, default=1)
    """Cores of each executor."""
    threads: int = Field(ge=1, default=1)
    """BLAS threads of each executor."""
    devices: int = Field(ge=1, default=1)
    """GPUs of each executor, which has a rank for each; 1 on CPUs."""
    solver_mode: Literal["auto", "CPU", "GPU"] | None = None
    """`auto`: GPU on workers that have GPUs, else CPU; None: the solver's."""
    memory: Megabytes = 1024
    """Memory of each executor in MiB: half for its JVM, half for Caffe."""

    train: bool = True
    test: bool = True
    """Write the means over the TEST source."""
    features: tuple[Blob, ...] = ()
    label: str = ""
    batch: int | None = Field(ge=1, le=INT32_MAX, default=None)
    """Training batch of each executor; None: the net's."""
    max_iter: int | None = Field(ge=1, le=INT32_MAX, default=None)
    """Iterations; None: the solver's."""
    final_validation: bool = False
    """Validate after the last iteration too, in a net with interleaved validation."""
    weights: str = ""
    """URI of a .caffemodel to start from."""
    snapshot: str = ""
    """URI of a .solverstate to resume from; needs `weights`."""
    model: str = ""
    """URI of the trained model; empty: in the job's folder of shared storage."""
    output: str = ""
    """URI of features and means, not fetched from there; empty: in the job's folder of shared storage."""
    outputFormat: Annotated[Literal["json", "parquet"], BeforeValidator(_lower)] = "json"
    """Format of features and of the table of validations."""
    connection: Annotated[str, BeforeValidator(_lower)] = "ethernet"
    persistent: bool = False
    """Without effect, as `lmdb_partitions`; the job says so."""
    lmdb_partitions: int | None = Field(ge=1, le=INT32_MAX, default=None)
    resize: bool = False
    """Resize images to the height and width of the data layer."""

    transport: Literal["ethernet", "none"] = "ethernet"
    """`none`: executors train independently, to measure the cost of communication; their weights differ."""
    gradients: Literal["float32", "float16"] = "float32"
    """Gradients on their way between executors: as they are, or in half the bytes, of 11 significant bits."""
    timeout: float = Field(gt=0, allow_inf_nan=False, default=120)
    """Seconds without a message after which an executor counts as lost."""

    onWorkerLost: Literal["fail", "wait", "shrink"] = "shrink"
    """When training loses an executor: `fail` ends the job; `wait` waits until there are as many as before;
    `shrink` goes on with those that are left, and grows again. Both go on from the newest snapshot."""
    onDriverLost: Literal["fail", "restart"] = "fail"
    """When the driver is killed, or its node goes down: `fail` ends the job, which `fab resume` takes up;
    `restart` starts it again, and training goes on from the newest snapshot."""
    replacementLimit: Duration = 1200.0
    """Seconds to wait for executors, after which the job fails."""
    minExecutors: int = Field(ge=1, le=INT32_MAX, default=1)
    """Executors with which training goes on, at least."""
    snapshotEvery: Duration | None = None
    """Seconds between snapshots, beside the solver's own; 0: none. None: 30 where workers are spot instances,
    else 0."""

    @model_validator(mode="after")
    def _possible(self) -> JobSpec:
        if self.devices > 1 and self.solver_mode == "CPU":
            raise ValueError(f"devices: {self.devices}, and CPU mode has a single device; set it to 1")
        if self.cores % self.devices:
            raise ValueError(f"cores: {self.cores} are not a multiple of {self.devices} devices")
        if self.threads * self.devices > self.cores:
            of_each = f" of each of {self.devices} devices" if self.devices > 1 else ""
            raise ValueError(f"threads: {self.threads} BLAS threads{of_each} do not fit {self.cores} cores")
        if self.final_validation and not self.train:
            raise ValueError("final_validation: it is part of training; set train, or remove it")
        if not (self.train or self.test or self.features):
            raise ValueError("nothing to do: set train, test or features")
        if self.label and not self.features:
            raise ValueError("label: it adds a column to features; set features too, or neither")
        if self.minExecutors > self.executors:
            raise ValueError(f"minExecutors: {self.minExecutors}, and executors are {self.executors}")
        several = self.train and self.executors * self.devices > 1
        if self.connection != "ethernet" and several and self.solver_mode == "CPU":
            raise ValueError(f"connection: {self.connection}, and several executors need ethernet")
        if self.snapshot and not self.weights:
            raise ValueError("snapshot: it needs `weights`, the .caffemodel written beside it")
        if (self.snapshot or self.weights) and not self.train:
            raise ValueError(
                "weights, snapshot: they are the start of training; set `model` to score an existing model"
            )
        if not self.train and not self.model:
            raise ValueError("model: without training, set it to the model to score")
        return self

    @model_validator(mode="after")
    def _scripted(self) -> JobSpec:
        if self.arguments and self.script is None:
            raise ValueError("arguments: they are a script's; set script too, or neither")
        if self.script and self.onDriverLost == "restart":
            why = "a script would begin from its first line"
            raise ValueError(f"onDriverLost: restart: {why}; remove it, or resume the job by hand")
        if self.script and (why := self.blank()):
            raise ValueError(why)
        if "" in self.arguments:
            raise ValueError("arguments: one is empty")
        return self

    def blank(self) -> str:
        """Return why the options of a script or notebook cannot travel: a blank; empty if they can."""
        keys = ("model", "output", "weights", "snapshot", "label", "connection")
        words = [(key, getattr(self, key)) for key in keys] + [("solver", self.solver.name)]
        blanks = [f"{key}: {word!r} has a blank" for key, word in words if re.search(r"\s", word)]
        return f"{blanks[0]}, at which spark.pythonargs is split" if blanks else ""

    @property
    def fetched(self) -> bool:
        """True where features are JSON lines in the job's own folder, and come to the operator's machine."""
        own = self.outputFormat == "json" and not self.output and self.script is None
        return bool(self.features) and own

    @property
    def shipped(self) -> tuple[Path, ...]:
        """Files shipped with the job, all into one folder on each node; those of the data set come last."""
        given = (self.solver, self.net, *self.files, *((self.script,) if self.script else ()))
        return (*given, *registry.shipped(self.data))

    def with_overrides(self, *, executors: int | None = None, iterations: int | None = None) -> JobSpec:
        """Return a copy with values of the command line.

        Raises:
            ConfigError: a value is not valid.
        """
        flags = {"executors": ("--executors", executors), "max_iter": ("--iterations", iterations)}
        changed = {name: value for name, (_, value) in flags.items() if value is not None}
        try:
            return type(self).model_validate({**self.model_dump(), **changed})
        except ValidationError as error:
            given, why = "the command line", fault_of(error)
            if flag := flags.get(first_fault(error)[0]):
                given = f"{flag[0]} {flag[1]}"
                why = f"it is not a valid number: a whole one from 1 to {INT32_MAX:,}"
            raise ConfigError(given, why, "Give another value.") from error


def fault_of(error: ValidationError) -> str:
    """Return the first fault of a specification that is not valid, with the key and what it was given."""
    where, words = first_fault(error)
    first = error.errors()[0]
    if first["type"] == "extra_forbidden":
        words = f"there is no such key; valid keys: {', '.join(JobSpec.model_fields)}"
    elif where:
        words = f"{words} (given: {first['input']!r})"
    return f"{where}: {words}" if where else words

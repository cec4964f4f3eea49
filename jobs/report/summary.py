"""Summary of a job, from its features file and events; written as summary.json."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.table import Table

from bootstrap.errors import JobError
from bootstrap.others_json import json_object
from jobs.report.history import History
from jobs.spec import JobSpec
from jobs.trainer import contract
from jobs.trainer.contract import SAMPLE_ID


@dataclass(frozen=True)
class Summary:
    """A finished job. Accuracy and loss are means over every row of the features file."""

    job: str
    executors: int
    framework: str
    accuracy: float | None
    loss: float | None
    samples: int
    iterations: int
    images_per_s: float | None
    """Images of iterations that count, by `trained_seconds`."""
    model: str
    features: dict[str, list[float]]
    """The mean of each column of the features file, element by element; without the label."""
    means: dict[str, list[float]]
    """Means written by the trainer's -test."""
    validations: list[dict[str, Any]]
    seconds: dict[str, float]
    """Seconds by phase."""
    hosts: list[str] = field(default_factory=list)
    waited_seconds: dict[str, float] = field(default_factory=dict)
    """By rank: seconds of training spent waiting for other ranks."""
    trained_seconds: float = 0.0
    """Seconds of the iterations that count, without validation, waiting and start."""
    lost_seconds: float = 0.0
    """Seconds of iterations that were done again after a loss."""
    receipt: dict[str, Any] = field(default_factory=dict)
    """See `jobs.report.receipt.Receipt.document`."""

    def write(self, folder: Path) -> None:
        """Write summary.json, and means.txt if there are means."""
        folder.mkdir(parents=True, exist_ok=True)
        means = "".join(f"{name}: {','.join(map(repr, some))}\n" for name, some in self.means.items())
        if means:
            (folder / "means.txt").write_text(means)
        (folder / "summary.json").write_text(json.dumps(contract.jsonable(asdict(self)), indent=2) + "\n")

    def table(self) -> Table:
        """Return the table printed when the job has ended."""
        table = Table(title=f"job {self.job}", title_justify="left", show_header=False)
        table.add_column()
        # Fold long URIs of models instead of cutting them: people copy them.
        table.add_column(overflow="fold")
        rows = {
            "accuracy": "" if self.accuracy is None else f"{self.accuracy:.4f}",
            "loss": "" if self.loss is None else f"{self.loss:.4f}",
            "test samples": f"{self.samples:,}" if self.samples else "",
            "iterations": f"{self.iterations:,}" if self.iterations else "",
            "images/s": "" if self.images_per_s is None else f"{self.images_per_s:,.0f}{self._basis}",
            "executors": f"{self.executors} ({', '.join(self.hosts)})" if self.hosts else str(self.executors),
            "framework": self.framework,
            "model": self.model,
            "seconds": ", ".join(f"{name} {value:.1f}" for name, value in self.seconds.items()),
        }
        for name, value in rows.items():
            if value:
                table.add_row(name, value)
        return table

    @property
    def _basis(self) -> str:
        """What a speed is of, where some iterations were done again; else empty."""
        if not self.lost_seconds:
            return ""
        return f" ({self.trained_seconds:,.1f} s trained; {self.lost_seconds:,.1f} s lost, not counted)"


def summarise(job: str, spec: JobSpec, framework: str, features: Iterable[str], history: History) -> Summary:
    """Build the summary from the lines of the features file (JSON; may be empty) and the events.

    Raises:
        JobError: the features file has more or fewer rows than the source has records, or rows that differ in
            shape.
    """
    columns, samples = feature_means(features)
    _require_all(samples, history)
    trained = history.last(contract.Trained) or contract.Trained(model=spec.model)
    means = history.last(contract.Means) or contract.Means()
    # Features can be checked row by row; means serve where none were requested.
    shown = {**means.values, **columns}
    columns.pop(spec.label, None)
    return Summary(
        job=job,
        executors=spec.executors,
        framework=framework,
        accuracy=_scalar(shown.get("accuracy")),
        loss=_scalar(shown.get("loss")),
        samples=samples or means.samples,
        iterations=trained.iterations,
        images_per_s=trained.images_per_s or None,
        model=trained.model,
        features=columns,
        means=means.values,
        validations=_validations(history),
        seconds=history.phase_seconds(),
        hosts=trained.hosts,
        waited_seconds=dict(_waited(trained)),
        trained_seconds=round(trained.seconds, 3),
        lost_seconds=round(trained.lost_seconds, 3),
    )


def _validations(history: History) -> list[dict[str, Any]]:
    """Return the rounds of validation; those that were done again, after a loss, count once."""
    found: dict[int, dict[str, Any]] = {}
    for event in history.events:
        if isinstance(event, contract.Recovery):
            found = {at: values for at, values in found.items() if at < event.iteration}
        elif isinstance(event, contract.Validation):
            found[event.iteration] = {"iteration": event.iteration, **event.values}
    return list(found.values())


def _require_all(samples: int, history: History) -> None:
    """Require a row for each record of the TEST source. Ids tell nothing: a source may repeat its own."""
    records = (history.last(contract.Data) or contract.Data()).records
    wanted = records.get("TEST", records.get("TEST#0", samples))
    if samples not in {0, wanted}:
        why = f"it has {samples:,} rows, and the source {wanted:,} records"
        raise JobError("the features file", why, "Report this: it is a bug.")


def _waited(trained: contract.Trained) -> Iterator[tuple[str, float]]:
    """Yield the waiting of each rank whose figures are numbers."""
    for rank in trained.ranks:
        seconds = rank.get("waited_seconds")
        if isinstance(seconds, int | float) and math.isfinite(seconds):
            yield str(rank.get("rank")), round(float(seconds), 3)


def rows_of(path: Path) -> Iterator[str]:
    """Yield the lines of a file of JSON lines; only a line feed ends one."""
    with path.open(encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        for line in file:
            yield line.rstrip("\n")


def feature_means(lines: Iterable[str]) -> tuple[dict[str, list[float]], int]:
    """Return the mean of each column and the number of samples of a features file.

    Raises:
        JobError: a line is not a row, or a row has other columns or lengths than the first.
    """
    totals: dict[str, list[float]] = {}
    number = 0
    for number, line in enumerate(lines, start=1):
        sample, row = _row(line, number)
        if number == 1:
            totals = {name: [0.0] * len(values) for name, values in row.items()}
        if {name: len(values) for name, values in row.items()} != {n: len(v) for n, v in totals.items()}:
            raise JobError(
                "the features file",
                f"sample {sample} has other columns than the first one",
                "Report this: it is a bug.",
            )
        for name, values in row.items():
            totals[name] = [total + value for total, value in zip(totals[name], values, strict=True)]
    return {name: [total / number for total in some] for name, some in totals.items()}, number


def _row(line: str, number: int) -> tuple[str, dict[str, list[float]]]:
    """Return the sample and the columns of a line."""
    try:
        row = json_object(line)
        sample = str(row.pop(SAMPLE_ID))
        return sample, {name: [float(value) for value in values] for name, values in row.items()}
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        why = f"line {number} is not a row of it ({error})"
        raise JobError("the features file", why, "Report this: it is a bug.") from error


def _scalar(values: list[float] | None) -> float | None:
    return values[0] if values and len(values) == 1 else None

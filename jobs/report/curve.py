"""Points of a training curve, from a job's events: a bounded number of them, whatever the job writes."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from itertools import count
from typing import Final, NamedTuple

from jobs.trainer import contract
from jobs.trainer.contract import Event

KINDS: Final = (
    contract.Training,
    contract.Display,
    contract.Validation,
    contract.Snapshot,
    contract.Recovery,
    contract.Done,
    contract.Failed,
)
"""Events that a curve is made of. Those of progress are not: their loss is rank 0's alone."""
MOST_GROUPS: Final = 2000
"""Groups of points of a series, each of which keeps at most three; an even number."""
MOST_ELEMENTS: Final = 8
"""Values of an output that are shown one by one; of more, their mean."""
MOST_OUTPUTS: Final = 32
MOST_SNAPSHOTS: Final = 1000
LARGEST: Final = 1e37
"""Largest value that is drawn at its place; Caffe's own numbers end at 3.4e38."""


class Point(NamedTuple):
    """Value at an iteration. `time` is in seconds since the epoch; `number` counts a curve's points."""

    iteration: int
    value: float
    time: float
    number: int

    @property
    def drawable(self) -> bool:
        """False for NaN, infinities and what no axis can hold."""
        return math.isfinite(self.value) and abs(self.value) <= LARGEST


class Series:
    """Points in the order in which they came; `about` says what their values are means of.

    A long series is thinned evenly, to points that exist: of each few in a row the lowest, the highest, and
    the first that is no number. The first and the last point of all stay.
    """

    def __init__(self, about: str, panel: str = "") -> None:
        self.about, self.panel, self.seen = about, panel, 0
        self._ends = list[Point]()
        self._groups = list[list[Point]]()
        self._size, self._room = 1, 0
        """Points of a group before it was thinned, and how many more the last one takes."""

    def add(self, point: Point) -> None:
        """Append a point."""
        self._ends = [*self._ends[:1], point]
        self.seen += 1
        if self._room:
            self._room -= 1
            self._groups[-1] = _extremes([*self._groups[-1], point])
            return
        if len(self._groups) == MOST_GROUPS:
            pairs = zip(self._groups[::2], self._groups[1::2], strict=True)
            self._groups = [_extremes([*one, *other]) for one, other in pairs]
            self._size *= 2
        self._groups.append([point])
        self._room = self._size - 1

    @property
    def points(self) -> list[Point]:
        """The points that are kept, in order."""
        kept = {point.number: point for group in (*self._groups, self._ends) for point in group}
        return [kept[number] for number in sorted(kept)]

    @property
    def thinned(self) -> bool:
        """Return whether points are left out."""
        return self._size > 1


def _extremes(group: list[Point]) -> list[Point]:
    numbers = [point for point in group if point.drawable]
    odd = next((point for point in group if not point.drawable), None)
    kept = {odd.number: odd} if odd else {}
    for chosen in (min, max) if numbers else ():
        point = chosen(numbers, key=lambda one: one.value)
        kept[point.number] = point
    return [kept[number] for number in sorted(kept)]


class Curve:
    """Losses, rates, validations and snapshots of a job; grows as its events come."""

    def __init__(self) -> None:
        self.training: contract.Training | None = None
        self.loss, self.rate = Series(""), Series("rate of the update of an iteration")
        self.outputs: dict[str, Series] = {}
        """Of the TEST nets, by label."""
        self.validations: list[contract.Validation] = []
        self.snapshots: deque[int] = deque(maxlen=MOST_SNAPSHOTS)
        self.snapshots_seen = 0
        self.outputs_left_out = False
        self.ended = False
        self.began = self.end = 0.0
        """Seconds since the epoch of the first and of the latest event."""
        self._numbers = count()

    def add(self, event: Event) -> None:
        """Add an event; those of other kinds are skipped."""
        if not isinstance(event, KINDS):
            return
        self.began = self.began or event.time
        self.end = max(self.end, event.time)
        if isinstance(event, contract.Training):
            self.training = event
        elif isinstance(event, contract.Display):
            self._point(self.loss, event, event.iteration, event.loss)
            self._point(self.rate, event, event.iteration, event.lr)
        elif isinstance(event, contract.Validation):
            self.validations.append(event)
            for name, values in event.values.items():
                self._output(event, name, values)
        elif isinstance(event, contract.Recovery):
            # Rounds that are done again count once; points of losses stay, at their times.
            self.validations = [one for one in self.validations if one.iteration < event.iteration]
        elif isinstance(event, contract.Snapshot):
            self.snapshots.append(event.iteration)
            self.snapshots_seen += 1
        else:
            self.ended = True

    @property
    def empty(self) -> bool:
        """Return whether there is no point yet."""
        return not (self.loss.seen or self.outputs)

    @property
    def all(self) -> Iterator[tuple[str, Series]]:
        """Yield all series that have points, each with a name for a tree of series."""
        about = loss_text(self.training)
        named = [("train/loss", self.loss), ("train/learning_rate", self.rate)]
        for name, series in [*named, *((f"test/{label}", one) for label, one in self.outputs.items())]:
            if series.seen:
                series.about = about if series is self.loss else series.about
                yield name, series

    def _point(self, series: Series, event: Event, iteration: int, value: float) -> None:
        series.add(Point(iteration, value, event.time, next(self._numbers)))

    def _output(self, event: contract.Validation, name: str, values: list[float]) -> None:
        panel, of = name.partition("#")[0], ""
        if len(values) > MOST_ELEMENTS:
            # Such as scores of a hundred classes, of which nobody could tell the lines apart.
            found = {f"{name}, mean of {len(values)} values": sum(values) / len(values)}
            of = f"the {len(values)} values of {name} and "
        elif len(values) > 1:
            found = {f"{name}[{index}]": value for index, value in enumerate(values)}
        else:
            found = dict(zip([name], values, strict=False))
        for label, value in found.items():
            if label not in self.outputs:
                if len(self.outputs) >= MOST_OUTPUTS:
                    self.outputs_left_out = True
                    continue
                about = f"TEST net, mean over {of}the batches of a validation"
                self.outputs[label] = Series(about, panel)
            self._point(self.outputs[label], event, event.iteration, value)


def loss_text(training: contract.Training | None) -> str:
    """Return what the losses of displays are means of, as far as the job has said it."""
    if training is None or training.ranks < 1:
        return "loss as the solver displays it"
    means = ["loss of one rank" if training.ranks == 1 else f"loss, mean over all {training.ranks} ranks"]
    if training.iter_size > 1:
        means.append(f"the {training.iter_size} batches of an iteration")
    if training.average_loss > 1:
        means.append(f"up to the last {training.average_loss} iterations")
    if training.ranks == 1 and len(means) > 1:
        means[:2] = [f"{means[0]}, mean over {means[1]}"]
    return ", ".join(means[:-1]) + " and " + means[-1] if len(means) > 1 else means[0]

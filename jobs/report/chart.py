"""A training curve as an image: loss, outputs of the TEST nets and learning rate over iterations."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bootstrap.aside import replacing
from bootstrap.console import visible
from jobs.report.curve import Curve, Point, Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FILE = "curve.png"
MOST_PANELS: Final = 6
"""Panels of outputs."""
LONGEST_NAME: Final = 40
FEW: Final = 60
"""Points up to which each is marked."""
RATIO: Final = 10.0
"""Ratio of the largest to the smallest learning rate from which its axis is logarithmic."""


def draw(curve: Curve, job: str, path: Path) -> None:
    """Draw a curve that is not empty as PNG."""
    # Half a second to import. Not pyplot, which keeps figures and looks for a display.
    from matplotlib import style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    panels = _panels(curve)
    # The defaults, whatever the user's own settings are.
    with style.context("default"), replacing(path) as new, warnings.catch_warnings():
        # Of names with characters that the font lacks; a box stands for each.
        warnings.simplefilter("ignore", UserWarning)
        figure = Figure(figsize=(9.0, 1.5 + 2.2 * len(panels)), dpi=100, layout="constrained")
        FigureCanvasAgg(figure)
        axes: list[Axes] = list(figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0])
        for axis, (name, several) in zip(axes, panels.items(), strict=True):
            _panel(axis, name, several, curve)
        axes[-1].set_xlabel("iteration")
        axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.suptitle(plain(f"job {job}"), fontsize=12)
        figure.supxlabel(plain("\n".join(caption(curve))), fontsize=8)
        figure.savefig(new, format="png")


def caption(curve: Curve) -> list[str]:
    """Return the lines below a figure: times, where it resumes, and what is left out."""
    so_far = "" if curve.ended else ", when the job had not ended"
    lines = [f"events from {utc(curve.began)} to {utc(curve.end)}{so_far}"]
    if curve.training is not None and curve.training.snapshot:
        lines.append(f"resumed from {curve.training.snapshot.rpartition('/')[2]}")
    thinned = max((series for _, series in curve.all), key=lambda series: series.seen, default=None)
    if thinned is not None and thinned.thinned:
        lines.append(
            f"of up to {thinned.seen:,} points, the lowest and highest of each few in a row are drawn"
        )
    if curve.snapshots_seen > len(curve.snapshots):
        lines.append(f"the last {len(curve.snapshots):,} of {curve.snapshots_seen:,} snapshots are marked")
    if curve.outputs_left_out or len(_names(curve)) > MOST_PANELS:
        lines.append("not all outputs of the TEST nets are drawn")
    return lines


def utc(seconds: float) -> str:
    """Return a time as `2026-11-29 18:55:03 UTC`."""
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%d %H:%M:%S} UTC"


def plain(text: str) -> str:
    """Return a text of which matplotlib takes no part for a formula, and no control character."""
    return visible(text).replace("$", r"\$")


def _short(name: str) -> str:
    return plain(name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…")


def _names(curve: Curve) -> list[str]:
    return list(dict.fromkeys(series.panel for series in curve.outputs.values()))


def _panels(curve: Curve) -> dict[str, dict[str, Series]]:
    """Return the series by panel and label: outputs of several TEST nets of one name share a panel."""
    found: dict[str, dict[str, Series]] = {}
    named = dict(curve.all)
    if curve.loss.seen:
        found["training loss"] = {"training": named["train/loss"]}
    for name in _names(curve)[:MOST_PANELS]:
        mine = {label: series for label, series in curve.outputs.items() if series.panel == name}
        found[f"TEST {name}"] = {f"TEST {label}": series for label, series in mine.items()}
    if curve.rate.seen:
        found["learning rate"] = {"rate": named["train/learning_rate"]}
    return found


def _panel(axis: Axes, name: str, several: dict[str, Series], curve: Curve) -> None:
    from matplotlib.collections import LineCollection

    handles: dict[str, Any] = {}
    for label, series in several.items():
        points = series.points
        (line,) = axis.plot(*_line(points), linewidth=1.2, marker="o" * (len(points) <= FEW), markersize=3)
        if len(several) > 1:
            handles[_short(label)] = line
        lost = [point.iteration for point in points if not point.drawable]
        if lost:
            # At the top of the panel, whatever its scale.
            across = axis.get_xaxis_transform()
            style: dict[str, Any] = {"linestyle": "none", "marker": "v", "markersize": 7, "clip_on": False}
            (mark,) = axis.plot(lost, [0.97] * len(lost), color="tab:red", transform=across, **style)
            handles["NaN, infinite or beyond 1e37"] = mark
    if name == "learning rate" and _spread(several["rate"].points):
        axis.set_yscale("log")
    if curve.snapshots:
        # One artist for all of them: there may be a thousand.
        dotted: dict[str, Any] = {"color": "tab:gray", "linestyle": ":", "linewidth": 1}
        ends = [[(iteration, 0.0), (iteration, 1.0)] for iteration in curve.snapshots]
        marks = LineCollection(ends, transform=axis.get_xaxis_transform(), **dotted)
        handles["snapshot"] = axis.add_collection(marks, autolim=False)
        axis.update_datalim([ends[0][0], ends[-1][0]], updatey=False)
        axis.autoscale_view()
    axis.set_title(
        "; ".join(dict.fromkeys(plain(one.about) for one in several.values())), fontsize=8, loc="left"
    )
    axis.set_ylabel(_short(name), fontsize=9)
    axis.grid(alpha=0.3)
    if handles:
        axis.legend(list(handles.values()), list(handles), fontsize=7, loc="best")


def _line(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    """Return x and y; a gap where a value cannot be drawn, and where iterations start again."""
    across, up = list[float](), list[float]()
    before: Point | None = None
    for point in points:
        if before is not None and point.iteration <= before.iteration:
            across.append(float(point.iteration))
            up.append(float("nan"))
        across.append(float(point.iteration))
        up.append(point.value if point.drawable else float("nan"))
        before = point
    return across, up


def _spread(points: Sequence[Point]) -> bool:
    values = [point.value for point in points if point.drawable]
    return bool(values) and min(values) > 0 and max(values) / min(values) >= RATIO

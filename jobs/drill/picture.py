"""timeline.svg: throughput over time, with notices, snapshots, losses and recoveries."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bootstrap.aside import replacing
from jobs.drill import record as marks
from jobs.drill.timeline import Moment, Rate
from jobs.report.chart import plain
from jobs.trainer import contract

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FILE: Final = "timeline.svg"
LEGEND: Final = {
    marks.ANNOUNCED: ("notice", "tab:orange", "-"),
    marks.CUT: ("cut off", "tab:red", "-"),
    marks.HEALED: ("connected again", "tab:olive", "--"),
    marks.TAKEN: ("node taken", "tab:red", "-"),
    contract.WorkersLost.kind: ("executors lost", "tab:purple", "-"),
    contract.Snapshot.kind: ("snapshot", "tab:gray", ":"),
    contract.Recovery.kind: ("recovery", "tab:green", "-"),
    marks.REPLACED: ("replacement up", "tab:blue", "--"),
}
"""Words, colour and line of each kind of moment that is drawn."""


def draw(path: Path, title: str, moments: Sequence[Moment], rates: Sequence[Rate]) -> Path:
    """Draw a timeline; return its path."""
    # Half a second to import. Not pyplot, which keeps figures and looks for a display.
    import matplotlib
    from matplotlib import style
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    # The defaults, whatever the user's own settings are; text as text, and names that are the same each time.
    own: Any = {"svg.fonttype": "none", "svg.hashsalt": "caffe-spark"}
    with style.context("default"), matplotlib.rc_context(own), replacing(path) as new:
        figure = Figure(figsize=(10.0, 4.5), layout="constrained")
        FigureCanvasSVG(figure)
        axis: Axes = figure.subplots()
        start = zero(moments, rates)
        if rates:
            axis.fill_between(
                [rate.time - start for rate in rates],
                [rate.images_per_s for rate in rates],
                step="pre",
                color="tab:blue",
                alpha=0.3,
                linewidth=1,
            )
        for kind, (words, colour, line) in LEGEND.items():
            for number, moment in enumerate(moment for moment in moments if moment.kind == kind):
                label = plain(words) if number == 0 else None
                axis.axvline(moment.time - start, color=colour, linestyle=line, linewidth=1.2, label=label)
        axis.set_ylim(bottom=0)
        axis.set_xlabel("seconds since the interruption began")
        axis.set_ylabel("images/s, all executors")
        axis.set_title(plain(title), fontsize=10)
        axis.grid(alpha=0.3)
        if axis.get_legend_handles_labels()[0]:
            axis.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
        figure.savefig(new, format="svg", metadata={"Date": None})
    return path


def zero(moments: Sequence[Moment], rates: Sequence[Rate]) -> float:
    """Return the time of the interruption; without one, of the first thing that is known."""
    begins = {marks.ANNOUNCED, marks.CUT, marks.TAKEN}
    interruption = min((moment.time for moment in moments if moment.kind in begins), default=math.inf)
    if math.isfinite(interruption):
        return interruption
    known = [moment.time for moment in moments] + [rate.time for rate in rates]
    return min(known, default=0.0)

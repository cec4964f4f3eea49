"""curve.png."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jobs.report import chart
from jobs.report.curve import Curve
from jobs.trainer import contract
from jobs.trainer.contract import Event, stamped

RED = (214, 39, 40)
"""matplotlib's tab:red, of marks for what is no number."""


def curve(*events: Event) -> Curve:
    made = Curve()
    for event in events:
        made.add(stamped(event, event.time or 1795978503.0))
    return made


def pixels(made: Curve, tmp_path: Path) -> np.ndarray:
    chart.draw(made, "mnist-1", tmp_path / "curve.png")
    with Image.open(tmp_path / "curve.png") as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB")).astype(int)


def like(found: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((np.abs(found - np.array(colour)).sum(axis=2) < 10).sum())


LOSSES = [contract.Display(100 * n, 900, 2.0 / (n + 1), lr=0.01) for n in range(9)]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """The figure of `LOSSES`: half a second to draw."""
    return pixels(curve(*LOSSES), tmp_path_factory.mktemp("plain"))


def test_there_is_a_panel_for_the_loss_each_output_and_the_rate(plain: np.ndarray, tmp_path: Path) -> None:
    values = {"accuracy#0": [0.5], "accuracy#1": [0.4], "loss#0": [1.0]}
    long = pixels(curve(*LOSSES, contract.Validation(100, values=values)), tmp_path).shape[0]

    assert list(chart._panels(curve(*LOSSES, contract.Validation(100, values=values)))) == [
        "training loss",
        "TEST accuracy",
        "TEST loss",
        "learning rate",
    ]
    assert long > plain.shape[0]


def test_a_validation_alone_is_drawn(tmp_path: Path) -> None:
    assert pixels(curve(contract.Validation(100, values={"accuracy": [0.5]})), tmp_path).size


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf, 1e38])
def test_what_no_axis_can_hold_is_a_gap_with_a_mark(odd: float, plain: np.ndarray, tmp_path: Path) -> None:
    assert like(plain, RED) == 0

    made = curve(*LOSSES[:4], contract.Display(400, 900, odd), *LOSSES[5:])

    assert like(pixels(made, tmp_path), RED) > 20
    across, up = chart._line(made.loss.points)
    assert across == [100.0 * n for n in range(9)]
    assert [n for n, value in enumerate(up) if math.isnan(value)] == [4]


def test_the_users_own_settings_of_matplotlib_change_nothing(
    plain: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import matplotlib as mpl

    monkeypatch.setitem(mpl.rcParams, "text.usetex", True)
    monkeypatch.setitem(mpl.rcParams, "axes.facecolor", "black")

    assert (pixels(curve(*LOSSES), tmp_path) == plain).all()


def test_a_loss_that_is_never_a_number_is_drawn(tmp_path: Path) -> None:
    assert like(pixels(curve(contract.Display(0, 9, math.nan, lr=math.nan)), tmp_path), RED) > 20


def test_what_an_axis_can_hold_has_its_place() -> None:
    made = curve(contract.Display(0, 9, 1e37), contract.Display(1, 9, -1e37), contract.Display(2, 9, 0.0))

    assert chart._line(made.loss.points)[1] == [1e37, -1e37, 0.0]


@pytest.mark.parametrize("again", [0, 5])
def test_no_line_joins_a_run_with_the_one_that_starts_again(again: int) -> None:
    made = curve(contract.Display(0, 9, 1.0), contract.Display(5, 9, 2.0), contract.Display(again, 9, 3.0))

    across, up = chart._line(made.loss.points)

    assert across == [0.0, 5.0, again, again]
    assert math.isnan(up[2])


def test_snapshots_are_marked(plain: np.ndarray, tmp_path: Path) -> None:
    grey = (127, 127, 127)
    without = like(plain, grey)

    assert like(pixels(curve(*LOSSES, contract.Snapshot(500, 900)), tmp_path), grey) > without + 20


def test_marks_have_their_place_and_do_not_change_the_scale_of_a_panel() -> None:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    def panel(*events: Event) -> Axes:
        made, axis = curve(*events), Figure().subplots()
        (name, several), *_ = chart._panels(made).items()
        chart._panel(axis, name, several, made)
        return axis

    far = [contract.Display(100 * n, 900, 50.0 + n) for n in range(9)]
    without, marked = (
        panel(*far),
        panel(*far, contract.Snapshot(900, 900), contract.Display(901, 900, math.nan)),
    )

    assert marked.get_ylim() == without.get_ylim()
    assert panel(*far, contract.Snapshot(1800, 900)).get_xlim()[1] > 1800


def test_times_are_in_utc_wherever_it_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert chart.utc(1795978503.0) == "2026-11-29 18:55:03 UTC"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_the_caption_says_what_a_figure_leaves_out_and_where_it_began() -> None:
    made = curve(
        contract.Training(2, snapshot="hdfs://h/jobs/mnist_iter_500.solverstate"),
        *(contract.Display(n, 10**5, 1.0) for n in range(5000)),
        contract.Validation(1, values={f"o{number}": [1.0] for number in range(9)}),
    )

    assert chart.caption(made) == [
        "events from 2026-11-29 18:55:03 UTC to 2026-11-29 18:55:03 UTC, when the job had not ended",
        "resumed from mnist_iter_500.solverstate",
        "of up to 5,000 points, the lowest and highest of each few in a row are drawn",
        "not all outputs of the TEST nets are drawn",
    ]
    made.add(stamped(contract.Done(), 1795978504.0))
    assert chart.caption(made)[0] == "events from 2026-11-29 18:55:03 UTC to 2026-11-29 18:55:04 UTC"


@pytest.mark.parametrize("name", ["$x^", "a\\$b", "$$", "cost_$1"])
def test_a_name_is_no_formula(name: str) -> None:
    from matplotlib.cbook import is_math_text

    assert not is_math_text(chart.plain(name))


def test_a_rate_that_falls_by_magnitudes_is_drawn_on_a_logarithmic_axis() -> None:
    def spread(*rates: float) -> bool:
        return chart._spread(
            curve(*(contract.Display(n, 9, 1.0, lr=lr) for n, lr in enumerate(rates))).rate.points
        )

    assert spread(0.1, 0.01)
    assert not spread(0.1, 0.05)
    assert not spread(0.1, 0.0)
    assert not spread(math.nan)

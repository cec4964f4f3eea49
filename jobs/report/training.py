"""Files about a job's training among its results: the curve, TensorBoard's events, the validations."""

from __future__ import annotations

from pathlib import Path

from jobs.report import chart, tensorboard, validations
from jobs.report.curve import Curve


def write(curve: Curve, job: str, folder: Path) -> list[str]:
    """Write the files that the curve has points for; return a line about each for the terminal."""
    lines = []
    if not curve.empty:
        chart.draw(curve, job, folder / chart.FILE)
        tensorboard.write(curve, job, folder / tensorboard.FOLDER)
        lines.append(f"curve    {folder / chart.FILE}; for TensorBoard: {folder / tensorboard.FOLDER}/")
    if curve.validations:
        validations.write(curve.validations, folder / validations.FILE)
        lines.append(f"rounds   {folder / validations.FILE}")
    return lines

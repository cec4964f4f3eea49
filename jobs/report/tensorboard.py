"""A training curve as a file of TensorBoard's events: a scalar per series, at the times of the job."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from jobs.report.curve import Curve

FOLDER = "tensorboard"
VERSION: Final = "brain.Event:2"
"""First record of every such file."""


def write(curve: Curve, job: str, folder: Path) -> Path:
    """Write a curve that is not empty into a folder that has no other file of the job; return the file.

    In place, and in the order in which points came: of a job that is followed, a TensorBoard that reads the
    file goes on where it was.
    """
    # A second to import
    from tensorboardX import RecordWriter
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.proto.summary_pb2 import Summary, SummaryMetadata

    points = sorted(
        (point.number, name, series.about, point) for name, series in curve.all for point in series.points
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"events.out.tfevents.{int(curve.began)}.{job}"
    writer = RecordWriter(str(path))
    try:
        writer.write(Event(wall_time=curve.began, file_version=VERSION).SerializeToString())
        for _, name, about, point in points:
            value = Summary.Value(
                # As it is: SummaryWriter would make `accuracy#0` and `accuracy_0` the same.
                tag=_valid(name),
                simple_value=point.value,
                metadata=SummaryMetadata(summary_description=_valid(about)),
            )
            event = Event(wall_time=point.time, step=point.iteration, summary=Summary(value=[value]))
            writer.write(event.SerializeToString())
    finally:
        writer.close()
    return path


def _valid(text: str) -> str:
    """Return a text without halves of pairs, which JSON may hold and protobuf does not."""
    return text.encode(errors="replace").decode()

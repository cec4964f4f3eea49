"""Table of all prototxts of published trees: what the trainer says of each, and whether Caffe runs it.

    python -m tests.conformance.prototxts BVLC/caffe@COMMIT=FOLDER yahoo/CaffeOnSpark@COMMIT=FOLDER

Prints Markdown. Each file has a process of its own, one after the other.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from jobs.trainer.events.watch import last_words
from tests.conformance.trial import Trial
from tests.jobs.trainer.artefact import Caffe, found

PROGRAM = """
import sys
from pathlib import Path
from tests.conformance.trial import main
main(*map(Path, sys.argv[1:]))
"""
HEAD = "| File | Kind | Data layers | As it is | Three steps |\n|---|---|---|---|---|"


def tried(caffe: Caffe, tree: Path, file: Path) -> Trial:
    """Return the trial of a file."""
    with tempfile.TemporaryDirectory(prefix="caffe-spark-") as folder:
        try:
            done = caffe.run(PROGRAM, str(tree), str(file), folder)
        except subprocess.TimeoutExpired as error:
            out = (error.stdout or b"").decode()
            trial = _last(out, tree, file)
            trial.ran = f"fails: not done in {error.timeout:.0f} s"
            return trial
        trial = _last(done.stdout, tree, file)
        if done.returncode != 0:
            trial.ran = f"fails: {last_words(done.stderr.splitlines())}".replace(folder, "")
        return trial


def _last(out: str, tree: Path, file: Path) -> Trial:
    lines = [line for line in out.splitlines() if line.startswith("{")]
    return Trial(**json.loads(lines[-1])) if lines else Trial(str(file.relative_to(tree)))


def trials(caffe: Caffe, tree: Path) -> Iterator[Trial]:
    """Yield the trials of all prototxts of a tree."""
    for file in sorted(tree.rglob("*.prototxt")):
        began = time.monotonic()
        trial = tried(caffe, tree, file)
        print(f"{time.monotonic() - began:5.1f} s  {trial.path}: {trial.ran}", file=sys.stderr, flush=True)
        yield trial


def row(trial: Trial) -> str:
    """Return a trial as a row of the table."""
    cells = (f"`{trial.path}`", trial.kind, ", ".join(trial.layers), trial.judged, trial.ran)
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"


def summary(found: list[Trial]) -> str:
    """Return counts of kinds and results."""
    kinds = Counter(trial.kind for trial in found)
    ran = Counter(trial.ran.partition(":")[0].partition(",")[0] for trial in found if trial.ran)
    parts = [f"{kinds[kind]} × {kind}" for kind in sorted(kinds)]
    return f"{len(found)} files: {', '.join(parts)}. Three steps: " + ", ".join(
        f"{ran[one]} × {one}" for one in sorted(ran, key=lambda one: -ran[one])
    )


def table(caffe: Caffe, title: str, tree: Path) -> str:
    """Return the section of a tree."""
    found = list(trials(caffe, tree))
    return "\n".join([f"## {title}", "", summary(found) + ".", "", HEAD, *map(row, found), ""])


def main(arguments: list[str]) -> None:
    """Print the sections of trees, each given as TITLE=FOLDER."""
    with tempfile.TemporaryDirectory(prefix="caffe-spark-") as folder:
        caffe = found(Path(folder))
        for argument in arguments:
            title, _, tree = argument.partition("=")
            print(table(caffe, title, Path(tree).resolve()), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

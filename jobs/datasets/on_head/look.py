"""Summary of LMDBs: counts, shapes and labels, and the first images of each label, as JSON.

`python -m jobs.datasets.on_head.look FOLDER …`: a folder with data.mdb each. Only numbers and a few images
leave the head. Python 3.8, standard library and lmdb.
"""

from __future__ import annotations

import base64
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Dict, List, Sequence

from jobs.trainer.errors import TrainerError
from jobs.trainer.shapes import in_words
from jobs.trainer.sources.datum import Datum, parse
from jobs.trainer.sources.lmdb import Lmdb

LABELS = 1000
"""Labels that are counted one by one; records of further ones are counted together."""
SHOWN_LABELS, SHOWN_EACH = 20, 10
"""Samples: the first labels, by number, and the first records of each."""
LARGEST, ALL = 1 << 20, 32 << 20
"""Bytes of a sample, and of all that are kept."""
ENCODED = "encoded"
"""Shape of an encoded image, whose size its own header has."""


def look(folders: Sequence[Path]) -> Dict[str, Any]:
    """Return the summary of databases; samples are those of the first one.

    Raises:
        TrainerError: there is no database, or it is not a whole one.
        ValueError: a record is not a Datum.
    """
    samples: Dict[int, List[Datum]] = {}
    sets = [_summary(folder, samples if number == 0 else {}) for number, folder in enumerate(folders)]
    shown = [each for label in sorted(samples)[:SHOWN_LABELS] for each in samples[label]]
    return {
        "sets": sets,
        "samples": [
            {
                "label": datum.label,
                "shape": None if datum.encoded else [datum.channels, datum.height, datum.width],
                "data": base64.b64encode(datum.data).decode(),
            }
            for datum in shown
        ],
    }


def _summary(folder: Path, samples: Dict[int, List[Datum]]) -> Dict[str, Any]:
    shapes: "Counter[str]" = Counter()
    labels: "Counter[int]" = Counter()
    others, left = 0, ALL
    source = Lmdb(folder, None)
    try:
        for key, value in source.records():
            try:
                datum = parse(value)
            except ValueError as error:
                raise ValueError("{}: record {}: {}".format(folder.name, key, error)) from error
            shapes[_shape(datum)] += 1
            if datum.label not in labels and len(labels) == LABELS:
                others += 1
                continue
            labels[datum.label] += 1
            chosen = samples.setdefault(datum.label, [])
            if len(chosen) < SHOWN_EACH and 0 < len(datum.data) <= min(LARGEST, left):
                chosen.append(datum)
                left -= len(datum.data)
    finally:
        source.close()
    return {
        "name": folder.name,
        "records": sum(shapes.values()),
        "shapes": dict(shapes.most_common(LABELS)),
        "labels": {str(label): labels[label] for label in sorted(labels)},
        "others": others,
    }


def _shape(datum: Datum) -> str:
    if datum.encoded:
        return ENCODED
    sides = in_words((datum.channels, datum.height, datum.width))
    return sides + " of floats" if datum.floats else sides


if __name__ == "__main__":
    try:
        json.dump(look([Path(name) for name in sys.argv[1:]]), sys.stdout)
    except (ValueError, OSError, TrainerError) as error:
        sys.exit(str(error))

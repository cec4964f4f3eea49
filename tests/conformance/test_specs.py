"""The project's own specifications: their nets are accepted, and Caffe trains three steps of each."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from jobs.spec_file import read_spec
from tests.conformance import prototxts
from tests.jobs.specs import SPECS
from tests.jobs.trainer.artefact import Caffe

NAMES = sorted(file.name for file in SPECS.glob("*.yaml"))


def test_every_prototxt_belongs_to_a_specification() -> None:
    specs = [read_spec(SPECS / name) for name in NAMES]

    assert {file for spec in specs for file in (spec.solver, spec.net)} == set(SPECS.glob("*.prototxt"))
    assert len({spec.name for spec in specs}) == len(specs)


@pytest.mark.parametrize("name", ["caffenet", "bvlc_reference"])
def test_blobs_of_samples_have_their_published_names(name: str) -> None:
    net = (SPECS / f"{name}_train_test.prototxt").read_text()

    assert {"fc6", "fc7", "fc8"} <= set(re.findall(r'top: "(\w+)"', net))


@pytest.mark.parametrize("name", NAMES)
def test_three_steps_are_trained_of_each(caffe: Caffe, tmp_path: Path, name: str) -> None:
    spec = read_spec(SPECS / name)
    for file in (spec.solver, spec.net):
        shutil.copy(file, tmp_path)

    trial = prototxts.tried(caffe, tmp_path, tmp_path / spec.solver.name)

    assert trial.judged == "accepted"
    assert trial.ran.partition(",")[0] == "runs"

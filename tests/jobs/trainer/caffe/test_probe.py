"""The probe's subprocess."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from jobs.trainer.caffe.probe import Probe
from jobs.trainer.caffe.prototxt import load


def test_a_probe_that_nobody_waits_for_ends_with_its_job(
    prototxts: Path, pb: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endless = tmp_path / "python"
    endless.write_text("#!/bin/sh\nexec sleep 600\n")
    endless.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(endless))
    probe = Probe(load(prototxts, pb), tmp_path)
    number = probe._process.pid

    began = time.monotonic()
    probe.close()

    assert time.monotonic() - began < 60
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)

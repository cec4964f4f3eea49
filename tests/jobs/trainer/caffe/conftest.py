"""Fixtures of nets: Caffe itself, where it runs here."""

from __future__ import annotations

import pytest

from tests.jobs.trainer.artefact import Caffe, found


@pytest.fixture(scope="session")
def caffe(tmp_path_factory: pytest.TempPathFactory) -> Caffe:
    """Return a compiled Caffe; skip without one."""
    return found(tmp_path_factory.mktemp("caffe"))

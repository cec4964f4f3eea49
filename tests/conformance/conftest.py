"""Fixtures of conformance: Caffe's messages, and Caffe itself where it runs here."""

from __future__ import annotations

from typing import Any

import pytest

from tests.jobs.trainer import messages
from tests.jobs.trainer.artefact import Caffe, found


@pytest.fixture(scope="session")
def pb() -> Any:
    """Stand-in for caffe_pb2."""
    return messages.build()


@pytest.fixture(scope="session")
def caffe(tmp_path_factory: pytest.TempPathFactory) -> Caffe:
    """Return a compiled Caffe; skip without one."""
    return found(tmp_path_factory.mktemp("caffe"))

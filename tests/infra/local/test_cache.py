"""The cache's locks, which several `pulumi up` of one user share."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap.errors import CaffeSparkError
from infra.local import cache


def test_a_lock_that_another_process_keeps_is_said_and_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cache, "operator_cache", lambda: tmp_path)
    monkeypatch.setattr(cache, "LOCK_LIMIT", 0.3)
    with (
        cache.locked("base-image"),
        pytest.raises(CaffeSparkError, match=r"the base image of local stacks \(.*base-image\.lock\)"),
        cache.locked("base-image"),
    ):
        pass
    assert "Another process is busy with the base image" in capsys.readouterr().err
    with cache.locked("base-image"):
        pass

"""Base image that is built before `pulumi up` asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infra.config import from_file
from infra.local import image, image_ahead
from infra.local.settings.config import LocalConfig
from tools.environment import ROOT


def test_it_is_the_image_that_pulumi_up_looks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[dict[str, Any]] = []

    class Provider:
        def create(self, props: dict[str, Any]) -> None:
            made.append(props)

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(image, "BaseImageProvider", Provider)
    monkeypatch.setattr(image_ahead, "find_engine", lambda *_: type("E", (), {"kind": "podman"}))
    assert image_ahead.main() == 0
    config = from_file(ROOT / "Pulumi.dev.yaml", "dev")
    assert isinstance(config, LocalConfig)
    tag, recipe = image.describe(config.image)
    assert made == [{"engine": "podman", "tag": tag, "recipe": recipe}]


def test_a_machine_without_an_engine_is_told_so_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert image_ahead.main() == 1
    assert "podman or docker is not installed here" in capsys.readouterr().err

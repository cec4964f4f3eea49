"""The base image: its name follows from its content, and it is made once."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from bootstrap.errors import ConfigError
from infra.local import image
from infra.local.image import BaseImageProvider, bundle, certificates, recipe, tag
from infra.local.settings.config import DebstrapImage, Image, RegistryImage
from tests.infra.conftest import FakeEngine

BOOKWORM = DebstrapImage(source="mmdebstrap", suite="bookworm")

STOCK = f"registry.example.org/debian@sha256:{'12' * 32}"


def props(source: Image = BOOKWORM) -> dict[str, object]:
    decides = recipe(source, {}, [])
    return {"engine": "podman", "tag": tag(decides), "recipe": decides}


def test_equal_inputs_have_equal_names() -> None:
    assert tag(recipe(BOOKWORM, {"a.crt": b"x"}, ["deb u s c"])) == tag(
        recipe(BOOKWORM, {"a.crt": b"x"}, ["deb u s c"])
    )


@pytest.mark.parametrize(
    "other",
    [
        (DebstrapImage(source="mmdebstrap", suite="trixie"), {"a.crt": b"x"}, ["deb u s c"]),
        (RegistryImage(source="registry", ref=STOCK), {"a.crt": b"x"}, ["deb u s c"]),
        (BOOKWORM, {"a.crt": b"y"}, ["deb u s c"]),
        (BOOKWORM, {}, ["deb u s c"]),
        (BOOKWORM, {"a.crt": b"x"}, []),
    ],
)
def test_each_input_decides(other: tuple[Image, dict[str, bytes], list[str]]) -> None:
    assert tag(recipe(BOOKWORM, {"a.crt": b"x"}, ["deb u s c"])) != tag(recipe(*other))


def test_the_machines_own_authorities_go_into_the_image(tmp_path: Path) -> None:
    (tmp_path / "company").mkdir()
    (tmp_path / "company" / "ca.crt").write_bytes(b"PEM")
    (tmp_path / "README").write_text("no certificate")
    found = certificates(tmp_path)
    assert found == {"company/ca.crt": b"PEM"}
    with tarfile.open(fileobj=io.BytesIO(bundle(found))) as archive:
        assert archive.getnames() == ["usr/local/share/ca-certificates/company/ca.crt", "setup-node.sh"]


def test_an_image_that_is_there_is_not_made_again(engine: FakeEngine) -> None:
    engine.has_image()
    BaseImageProvider().create(props())
    assert not any("import" in call for call in engine.calls)


def test_it_is_made_from_packages_where_it_is_missing(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(image, "run_as_root", lambda command, **_: commands.append(command))
    BaseImageProvider().create(props())
    ((program, *arguments),) = commands
    assert program == "mmdebstrap"
    assert "bookworm" in arguments
    assert engine.calls[-1].startswith("import --change=CMD")
    assert engine.calls[-1].endswith(str(props()["tag"]))


def test_a_stock_image_is_pulled_set_up_and_committed(engine: FakeEngine) -> None:
    BaseImageProvider().create(props(RegistryImage(source="registry", ref=STOCK)))
    verbs = [call.split()[0] for call in engine.calls]
    assert verbs[-1] == "rm"
    assert [verb for verb in verbs if verb in ("pull", "create", "cp", "start", "commit")] == [
        *("pull", "create", "cp", "start", "commit")
    ]


def test_an_own_image_is_never_pulled(engine: FakeEngine) -> None:
    with pytest.raises(ConfigError, match="image localhost/mine:1: it is not on this machine"):
        BaseImageProvider().create(props(RegistryImage(source="registry", ref="localhost/mine:1")))
    assert not any("pull" in call for call in engine.calls)


def test_a_destroyed_stack_leaves_it_and_says_where(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    BaseImageProvider().delete("id", props())
    said = capsys.readouterr().err
    assert str(props()["tag"]) in said
    assert "cache" in said
    assert engine.calls == []


def test_a_removed_image_is_noticed(engine: FakeEngine) -> None:
    assert BaseImageProvider().read("id", props()).id == ""
    engine.has_image()
    assert BaseImageProvider().read("id", props()).id == "id"

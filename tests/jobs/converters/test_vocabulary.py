"""A vocabulary in storage: used where it is complete, and refused otherwise."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.converters import captions, vocabulary
from jobs.converters.cli import parse
from jobs.trainer.errors import Refused

GOOD = "UNK\na\ncat\n"


class Files:
    """Storage in a local folder, as Hadoop's client lists it."""

    def absolute(self, uri: str) -> str:
        return uri

    def exists(self, uri: str) -> bool:
        return Path(uri).exists()

    def listed(self, uri: str) -> list[tuple[str, int]]:
        path = Path(uri)
        names = [path] if path.is_file() else sorted(path.iterdir())
        return [(str(name), 1) for name in names if not name.name.startswith(("_", ".")) or name == path]


def text_file(uri: str) -> Any:
    lines = [line for name, _ in Files().listed(uri) for line in Path(name).read_text().splitlines()]
    return SimpleNamespace(toLocalIterator=lambda: iter(lines))


def existing(folder: Path, *more: str) -> Any:
    flags = ["-imageRoot", "i", "-captionFile", "c", "-output", str(folder), "-vocabDir", "v"]
    conversion = parse(["CocoDataSetConverter", *flags, "-embeddingDFDir", "e", *more])
    files: Any = Files()
    return vocabulary.existing(SimpleNamespace(textFile=text_file), files, conversion)


def write(folder: Path, text: str, *others: str) -> None:
    (folder / "v").mkdir()
    (folder / "v" / "part-00000").write_text(text)
    for name in others:
        (folder / "v" / name).touch()


def test_a_complete_vocabulary_is_used(tmp_path: Path) -> None:
    assert existing(tmp_path) is None
    write(tmp_path, GOOD, "_SUCCESS")
    assert existing(tmp_path) == ["UNK", "a", "cat"]


def test_a_single_file_is_used_as_a_vocabulary(tmp_path: Path) -> None:
    (tmp_path / "v").write_text(GOOD)
    assert existing(tmp_path) == ["UNK", "a", "cat"]


def test_what_a_killed_run_left_of_a_vocabulary_is_refused(tmp_path: Path) -> None:
    (tmp_path / "v" / "_temporary" / "0").mkdir(parents=True)
    with pytest.raises(Refused, match=r"not a complete vocabulary.*Remove it"):
        existing(tmp_path)


@pytest.mark.parametrize("text", ["cat\nUNK\nmat\n", "", '{"caption": "a cat"}\n'])
def test_what_is_not_a_vocabulary_is_refused(tmp_path: Path, text: str) -> None:
    write(tmp_path, text, "_SUCCESS")
    with pytest.raises(Refused, match="not a vocabulary"):
        existing(tmp_path)


def test_a_word_that_a_vocabulary_has_twice_is_named(tmp_path: Path) -> None:
    write(tmp_path, "UNK\na\ncat\na\n", "_SUCCESS")
    with pytest.raises(Refused, match=r"/v, line 4: 'a' is in line 2 too"):
        existing(tmp_path)


def test_a_vocabulary_that_exists_is_used_up_to_the_size_that_it_may_have(tmp_path: Path) -> None:
    assert existing(tmp_path, "-vocabSize", "2") is None
    write(tmp_path, "\n".join(captions.vocabulary(["a cat", "a mat"], 2)), "_SUCCESS")

    for size in ("2", "8800"):
        assert existing(tmp_path, "-vocabSize", size) == ["UNK", "a", "cat"]
    with pytest.raises(Refused, match=r"-vocabSize 1: the vocabulary .*/v exists, with 2 words"):
        existing(tmp_path, "-vocabSize", "1")

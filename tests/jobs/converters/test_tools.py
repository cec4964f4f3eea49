"""Checks of a tool before it starts anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jobs.converters.cli import parse
from jobs.converters.tools import Place, run
from jobs.trainer.errors import Refused

ROWS = "Binary2DataFrame -imageRoot /i -labelFile /l -output /o"
COCO = "CocoDataSetConverter -imageRoot /i -captionFile /c -output /o -vocabDir v -embeddingDFDir e"


class Files:
    """Storage with these files."""

    def __init__(self, *uris: str) -> None:
        self._uris = uris

    def exists(self, uri: str) -> bool:
        return uri in self._uris


@pytest.mark.parametrize(
    ("line", "there", "words"),
    [
        (ROWS, ["/l"], "-imageRoot /i: there is no such file or folder"),
        (ROWS, ["/i"], "-labelFile /l: there is no such file or folder"),
        (ROWS, ["/i", "/l", "/o"], "-output /o: it exists"),
        (COCO, ["/i"], "-captionFile /c: there is no such file or folder"),
        (COCO, ["/i", "/c", "/o", "/o/v", "/o/e"], "-output /o/e: it exists"),
        (f"{COCO} -imageCaptionDFDir r", ["/i", "/c", "/o/r"], "-output /o/r: it exists"),
    ],
)
def test_inputs_exist_and_outputs_do_not(line: str, there: list[str], words: str) -> None:
    files: Any = Files(*there)

    with pytest.raises(Refused) as refused:
        run(Place(None, files, None, Path()), parse(line.split()))  # type: ignore[arg-type]
    assert str(refused.value).startswith(words)

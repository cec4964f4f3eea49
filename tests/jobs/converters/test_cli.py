"""Command lines of the tools: CaffeOnSpark's flags, each taken or refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.converters import tools
from jobs.converters.cli import parse
from jobs.converters.flags import TOOLS
from jobs.trainer.errors import Refused

COCO = "-imageRoot i -captionFile c -output o/ -vocabDir v -embeddingDFDir e".split()


def test_every_tool_has_a_command_line_and_a_program() -> None:
    assert set(TOOLS) == set(tools._RUN)
    for name, tool in TOOLS.items():
        argv = [word for flag in tool.needed for word in (f"-{flag}", flag)]
        assert parse([name, *argv]).tool == name


def test_values_are_those_of_the_line_or_caffeonsparks_defaults() -> None:
    given = parse(["CocoDataSetConverter", *COCO, "-captionLength", "10", "-outputFormat", "Parquet"])

    assert (given.caption_length, given.vocabulary_size, given.output_format) == (10, -1, "parquet")
    assert (given.below(given.vocabulary), given.below(given.embeddings)) == ("o/v", "o/e")
    defaults = parse(["CocoDataSetConverter", *COCO, "-vocabSize", "8800"])
    assert (defaults.caption_length, defaults.vocabulary_size, defaults.output_format) == (20, 8800, "json")


def test_relative_paths_of_file_uris_are_of_the_working_folder() -> None:
    line = "CocoDataSetConverter -imageRoot file:i -captionFile file:c -output file:o -vocabDir v"
    captions = parse([*line.split(), "-embeddingDFDir", "e"])
    rows = parse("Binary2Sequence -imageRoot /i -labelFile file:l -output hdfs:///o".split())

    here = f"file:{Path.cwd()}"
    assert (captions.image_root, captions.caption_file) == (f"{here}/i", f"{here}/c")
    assert (captions.output, captions.below("v")) == (f"{here}/o", f"{here}/o/v")
    assert (rows.image_root, rows.label_file, rows.output) == ("/i", f"{here}/l", "hdfs:///o")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "there is no such tool"),
        ("Binary2Seq -output o", "Binary2Seq: there is no such tool. Valid tools: Binary2Sequence, "),
        ("Binary2Sequence -imageRoot i -output o", "it needs -labelFile"),
        ("LMDB2Sequence -imageRoot i -output o -outputFormat json", "LMDB2Sequence does not take it"),
        ("LMDB2Sequence -imageRoot i -output o -train", "-train: LMDB2Sequence does not take it"),
        ("LMDB2Sequence -imageRoot i -output o -nosuch 1", "there is no such option"),
        ("LMDB2DataFrame -imageRoot i -output o -outputFormat orc", "valid formats are json, parquet"),
        ("LMDB2DataFrame -imageRoot i -output o -lmdb_partitions 0", "at least 1"),
        ("LMDB2DataFrame -imageRoot i -output", "its value is missing"),
    ],
)
def test_what_a_tool_does_not_take_is_refused(line: str, words: str) -> None:
    with pytest.raises(Refused) as refused:
        parse(line.split())
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("vocabulary", "embeddings", "captions"),
    [
        ("x", "x", "y"),
        ("x", "y", "/x/"),
        ("x", "y", "y"),
        ("../o/x", "x", "z"),
        ("x/y", "x", "z"),
        ("a//x", "a/./x", "z"),
    ],
)
def test_names_below_the_output_that_are_one_another_are_refused(
    vocabulary: str, embeddings: str, captions: str
) -> None:
    names = ["-vocabDir", vocabulary, "-embeddingDFDir", embeddings, "-imageCaptionDFDir", captions]
    with pytest.raises(Refused, match=r"names the same folder, or one in it.*its own name"):
        parse(["CocoDataSetConverter", "-imageRoot", "i", "-captionFile", "c", "-output", "o", *names])


@pytest.mark.parametrize("name", [".", "/", "..", "a/../../o"])
def test_a_name_that_is_the_output_itself_is_refused(name: str) -> None:
    with pytest.raises(Refused, match=r"-output names the same folder, or one in it|-\w+ names the same"):
        parse(["CocoDataSetConverter", *COCO, "-imageCaptionDFDir", name])


@pytest.mark.parametrize("size", ["0", "-2", "x", "1.5", "9" * 60])
def test_a_vocabulary_has_all_words_or_at_least_one(size: str) -> None:
    with pytest.raises(Refused) as refused:
        parse(["CocoDataSetConverter", *COCO, "-vocabSize", size])
    assert f"-vocabSize {size}: it is not a valid size" in str(refused.value)

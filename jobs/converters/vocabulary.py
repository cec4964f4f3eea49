"""Vocabulary of captions in storage, which belongs to the net that was trained with it."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Optional

from jobs.converters import captions, output
from jobs.converters.cli import ALL_WORDS, Conversion
from jobs.converters.progress import tell
from jobs.trainer.errors import Refused
from jobs.trainer.files.hadoop import Files

_DONE = "_SUCCESS"
"""File that Hadoop writes last into a folder."""


def existing(spark_context: Any, files: Files, conversion: Conversion) -> Optional[List[str]]:  # noqa: ANN401
    """Return the lines of the vocabulary in storage; None if there is none.

    Raises:
        Refused: it is not complete or not a vocabulary, or the command line has another size.
    """
    uri = conversion.below(conversion.vocabulary)
    if not files.exists(uri):
        return None
    listed = [name for name, _ in files.listed(uri)]
    if listed != [files.absolute(uri)] and not files.exists("{}/{}".format(uri, _DONE)):
        raise Refused("vocabulary-incomplete", uri=uri)
    lines = list(output.lines(spark_context, files.absolute(uri)))
    if lines[:1] != [captions.UNKNOWN]:
        raise Refused("vocabulary-invalid", uri=uri, first=lines[0][:80] if lines else "")
    seen: Dict[str, int] = {}
    for number, word in enumerate(lines, start=1):
        if seen.setdefault(word, number) != number:
            raise Refused("vocabulary-word-again", uri=uri, line=number, word=word[:80], other=seen[word])
    size, words = conversion.vocabulary_size, len(lines) - 1
    # The option is a limit, which captions of fewer words do not reach.
    if size != ALL_WORDS and words > size:
        raise Refused("vocabulary-size-exceeded", value=size, uri=uri, words=words)
    tell("{} exists, and is used".format(uri))
    return lines


def make(spark_context: Any, rows: Iterable[captions.Caption], conversion: Conversion) -> List[str]:  # noqa: ANN401
    """Write the vocabulary of captions; return its lines."""
    uri = conversion.below(conversion.vocabulary)
    lines = captions.vocabulary((row.caption or "" for row in rows), conversion.vocabulary_size)
    output.write_lines(spark_context, lines, uri)
    tell("{} written: {:,} words".format(uri, len(lines) - 1))
    return lines

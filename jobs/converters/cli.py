"""Command line of the tools: a tool's name, then CaffeOnSpark's flags, as `jobs.trainer.cli` splits them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from posixpath import normpath
from typing import Dict, Sequence, Tuple

from jobs.converters.flags import TOOLS
from jobs.trainer.cli import FORMATS, count_of, split
from jobs.trainer.errors import Refused
from jobs.trainer.files.storage import whole

_BELOW = ("vocabDir", "imageCaptionDFDir", "embeddingDFDir")
"""Flags with names below -output."""
_LONGEST = 18
"""Digits of a size: int refuses very many."""
CAPTION_LENGTH, ALL_WORDS = 20, -1


@dataclass(frozen=True)
class Conversion:
    """A valid command line. Paths are URIs (of `file:` absolute) or bare paths on the default file system."""

    tool: str
    image_root: str
    output: str
    output_format: str
    label_file: str
    caption_file: str
    caption_length: int
    vocabulary_size: int
    """-1: all words."""
    image_captions: str
    """As `vocabulary` and `embeddings`: a name below `output`; empty: not written."""
    vocabulary: str
    embeddings: str
    partitions: int
    """0: by the size of the database."""
    notes: Tuple[str, ...]

    def below(self, name: str) -> str:
        """Return the URI of a name below `output`."""
        return "{}/{}".format(self.output.rstrip("/"), name.strip("/"))


def parse(argv: Sequence[str]) -> Conversion:
    """Read a command line.

    Raises:
        Refused: there is no such tool, or its flags are not valid.
    """
    tool = argv[0] if argv else ""
    if tool not in TOOLS:
        raise Refused("tool-unknown", tool=tool or "the tool", valid=", ".join(TOOLS))
    flags, notes = split(argv[1:])
    takes = TOOLS[tool]
    for name in flags:
        if name not in takes.needed + takes.optional:
            raise Refused("tool-option-unused", tool=tool, option="-" + name, valid=takes.flags)
    for name in takes.needed:
        if not flags.get(name):
            raise Refused("tool-option-missing", tool=tool, option="-" + name, valid=takes.flags)
    chosen = flags.get("outputFormat", FORMATS[0]).lower()
    if chosen not in FORMATS:
        raise Refused("output-format-unknown", format=chosen, valid=", ".join(FORMATS))
    _check_names(flags)
    return Conversion(
        tool=tool,
        image_root=whole(flags["imageRoot"]),
        output=whole(flags["output"]),
        output_format=chosen,
        label_file=whole(flags.get("labelFile", "")),
        caption_file=whole(flags.get("captionFile", "")),
        caption_length=count_of("captionLength", flags.get("captionLength"), CAPTION_LENGTH),
        vocabulary_size=_vocabulary_size(flags),
        image_captions=flags.get("imageCaptionDFDir", ""),
        vocabulary=flags.get("vocabDir", ""),
        embeddings=flags.get("embeddingDFDir", ""),
        partitions=count_of("lmdb_partitions", flags.get("lmdb_partitions"), 0),
        notes=tuple(notes),
    )


def _check_names(flags: Dict[str, str]) -> None:
    """Require names below -output of which none is, or holds, another or -output itself."""
    output = PurePosixPath(normpath(flags["output"]))
    paths = {
        name: PurePosixPath(normpath("{}/{}".format(output, flags[name].strip("/"))))
        for name in _BELOW
        if flags.get(name)
    }
    for name, path in paths.items():
        for other, beside in (*paths.items(), ("output", output)):
            if other != name and path in {beside, *beside.parents}:
                raise Refused("names-overlap", option="-" + name, other="-" + other, name=flags[name])


def _vocabulary_size(flags: Dict[str, str]) -> int:
    text = flags.get("vocabSize", str(ALL_WORDS))
    valid = text.isascii() and text.isdecimal() and len(text) <= _LONGEST and int(text) >= 1
    if text != str(ALL_WORDS) and not valid:
        raise Refused("vocabulary-size-invalid", value=text[:80])
    return int(text)

"""The tools by name, with the flags that each takes."""

from __future__ import annotations

from typing import Mapping, NamedTuple, Tuple


class Tool(NamedTuple):
    """Flags that a tool needs, and those that it may have besides."""

    needed: Tuple[str, ...]
    optional: Tuple[str, ...] = ()

    @property
    def flags(self) -> str:
        """All of them, as they are typed."""
        return ", ".join("-" + name for name in (*self.needed, *self.optional))


_IMAGES = ("imageRoot", "labelFile", "output")
_DATABASE = ("imageRoot", "output")
TOOLS: Mapping[str, Tool] = {
    "Binary2Sequence": Tool(_IMAGES),
    "Binary2DataFrame": Tool(_IMAGES, ("outputFormat",)),
    "Binary2LMDB": Tool(_IMAGES),
    "LMDB2DataFrame": Tool(_DATABASE, ("outputFormat", "lmdb_partitions")),
    "LMDB2Sequence": Tool(_DATABASE, ("lmdb_partitions",)),
    "DataFrame2LMDB": Tool(_DATABASE),
    "CocoDataSetConverter": Tool(
        ("imageRoot", "captionFile", "output", "vocabDir", "embeddingDFDir"),
        ("captionLength", "vocabSize", "imageCaptionDFDir", "outputFormat"),
    ),
}
"""CaffeOnSpark's tools, and two of ours: Binary2LMDB and DataFrame2LMDB."""

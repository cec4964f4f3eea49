"""Captions as CaffeOnSpark's CocoDataSetConverter has them: words, a vocabulary, sentences of ids.

Ids are those of its Vocab: a word's is its line in the vocabulary, which begins with UNK, so that the most
frequent word has id 1, as an unknown one has.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

UNKNOWN = "UNK"
START_END_ID, UNKNOWN_ID, PADDING = 0, 1, -1
_WORD = re.compile(r"\w+|\W+", re.ASCII)


class Sentence(NamedTuple):
    """Arrays of one length."""

    input: List[int]
    """START_END_ID, then the ids of the words; padded with START_END_ID.

    CaffeOnSpark pads with -1, for which Caffe's Embed layer reads memory before its weights.
    """
    cont: List[int]
    """0 at the start of the sentence, 1 for each word; padded with PADDING."""
    target: List[int]
    """Ids of the words, then START_END_ID; padded with PADDING, which the loss ignores."""


class Caption(NamedTuple):
    """A row of images and captions; of images alone, `id` is the image's, and there is no caption."""

    id: int
    height: int
    width: int
    file: str
    url: Optional[str]
    caption: Optional[str]


def words(sentence: str) -> List[str]:
    """Return the words and the punctuation of a sentence in lower case, without a full stop at its end."""
    # Blanks inside punctuation are one blank: a word has a line of the vocabulary.
    found = [" ".join(word.split()).lower() for word in _WORD.findall(sentence) if word.strip()]
    return found[:-1] if found[-1:] == ["."] else found


def vocabulary(sentences: Iterable[str], size: int) -> List[str]:
    """Return UNK, then the words by frequency and name: at most `size` of them, if that is positive."""
    counts = Counter(word for sentence in sentences for word in words(sentence))
    ordered = sorted(counts, key=lambda word: (-counts[word], word))
    return [UNKNOWN, *(ordered[:size] if size > 0 else ordered)]


def ids_of(lines: Sequence[str]) -> Dict[str, int]:
    """Return the id of each word of a vocabulary."""
    return {word: number for number, word in enumerate(lines)}


def embedded(caption: str, ids: Mapping[str, int], length: int) -> Sentence:
    """Return a caption of at most `length` words as arrays of one more.

    CaffeOnSpark's last release writes arrays of `length`, which its own net for captions does not take.
    """
    known = [ids.get(word, UNKNOWN_ID) for word in words(caption)[:length]]
    rest = [PADDING] * (length - len(known))
    return Sentence(
        [START_END_ID, *known, *(START_END_ID for _ in rest)],
        [0, *(1 for _ in known), *rest],
        [*known, START_END_ID, *rest],
    )


def read(document: Any) -> Tuple[List[Caption], bool]:  # noqa: ANN401 - JSON
    """Return the rows of a file in COCO's format, and whether they have captions: then one for each of these.

    Raises:
        ValueError: it is not such a file.
    """
    try:
        images = {image["id"]: image for image in document["images"]}
        if "annotations" not in document:
            return [_row(image["id"], image, "coco_url", None) for image in images.values()], False
        rows = []
        for each in document["annotations"]:
            if each["image_id"] not in images:
                raise ValueError("caption {} is of no image of the file".format(each["id"]))
            rows.append(_row(each["id"], images[each["image_id"]], "flickr_url", _text(each, "caption")))
    except KeyError as error:
        raise ValueError("{} is missing".format(error)) from error
    except TypeError as error:
        raise ValueError(str(error)) from error
    else:
        return rows, True


def _row(id_: Any, image: Any, url: str, caption: Optional[str]) -> Caption:  # noqa: ANN401
    height, width = (_whole(image[name], name) for name in ("height", "width"))
    return Caption(_whole(id_, "id"), height, width, _text(image, "file_name"), image.get(url), caption)


def _whole(value: Any, name: str) -> int:  # noqa: ANN401
    """Return a number of the file; 640.0 is one, 1.9 is not."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value // 1:
        raise ValueError("{} {!r} is not a whole number".format(name, value))
    return int(value)


def _text(row: Any, name: str) -> str:  # noqa: ANN401
    if not isinstance(row[name], str):
        raise ValueError("{} {!r} of {} is not a text".format(name, row[name], row["id"]))
    return str(row[name])

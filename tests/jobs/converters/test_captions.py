"""Captions as CaffeOnSpark's tools have them: its words, its vocabulary, its arrays."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jobs.converters.captions import embedded, ids_of, read, vocabulary, words

COCO: dict[str, Any] = {
    "images": [
        {"id": 5, "height": 4, "width": 6, "file_name": "a.jpg", "flickr_url": "f", "coco_url": "c"},
        {"id": 6, "height": 8, "width": 9, "file_name": "b.jpg"},
    ],
    "annotations": [
        {"id": 11, "image_id": 6, "caption": "Two dogs."},
        {"id": 10, "image_id": 5, "caption": "A cat."},
    ],
}


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("A Cat sits on the cat. ", ["a", "cat", "sits", "on", "the", "cat"]),
        ("Two dogs, running!", ["two", "dogs", ",", "running", "!"]),
        ('The "bird"\n . "x"', ["the", '"', "bird", '" . "', "x", '"']),
        ("naïve", ["na", "ï", "ve"]),
        ("", []),
        (".", []),
    ],
)
def test_a_sentence_is_cut_as_there(sentence: str, expected: list[str]) -> None:
    assert words(sentence) == expected


def test_a_vocabulary_begins_with_unk_and_the_most_frequent_words() -> None:
    sentences = ["b a a", "c a b", "d"]

    assert vocabulary(sentences, -1) == ["UNK", "a", "b", "c", "d"]
    assert vocabulary(sentences, 2) == ["UNK", "a", "b"]
    assert ids_of(["UNK", "a", "b"]) == {"UNK": 0, "a": 1, "b": 2}


def test_a_caption_is_shifted_between_input_and_target() -> None:
    ids = ids_of(["UNK", "a", "cat", "sits"])

    made = embedded("A cat sits.", ids, 4)

    assert made.input == [0, 1, 2, 3, 0]
    assert made.cont == [0, 1, 1, 1, -1]
    assert made.target == [1, 2, 3, 0, -1]


def test_every_input_is_a_word_that_an_embed_layer_has() -> None:
    ids = ids_of(["UNK", "a", "cat"])

    assert set(embedded("a zebra", ids, 20).input) <= set(range(len(ids) + 1))


def test_a_caption_that_is_too_long_is_cut_and_unknown_words_are_told_apart_from_padding() -> None:
    made = embedded("a zebra sits here", ids_of(["UNK", "sits", "a"]), 3)

    assert made.input == [0, 2, 1, 1]
    assert made.target == [2, 1, 1, 0]
    assert {len(part) for part in made} == {4}


def test_arrays_of_the_default_length_fit_the_net_that_caffeonspark_ships() -> None:
    assert {len(part) for part in embedded("a cat", {}, 20)} == {21}


def test_a_file_has_a_row_for_each_caption_in_its_order() -> None:
    rows, have_captions = read(json.loads(json.dumps(COCO)))

    assert have_captions
    assert rows == [(11, 8, 9, "b.jpg", None, "Two dogs."), (10, 4, 6, "a.jpg", "f", "A cat.")]


def test_without_captions_there_is_a_row_for_each_image() -> None:
    rows, have_captions = read({"images": COCO["images"]})

    assert not have_captions
    assert rows == [(5, 4, 6, "a.jpg", "c", None), (6, 8, 9, "b.jpg", None, None)]


@pytest.mark.parametrize(
    ("document", "words_"),
    [
        ([], "list indices"),
        ({}, "'images' is missing"),
        ({"images": [{}]}, "'id' is missing"),
        (
            {"images": [], "annotations": [{"id": 1, "image_id": 2, "caption": ""}]},
            "caption 1 is of no image",
        ),
        ({"images": [], "annotations": [{"id": 1}]}, "'image_id' is missing"),
        ({"images": [{"id": 1, "height": "x", "width": 1, "file_name": ""}]}, "height 'x' is not a whole"),
        ({"images": [{"id": 1.9, "height": 1, "width": 1, "file_name": ""}]}, "id 1.9 is not a whole number"),
        (
            {"images": [{"id": 1, "height": 1, "width": 1, "file_name": None}]},
            "file_name None of 1 is not",
        ),
        (
            {**COCO, "annotations": [{"id": 3, "image_id": 5, "caption": None}]},
            "caption None of 3 is not",
        ),
    ],
)
def test_another_file_is_refused(document: Any, words_: str) -> None:
    with pytest.raises(ValueError, match=words_):
        read(document)

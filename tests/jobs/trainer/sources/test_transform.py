"""transform_param against values computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from jobs.trainer.sources.transform import Transform

GREY = np.arange(9, dtype=np.uint8).reshape(1, 3, 3)
COLOUR = np.stack([np.full((2, 2), value, np.uint8) for value in (10, 20, 30)])


class Fixed(np.random.RandomState):
    """Gives these numbers, in turn."""

    def __init__(self, *values: int) -> None:
        super().__init__(0)
        self.values, self.limits = list(values), []

    def randint(self, limit: int) -> int:  # type: ignore[override]
        self.limits.append(limit)
        return self.values.pop(0)


def test_nothing_asked_gives_the_pixels_as_floats() -> None:
    values = Transform().apply(GREY, Fixed())

    assert values.dtype == np.float32
    assert np.array_equal(values, GREY)


def test_scale_multiplies() -> None:
    assert Transform(scale=1 / 256).apply(GREY, Fixed())[0, 2, 2] == 8 / 256


def test_the_mean_goes_before_the_scale() -> None:
    values = Transform(scale=0.5, mean_values=(4,)).apply(GREY, Fixed())

    assert values[0].tolist() == [[-2, -1.5, -1], [-0.5, 0, 0.5], [1, 1.5, 2]]


def test_one_mean_value_a_channel() -> None:
    values = Transform(mean_values=(1, 2, 3)).apply(COLOUR, Fixed())

    assert values[:, 0, 0].tolist() == [9, 18, 27]


def test_testing_crops_the_centre() -> None:
    assert Transform(crop=1).apply(GREY, Fixed()).tolist() == [[[4]]]


def test_an_odd_rest_goes_to_the_lower_right_as_in_caffe() -> None:
    assert Transform(crop=2).apply(GREY, Fixed())[0].tolist() == [[0, 1], [3, 4]]


def test_training_crops_anywhere_including_both_ends() -> None:
    random = Fixed(1, 1)

    values = Transform(crop=2, train=True).apply(GREY, random)

    assert values[0].tolist() == [[4, 5], [7, 8]]
    assert random.limits == [2, 2]


def test_the_mean_image_is_cropped_where_the_record_is() -> None:
    mean = np.arange(9, dtype=np.float32).reshape(1, 3, 3)

    assert np.all(Transform(crop=2, mean=mean, train=True).apply(GREY, Fixed(1, 0)) == 0)


@pytest.mark.parametrize(("coin", "first_row"), [(0, [0, 1, 2]), (1, [2, 1, 0])])
def test_mirror_tosses_a_coin(coin: int, first_row: list[int]) -> None:
    assert Transform(mirror=True).apply(GREY, Fixed(coin))[0, 0].tolist() == first_row


def test_the_mean_is_mirrored_with_the_record() -> None:
    mean = np.array([[[0, 0, 2]]] * 1, np.float32).repeat(3, axis=1)

    values = Transform(mirror=True, mean=mean).apply(GREY, Fixed(1))

    assert values[0, 0].tolist() == [0, 1, 0]


def test_floats_stay_what_they_are() -> None:
    assert Transform(scale=2).apply(np.full((1, 1, 1), 0.25, np.float32), Fixed()).item() == 0.5


def test_the_records_own_pixels_are_not_changed() -> None:
    pixels = np.ones((1, 2, 2), np.float32)

    Transform(scale=5, mean_values=(3,)).apply(pixels, Fixed())

    assert np.all(pixels == 1)

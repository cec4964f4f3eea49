from __future__ import annotations

import pytest

from jobs.room import Size, room

DRIVER = Size(1, 1024)


@pytest.mark.parametrize(
    ("free", "executor", "driver", "fit"),
    [
        ([(2, 2048), (2, 2048)], (1, 1024), None, 4),
        ([(2, 2048), (2, 2048)], (1, 1024), DRIVER, 3),
        ([(2, 2048), (2, 2048)], (2, 1024), DRIVER, 1),
        # The driver goes where it costs no executor.
        ([(2, 2048), (1, 1024)], (2, 2048), DRIVER, 1),
        ([(3, 4096)], (2, 2048), DRIVER, 1),
        ([(1, 512), (1, 512)], (1, 512), DRIVER, 0),
        ([], (1, 1024), None, 0),
        ([], (1, 1024), DRIVER, 0),
    ],
)
def test_as_many_executors_fit_as_cores_and_memory_allow(
    free: list[tuple[int, int]], executor: tuple[int, int], driver: Size | None, fit: int
) -> None:
    assert room([Size(*one) for one in free], Size(*executor), driver) == fit

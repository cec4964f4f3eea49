"""Storage in memory, in place of the driver's."""

from __future__ import annotations


class Files:
    def __init__(self) -> None:
        self.written: list[str] = []
        self.fails = 0

    def write(self, _: str, text: str) -> None:
        if self.fails:
            self.fails -= 1
            raise OSError("no storage")
        self.written.append(text)

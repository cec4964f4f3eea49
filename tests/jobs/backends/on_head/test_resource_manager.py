"""The ResourceManager as the head asks it."""

from __future__ import annotations

from jobs.backends.on_head.resource_manager import log_lines


def test_frames_of_yarns_log_tool_are_left_out() -> None:
    printed = ["Container: c", "LogType:stderr", "LogContents:", "a", "", "b", "End of LogType:stderr", "***"]
    assert log_lines(printed) == ["a", "", "b"]

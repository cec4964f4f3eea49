"""Prototxt files that are read as messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jobs.trainer.caffe import text
from jobs.trainer.errors import Refused


def test_a_file_that_cannot_be_read_is_named_with_the_solver_that_refers_to_it(
    tmp_path: Path, pb: Any
) -> None:
    with pytest.raises(Refused) as alone:
        text.read(tmp_path, pb.SolverParameter())
    with pytest.raises(Refused) as referred:
        text.read(tmp_path, pb.NetParameter(), "s.prototxt")

    assert (alone.value.code, referred.value.code) == ("solver-unreadable", "net-unreadable")
    assert referred.value.fields == {
        "file": str(tmp_path),
        "reason": "Is a directory",
        "solver": "s.prototxt",
    }


def test_strings_stay_whole_where_a_comment_is_of_another_encoding(tmp_path: Path, pb: Any) -> None:
    file = tmp_path / "s.prototxt"
    file.write_bytes(b"\xef\xbb\xbf" + b"""net: "a#b'" # \xff\ntype: 'c#"d' # " \xfe\n""")

    read = text.read(file, pb.SolverParameter())

    assert (read.net, read.type) == ("a#b'", 'c#"d')

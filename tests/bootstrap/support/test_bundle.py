from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from bootstrap.errors import ServiceDown, StackError
from bootstrap.support import bundle as module
from bootstrap.support.bundle import Bundle
from bootstrap.support.masking import Masking

SECRET = "known-secret-value"


def read(path: Path) -> dict[str, str]:
    """The texts of an archive by their names below its folder."""
    with tarfile.open(path) as archive:
        found = {}
        for member in archive.getmembers():
            file = archive.extractfile(member)
            assert file is not None
            found[member.name.partition("/")[2]] = file.read().decode()
        return found


def test_files_are_masked_listed_and_readable_for_their_owner_alone(tmp_path: Path) -> None:
    bundle = Bundle(Masking([SECRET]))
    bundle.add("a/log.txt", f"with {SECRET}\n")
    path = tmp_path / "results" / "support-dev.tar.gz"
    bundle.write(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert read(path) == {
        "CONTENTS.txt": "        9 a/log.txt\n",
        "MISSING.txt": "nothing\n",
        "a/log.txt": "with ***\n",
    }
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_of_a_long_text_whole_lines_of_its_end_are_kept_and_that_is_told(tmp_path: Path) -> None:
    bundle = Bundle(Masking())
    bundle.add("log", "".join(f"line {number}\n" for number in range(100)), limit=20)
    (entry,) = bundle.entries
    assert (entry.cut, bundle._files["log"]) == (True, b"line 98\nline 99\n")
    bundle.write(tmp_path / "x.tar.gz")
    assert "log (its end)" in read(tmp_path / "x.tar.gz")["CONTENTS.txt"]


def test_a_secret_at_the_cut_is_masked_before_it_is_cut() -> None:
    bundle = Bundle(Masking([SECRET]))
    for limit in range(4, 40):
        bundle.add("log", f"first\n{SECRET} {SECRET}\nlast line\n", limit=limit)
        text = bundle._files["log"].decode()
        assert not any(SECRET[begin:] in text for begin in range(len(SECRET) - 5))


def test_the_end_of_a_file_is_added_and_a_file_that_is_not_there_is_missing(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("".join(f"line {number}\n" for number in range(1000)))
    bundle = Bundle(Masking())
    bundle.add_file("log", tmp_path / "log", limit=30)
    bundle.add_file("other", tmp_path / "other")
    assert bundle._files["log"].decode() == "line 997\nline 998\nline 999\n"
    assert bundle.missing == ("other: No such file or directory",)


def test_files_beyond_the_bundles_size_are_left_out_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IN_ALL", 10)
    bundle = Bundle(Masking())
    bundle.add("a", "12345678")
    bundle.add("b", "123")
    assert [entry.name for entry in bundle.entries] == ["a"]
    assert bundle.missing[0].startswith("b: the bundle holds no more than")


def test_an_expected_failure_is_a_missing_part_with_its_secrets_masked() -> None:
    bundle = Bundle(Masking([SECRET]))

    def fail() -> str:
        raise ServiceDown("HDFS", f"it refused\n{SECRET}", "Run `fab doctor`.")

    bundle.collect("jobs.txt", fail)
    with bundle.part("nodes"):
        raise StackError("stack 'dev'", "it is not up", "Run `pulumi up`.")
    assert bundle.missing == (
        "jobs.txt: HDFS: it refused ***. Run `fab doctor`.",
        "nodes: stack 'dev': it is not up. Run `pulumi up`.",
    )


def test_a_bug_is_not_taken_for_a_missing_part() -> None:
    with pytest.raises(ZeroDivisionError), Bundle(Masking()).part("x"):
        _ = 1 / 0

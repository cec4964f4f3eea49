"""Catalogue of failures: every code that is raised is in it, with its fields."""

from __future__ import annotations

import ast
import pickle
import re
import string
from pathlib import Path
from typing import NamedTuple

import pytest

from bootstrap.framework.recipe import RECIPES
from jobs.trainer.contract import failures
from jobs.trainer.contract.failures import FAILURES
from jobs.trainer.errors import Refused, TrainerError

JOBS = Path(failures.__file__).parents[3]
RAISERS = {"TrainerError", "Refused", "PeerLost", "refuse", "require_same"}
PASSED_ON = {
    "jobs/backends/on_head/yarn.py",
    "jobs/trainer/caffe/feed.py",
    "jobs/trainer/errors.py",
    "jobs/trainer/ranks/group.py",
}
"""Modules with a function that raises a code of its caller, who is in `RAISERS` too, or native."""
NATIVE = RECIPES / "caffe/feed/native.cpp"
_BAD_RECORD = re.compile(r'\bBadRecord\("([a-z-]+)"')


class Raise(NamedTuple):
    """A call that raises a failure."""

    place: str
    codes: list[str]
    """Empty where the code is not in the source text."""
    fields: set[str] | None
    """None where fields of a caller are passed on."""


def codes_in(node: ast.expr) -> list[str]:
    """Return the codes that an argument may be: a literal, or one of two literals."""
    if isinstance(node, ast.IfExp):
        return [*codes_in(node.body), *codes_in(node.orelse)]
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


def raises() -> list[Raise]:
    """Return every raise of a failure in jobs."""
    found = []
    for file in sorted(JOBS.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if name not in RAISERS:
                continue
            given = {str(word.arg) for word in node.keywords if word.arg}
            if name == "require_same":
                given |= {"values"}
            passed_on = any(word.arg is None for word in node.keywords)
            place = f"{file.relative_to(JOBS.parent).as_posix()}:{node.lineno}"
            # Livy's client has a Refused of its own, whose three parts are sentences.
            if file.name.startswith("livy_client"):
                continue
            found.append(Raise(place, codes_in(node.args[0]), None if passed_on else given))
    return found


def fields(code: str) -> set[str]:
    """Fields that a code's words name."""
    parts = [name for part in FAILURES[code] for _, name, _, _ in string.Formatter().parse(part) if name]
    return set(parts) - {"resume", "restart"}


def test_every_code_that_is_raised_is_in_the_catalogue_and_every_code_is_raised() -> None:
    native = set(_BAD_RECORD.findall(NATIVE.read_text()))

    assert native | {code for one in raises() for code in one.codes} == set(FAILURES)


def test_a_code_is_in_one_area_and_every_area_is_in_the_catalogue() -> None:
    files = {file.stem for file in Path(failures.__file__).parent.glob("[!_]*.py")}

    assert sum(len(area.FAILURES) for area in failures.AREAS) == len(FAILURES)
    assert {area.__name__.rpartition(".")[2] for area in failures.AREAS} == files - {"templates"}


def test_every_code_stands_in_the_source_text_where_it_is_raised() -> None:
    elsewhere = {one.place.partition(":")[0] for one in raises() if not one.codes}

    assert elsewhere == PASSED_ON


def test_every_raise_gives_the_fields_that_the_words_name() -> None:
    for place, codes, given in raises():
        if given is None:
            continue
        for code in codes:
            assert fields(code) <= given, f"{code} at {place}"


@pytest.mark.parametrize("code", FAILURES)
def test_words_are_three_parts_in_one_line(code: str) -> None:
    words = failures.words(code, dict.fromkeys(fields(code), "x"))

    assert all(words)
    assert "{" not in words.given + words.why
    assert "\n" not in failures.sentence(words)


def test_a_missing_field_is_a_bug_that_shows_at_once() -> None:
    with pytest.raises(KeyError, match="uri"):
        Refused("output-exists")


def test_a_failure_survives_the_way_between_processes() -> None:
    error = pickle.loads(pickle.dumps(TrainerError("output-exists", uri="hdfs:///o")))

    assert (error.code, error.fields) == ("output-exists", {"uri": "hdfs:///o"})
    assert str(error) == (
        "-output hdfs:///o: it exists, and results are not overwritten. Remove it, or give another path."
    )


def test_the_last_snapshot_is_what_to_resume_from() -> None:
    given = {"rank": 1, "host": "w2", "reason": "boom"}

    assert (
        failures.words("rank-failed", given).fix == "There is no snapshot to resume from. Run the job again."
    )
    snapshot = {"resume_from": 50, "snapshot": "hdfs://h/a.st", "weights": "hdfs://h/a.cm"}
    assert failures.words("rank-failed", {**given, **snapshot}).fix == (
        "Resume from iteration 50 with -snapshot hdfs://h/a.st -weights hdfs://h/a.cm"
    )


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("rank-failed", True),
        ("training-diverged", True),
        ("snapshot-not-stored", True),
        ("output-exists", False),
        ("of-a-later-version", False),
    ],
)
def test_a_failure_tells_whether_its_fix_says_how_to_go_on(code: str, says: bool) -> None:
    assert failures.advises(code) is says

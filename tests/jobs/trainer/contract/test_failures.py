"""Catalogue of failures: every code that is raised is in it, with its fields."""

from __future__ import annotations

import ast
import pickle
import string
from pathlib import Path

import pytest

from jobs.trainer.contract import failures
from jobs.trainer.contract.failures import FAILURES
from jobs.trainer.errors import Refused, TrainerError

JOBS = Path(failures.__file__).parents[2]
RAISERS = {"TrainerError", "Refused", "PeerLost", "refuse"}
OF_RESUME = {"resume_from", "snapshot", "weights"}


def raised() -> dict[str, tuple[str, set[str] | None]]:
    """Where each code is raised, and the names of its fields; None where they are passed on."""
    found: dict[str, tuple[str, set[str] | None]] = {}
    for file in sorted(JOBS.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if name not in {*RAISERS, "require_same"}:
                continue
            codes = [one for one in ast.walk(node.args[0]) if isinstance(one, ast.Constant)]
            given = {str(word.arg) for word in node.keywords if word.arg}
            if name == "require_same":
                given |= {"values"}
            passed_on = any(word.arg is None for word in node.keywords)
            for code in codes:
                if isinstance(code.value, str):
                    found[code.value] = (f"{file.name}:{node.lineno}", None if passed_on else given)
    return found


def fields(code: str) -> set[str]:
    """Fields that a code's words name."""
    parts = [name for part in FAILURES[code] for _, name, _, _ in string.Formatter().parse(part) if name]
    return set(parts) - {"resume"}


def test_every_code_that_is_raised_is_in_the_catalogue_and_every_code_is_raised() -> None:
    used = {code for code in raised() if code in FAILURES or "-" in code}
    in_variables = {"source-class-unsupported", "source-class-unknown"}
    assert used | in_variables == set(FAILURES)


def test_every_raise_gives_the_fields_that_the_words_name() -> None:
    for code, (where, given) in raised().items():
        if given is not None and code in FAILURES:
            assert fields(code) <= given, f"{code} at {where}"


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

    assert failures.words("rank-failed", given).fix == "Run the job again."
    snapshot = {"resume_from": 50, "snapshot": "hdfs://h/a.st", "weights": "hdfs://h/a.cm"}
    assert failures.words("rank-failed", {**given, **snapshot}).fix == (
        "Go on from iteration 50 with -snapshot hdfs://h/a.st -weights hdfs://h/a.cm"
    )

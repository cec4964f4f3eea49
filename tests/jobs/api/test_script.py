"""Jobs that run a user's script: its end is the job's."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.api import script
from jobs.trainer import contract
from jobs.trainer.contract import Done, Event, Failed

Run = Callable[..., tuple[int, Event | None]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv(contract.EVENTS_ENV, str(tmp_path / "events.jsonl"))
    monkeypatch.setattr(sys, "argv", ["main.py"])

    def run(text: str, *words: str) -> tuple[int, Event | None]:
        (tmp_path / "mine.py").write_text(text)
        code = script.main([str(tmp_path / "mine.py"), *words])
        return code, contract.load((tmp_path / "events.jsonl").read_text().splitlines()[-1])

    return run


def test_a_script_gets_its_arguments_and_ends_the_job(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    code, last = run("import sys\nassert __name__ == '__main__'\nprint(sys.argv[1:])", "-conf", "s")
    assert (code, type(last)) == (0, Done)
    assert "['-conf', 's']" in capsys.readouterr().out


def test_a_refusal_of_the_trainer_keeps_its_code_and_words(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    code, last = run("from jobs.api import Config\nConfig(None, {'modle': 'm'})")
    assert isinstance(last, Failed)
    assert (code, last.code, last.exit_code) == (2, "option-unknown", 2)
    error = capsys.readouterr().err
    assert error.startswith("caffe-spark: -modle: there is no such option")
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("raise ValueError('no such column\\nmore')", "ValueError: no such column"),
        ("import sys; sys.exit(3)", "it exited with 3"),
        ("import sys; sys.exit(200)", "it exited with 200"),
        ("import sys; sys.exit(130)", "it exited with 130"),
        ("import sys; sys.exit('bad data')", "it exited with bad data"),
        ("def broken(:", "SyntaxError: invalid syntax"),
    ],
)
def test_a_script_that_fails_fails_the_job_with_its_reason(run: Run, text: str, reason: str) -> None:
    code, last = run(text)
    assert isinstance(last, Failed)
    assert (code, last.code) == (1, "script-failed")
    assert str(last.fields["reason"]).startswith(reason)


def test_the_traceback_of_a_script_is_in_the_log(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run("1 / 0")
    assert 'mine.py", line 1' in capsys.readouterr().err


@pytest.mark.parametrize("ending", ["", "import sys; sys.exit(0)", "import sys; sys.exit()"])
def test_a_script_that_exits_with_success_is_done(run: Run, ending: str) -> None:
    assert run(ending)[0] == 0


def test_a_killed_script_ends_without_a_failure_of_its_own(run: Run) -> None:
    with pytest.raises(SystemExit):
        run("import sys; sys.exit(143)")

"""Tasks of jobs, as they are typed."""

from __future__ import annotations

import pytest
from fabric.main import program


@pytest.mark.parametrize("task", ["attach", "logs", "curve", "kill"])
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_of_a_task_with_an_argument_is_its_help(
    task: str, flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        program.run(["fab", task, flag])

    assert ended.value.code == 0
    assert f"Usage: fab [--core-opts] {task} " in capsys.readouterr().out


@pytest.mark.parametrize("task", ["attach", "logs", "curve", "kill"])
@pytest.mark.parametrize("job", ["-x", "--stak", "../../x", "a b", "\x1b[2J"])
def test_what_is_not_a_jobs_id_is_refused_by_name(
    task: str, job: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        program.run(["fab", task, job])

    assert ended.value.code == 1
    assert f"job {job!r}: it is not a valid job id" in capsys.readouterr().err

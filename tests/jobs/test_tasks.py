"""Tasks of jobs, as they are typed."""

from __future__ import annotations

import pytest
from fabric.main import program

from jobs.datasets import put as put_data
from jobs.datasets import show as show_data
from jobs.tasks import datasets as tasks


@pytest.mark.parametrize("task", ["attach", "logs", "curve", "kill", "resume", "data"])
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_of_a_task_with_an_argument_is_its_help(
    task: str, flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        program.run(["fab", task, flag])

    assert ended.value.code == 0
    assert f"Usage: fab [--core-opts] {task} " in capsys.readouterr().out


@pytest.mark.parametrize("task", ["attach", "logs", "curve", "kill", "resume"])
@pytest.mark.parametrize("job", ["-x", "--stak", "../../x", "a b", "\x1b[2J"])
def test_what_is_not_a_jobs_id_is_refused_by_name(
    task: str, job: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        program.run(["fab", task, job])

    assert ended.value.code == 1
    assert f"job {job!r}: it is not a valid job id" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["paint"], "fab data paint: 'paint' is not a valid action. Type one of `fab data put PATH NAME"),
        (
            ["put", "x"],
            "fab data put x: put takes PATH and NAME. Type `fab data put PATH NAME --stack nosuch`.",
        ),
        (["show"], "fab data show: show takes NAME. Type `fab data show NAME --stack nosuch`."),
        (["show", "a", "b"], "fab data show a b: show takes NAME."),
        (["list", "doctor"], "fab data list doctor: list takes no further words."),
        (["list", "--force"], "fab data list: --force is for put alone."),
        (["put", "x", "mnist"], "data 'mnist': it is a built-in data set"),
    ],
)
def test_wrong_words_after_data_are_refused_in_one_line_before_the_stack_is_asked(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        program.run(["fab", "data", *words, "--stack", "nosuch"])

    err = capsys.readouterr().err
    assert ended.value.code == 1
    assert err.startswith(said)
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "done"),
    [
        (["put", "put", "pets"], ("put", "put", "pets", None, False)),
        (["--stack", "dev", "put", "x", "pets", "--labels", "l", "--force"], ("put", "x", "pets", "l", True)),
        (["list"], ("list",)),
        (["show", "pets"], ("show", "pets")),
    ],
)
def test_words_after_data_are_where_they_are_typed(
    words: list[str], done: tuple[object, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[object, ...]] = []
    monkeypatch.setattr(tasks, "reading_of", lambda _: None)
    monkeypatch.setattr(tasks, "cluster_of", lambda *_, **__: None)
    monkeypatch.setattr(tasks, "print_whole", lambda _: None)

    def put(_: object, path: str, name: str, __: object, *, labels: str | None, force: bool) -> None:
        seen.append(("put", path, name, labels, force))

    monkeypatch.setattr(put_data, "put", put)
    monkeypatch.setattr(show_data, "table", lambda _: seen.append(("list",)))
    monkeypatch.setattr(show_data, "show", lambda _, name, *__: seen.append(("show", name)))
    program.run(["fab", "data", *words], exit=False)

    assert seen == [done]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--no-notice", "--partition"], "--no-notice --partition: a partition has no notice"),
        (["--count", "3"], "--count 3: the job has 2 executors. Give 1 up to that many."),
        (["--notice-seconds", "0"], "--notice-seconds 0: it is not a valid duration. Give at least 1."),
        (["--iterations", "0"], "--iterations 0: it is not a valid number"),
        (["--on-worker-lost", "fail"], "onWorkerLost: fail: training does not go on with it."),
        (["--baseline", "nosuch-1"], "--baseline nosuch-1: "),
    ],
)
def test_a_drill_that_cannot_take_place_is_refused_in_one_line_before_the_stack_is_asked(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        program.run(["fab", "drill-spot", *words, "--stack", "nosuch"])

    err = capsys.readouterr().err
    assert ended.value.code == 1
    assert err.startswith(said)
    assert len(err.strip().splitlines()) == 1

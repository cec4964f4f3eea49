"""The harness with stand-ins for `pulumi` and `fab`, which note what they are asked."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tools.acceptance import plan, steps
from tools.acceptance.__main__ import main
from tools.acceptance.limits import CAP
from tools.acceptance.plan import CLOUDS
from tools.acceptance.run import FAILED, LEFT, PASSED, REFUSED, accept
from tools.environment import ROOT

STACK_FILE = "Pulumi.acceptance-aws.yaml"
TEARDOWN = [
    "pulumi destroy --yes --skip-preview --stack acceptance-aws",
    "fab sweep --stack acceptance-aws",
    "pulumi stack rm --yes acceptance-aws",
]


@dataclass
class Account:
    """A checkout and stand-ins; `refuses` makes commands that begin so fail, the first N times."""

    root: Path

    def refuses(self, words: str, times: int = 1000, *, hangs: bool = False, waits: bool = False) -> None:
        case = self.root / "cases" / words.replace(" ", "_")
        case.mkdir(parents=True)
        (case / "words").write_text(words)
        (case / "left").write_text(str(times))
        if hangs:
            (case / "hangs").touch()
        if waits:
            (case / "waits").touch()

    @property
    def calls(self) -> list[str]:
        file = self.root / "calls"
        return file.read_text().splitlines() if file.exists() else []

    @property
    def report(self) -> str:
        (path,) = self.root.glob("results/acceptance-aws-*/report.md")
        return path.read_text()


STAND_IN = """\
#!/bin/sh
said="$(basename "$0") $*"
echo "$said" >>{root}/calls
echo "output of $said"
for case in {root}/cases/*; do
    [ -d "$case" ] || continue
    case $said in "$(cat "$case/words")"*) ;; *) continue ;; esac
    left=$(cat "$case/left")
    [ "$left" -gt 0 ] || continue
    echo $((left - 1)) >"$case/left"
    if [ -e "$case/hangs" ]; then
        trap 'echo interrupted >>{root}/calls; exit 130' INT
        while :; do sleep 0.05; done
    fi
    if [ -e "$case/waits" ]; then
        trap 'echo interrupted >>{root}/calls; exit 130' INT TERM
        until [ -e {root}/released ]; do sleep 0.05; done
        exit 0
    fi
    exit 1
done
case $said in "fab workers"*) echo "spent    1.20 USD of 12 USD since 09:00" ;; esac
"""


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Account:
    root = tmp_path / "checkout"
    (root / "bin").mkdir(parents=True)
    for name in (
        "Pulumi.yaml",
        "Pulumi.aws-eu-west-1.yaml",
        "Pulumi.azure-west-europe.yaml",
        "Pulumi.dev.yaml",
    ):
        shutil.copy(ROOT / name, root)
    for name in ("pulumi", "fab"):
        (root / "bin" / name).write_text(STAND_IN.format(root=root))
        (root / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{root / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv(CAP, "12")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("CAFFE_SPARK_PRICES", "PULUMI_BACKEND_URL"):
        monkeypatch.delenv(name, raising=False)
    return Account(root)


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_run_performs_all_steps_destroys_the_stack_and_reports_what_it_has_shown(account: Account) -> None:
    assert main(["aws"], account.root) == PASSED
    cloud = CLOUDS["aws"]
    wanted = [*plan.before(cloud), plan.init(cloud), *plan.steps(cloud)]
    assert account.calls == [" ".join(step.command) for step in wanted] + TEARDOWN
    assert not (account.root / STACK_FILE).exists()
    report = account.report
    assert "Verdict: passed." in report
    assert "price cap 12 USD (at most 8.27 USD by the estimate)" in report
    assert "`fab sweep` found nothing left." in report
    assert "    spent    1.20 USD of 12 USD since 09:00" in report
    for row in (plan.CREATED, plan.JOINED, plan.COMPILED, plan.TRAINED, plan.ASKED):
        assert f"- {row}\n" in report
    logs = sorted(path.name for path in account.root.glob("results/*/*.log"))
    assert logs[0] == "01-prices.log"
    assert "output of pulumi up" in next(account.root.glob("results/*/*-up.log")).read_text()


def test_azure_has_the_same_steps_with_a_stack_of_its_own(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CAP, "20")
    monkeypatch.delenv("CAFFE_SPARK_AZURE_PRICES", raising=False)
    assert main(["azure"], account.root) == PASSED
    assert account.calls[-len(TEARDOWN) :] == [call.replace("-aws", "-azure") for call in TEARDOWN]
    assert not any("acceptance-aws" in call for call in account.calls)


def test_in_a_shared_state_the_stacks_secrets_are_encrypted_as_the_sources_are(account: Account) -> None:
    file = account.root / "Pulumi.aws-eu-west-1.yaml"
    file.write_text(
        f"secretsprovider: awskms://alias/x?region=eu-west-1\nencryptedkey: AAAA\n{file.read_text()}"
    )
    assert main(["aws"], account.root) == PASSED
    init = "pulumi stack init acceptance-aws --no-select --secrets-provider awskms://alias/x?region=eu-west-1"
    assert init in account.calls


def test_a_teardown_that_does_not_end_leaves_the_file_by_which_it_is_done_again(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = steps.Runner.run

    def broken(self: steps.Runner, step: plan.Step, **options: object) -> steps.Outcome:
        if step.name == "sweep":
            raise ZeroDivisionError
        return run(self, step, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(steps.Runner, "run", broken)
    with pytest.raises(ZeroDivisionError):
        main(["aws"], account.root)
    assert (account.root / STACK_FILE).exists()
    assert "Something may be left: the teardown did not end." in account.report


@pytest.mark.parametrize("words", ["pulumi preview", "pulumi up", "fab build-headnode", "fab submit-mnist"])
def test_a_step_that_fails_ends_the_run_and_the_stack_is_destroyed(account: Account, words: str) -> None:
    account.refuses(words, 1)
    assert main(["aws"], account.root) == FAILED
    calls = account.calls
    assert calls[-len(TEARDOWN) :] == TEARDOWN
    failed = next(index for index, call in enumerate(calls) if call.startswith(words))
    assert calls[failed + 1] == "fab support-bundle --stack acceptance-aws", "while the machines are there"
    assert calls[failed + 2 :] == TEARDOWN
    report = account.report
    assert "Verdict: **failed**" in report
    assert "| status 1 |" in report
    assert f"- {plan.TRAINED}" not in report


def test_a_check_that_fails_lets_the_others_run_and_fails_the_run(account: Account) -> None:
    account.refuses("fab doctor")
    assert main(["aws"], account.root) == FAILED
    assert any(call.startswith("fab submit-mnist") for call in account.calls)
    report = account.report
    assert f"- {plan.TRAINED}" in report
    assert f"- {plan.JOINED}" not in report


@pytest.mark.parametrize("words", ["fab cost", "fab preflight", "pulumi stack init"])
def test_what_is_refused_before_anything_exists_destroys_nothing(account: Account, words: str) -> None:
    account.refuses(words)
    assert main(["aws"], account.root) in {REFUSED, FAILED}
    assert account.calls[-1].startswith(words)
    assert not (account.root / STACK_FILE).exists()
    assert "The run raises none." in account.report or "prices" in account.report


def test_a_destroy_that_fails_is_repeated(account: Account) -> None:
    account.refuses("pulumi destroy", 1)
    assert main(["aws"], account.root) == FAILED
    assert account.calls[-5:] == [
        TEARDOWN[0],
        "pulumi cancel --yes --stack acceptance-aws",
        "pulumi destroy --yes --skip-preview --refresh --stack acceptance-aws",
        *TEARDOWN[1:],
    ]
    assert not (account.root / STACK_FILE).exists()


@pytest.mark.parametrize(
    ("words", "why"),
    [("pulumi destroy", "`pulumi destroy` failed 3 times"), ("fab sweep", "`fab sweep` found something")],
)
def test_what_may_be_left_is_told_and_kept_and_can_be_torn_down_later(
    account: Account, capsys: pytest.CaptureFixture[str], words: str, why: str
) -> None:
    account.refuses(words)
    assert main(["aws"], account.root) == LEFT
    assert why in account.report
    assert "make acceptance-aws ARGS=--destroy" in capsys.readouterr().err
    assert (account.root / STACK_FILE).exists()
    assert not account.calls[-1].startswith("pulumi stack rm")

    assert main(["aws"], account.root) == REFUSED
    assert "an earlier run has left it" in capsys.readouterr().err

    shutil.rmtree(account.root / "cases")
    shutil.rmtree(account.root / "results")
    (account.root / "calls").unlink()
    assert main(["aws", "--destroy"], account.root) == PASSED
    assert account.calls == TEARDOWN
    assert not (account.root / STACK_FILE).exists()
    assert main(["aws", "--destroy"], account.root) == REFUSED


def test_the_time_limit_ends_the_step_that_runs_and_the_stack_is_destroyed(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.refuses("fab build-headnode", hangs=True)
    monkeypatch.setattr("tools.acceptance.__main__.accept", functools.partial(accept, unit=0.1))
    assert main(["aws", "--minutes", "30"], account.root) == FAILED
    calls = account.calls
    assert "interrupted" in calls, "it was asked to end, and could"
    assert calls[-len(TEARDOWN) :] == TEARDOWN
    assert "it ran past its time limit" in account.report
    assert "The run reached its limit of 30 min" in account.report


def in_a_process(account: Account) -> subprocess.Popen[str]:
    program = (
        "import sys; from pathlib import Path; from tools.acceptance.__main__ import main; "
        f"sys.exit(main(['aws'], Path({str(account.root)!r})))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, env=dict(os.environ), stdout=subprocess.PIPE, text=True
    )


def has_begun(account: Account, words: str) -> Callable[[], bool]:
    return lambda: any(call.startswith(words) for call in account.calls)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_run_and_none_ends_the_teardown(account: Account, number: signal.Signals) -> None:
    account.refuses("pulumi up", hangs=True)
    account.refuses("pulumi destroy", waits=True)
    process = in_a_process(account)
    eventually(has_begun(account, "pulumi up"))
    process.send_signal(number)
    eventually(has_begun(account, "pulumi destroy"))
    process.send_signal(number)
    assert process.stdout is not None
    said = ""
    while "The teardown goes on" not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    (account.root / "released").touch()
    process.communicate(timeout=60)
    assert process.returncode == FAILED
    assert account.calls.count("interrupted") == 1, "the step that ran, and not the teardown"
    assert account.calls[-len(TEARDOWN) :] == TEARDOWN
    assert f"{number.name}: the run ends; what it created is destroyed first." in said
    assert "The run was interrupted, and torn down." in account.report
    assert not any(call.startswith("fab support-bundle") for call in account.calls)


def test_a_terminal_that_is_gone_ends_none_of_the_teardown(account: Account) -> None:
    account.refuses("pulumi up", hangs=True)
    process = in_a_process(account)
    eventually(has_begun(account, "pulumi up"))
    assert process.stdout is not None
    process.stdout.close()
    process.send_signal(signal.SIGHUP)
    process.wait(60)
    assert account.calls[-len(TEARDOWN) :] == TEARDOWN
    assert not (account.root / STACK_FILE).exists()
    assert "The run was interrupted, and torn down." in account.report


def test_an_error_of_the_harness_itself_destroys_the_stack_too(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = steps.Runner.run

    def broken(self: steps.Runner, step: plan.Step, **options: object) -> steps.Outcome:
        if step.name == "up":
            raise ZeroDivisionError
        return run(self, step, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(steps.Runner, "run", broken)
    with pytest.raises(ZeroDivisionError):
        main(["aws"], account.root)
    assert account.calls[-len(TEARDOWN) :] == TEARDOWN


def test_a_command_that_is_not_installed_is_a_failure_of_its_step(account: Account) -> None:
    (account.root / "bin" / "fab").unlink()
    assert main(["aws"], account.root) == REFUSED
    assert "it cannot be run: No such file or directory" in account.report

"""The commands as Fabric sees them: what is listed, and how failures leave them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from fabric.main import program
from invoke.exceptions import Exit
from rich.table import Table

import fabfile
from bootstrap import console
from bootstrap.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit status."""

    returncode: int
    stdout: str
    stderr: str


Fab = Callable[..., Said]


@pytest.fixture
def fab(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Fab:
    """`fab`, without anybody's credentials, on a machine that is in no cloud.

    In this process: one of its own takes a second to start.
    """
    for name in os.environ:
        if name.startswith(("AWS_", "AZURE_", "ARM_")):
            monkeypatch.delenv(name)
    for name, value in {
        "AZURE_TOKEN_CREDENTIALS": "dev",
        "AZURE_CONFIG_DIR": "/nonexistent",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/nonexistent",
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
        "COLUMNS": "160",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(ROOT)

    def run(*arguments: str) -> Said:
        code: object = 0
        try:
            program.run(["fab", *arguments])
        except SystemExit as end:
            code = end.code
        said = capsys.readouterr()
        return Said(int(str(code)), said.out, said.err)

    return run


def typed(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`fab` in a process of its own, as from a shell."""
    return subprocess.run(["fab", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_list_shows_every_command_with_its_purpose() -> None:
    listed = typed("--list").stdout
    names = ["bootstrap", "build-headnode", "submit", "submit-mnist", "attach", "doctor", "workers"]
    for name in [
        *names,
        "ssh",
        "get",
        "put",
        "ui",
        "preflight",
        "cost",
        "regions",
        "sweep",
        "role-policies",
        "bake-image",
    ]:
        assert f"  {name} " in listed


def test_a_wrong_flag_is_named(fab: Fab) -> None:
    said = fab("submit-mnist", "--executor", "2")
    assert said.returncode != 0
    assert "--executor" in said.stderr


def test_a_spec_that_does_not_exist_is_refused_before_the_stack_is_asked() -> None:
    said = typed("submit-mnist", "--spec", "nosuch.yaml", "--stack", "nosuch")
    assert said.returncode == 1
    assert "nosuch.yaml" in said.stderr
    assert len(said.stderr.strip().splitlines()) == 1


def test_submit_wants_a_specification(fab: Fab) -> None:
    said = fab("submit", "--stack", "nosuch")

    assert said.returncode == 1
    assert said.stderr.strip() == (
        "fab submit: --spec is missing. Name a job specification: "
        "`fab submit --spec jobs/specs/mnist.yaml --stack nosuch`."
    )


MNIST = (ROOT / "jobs/specs/mnist.yaml").read_text()


@pytest.mark.parametrize("task", ["submit", "submit-mnist"])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "it cannot be read (No such file or directory)"),
        ("executor: 2\n" + MNIST, "executor: there is no such key; valid keys: name, solver"),
        (MNIST.replace("data: mnist", "data: ImageNet"), "data: 'ImageNet' is not a valid name of data"),
        (MNIST.replace("executors: 2", "executors: 0"), "executors: "),
        (MNIST, "lenet_memory_solver.prototxt, which does not exist"),
        ("[", "it is not valid YAML"),
    ],
)
def test_a_specification_that_cannot_run_is_refused_in_one_line_before_the_stack_is_asked(
    fab: Fab, tmp_path: Path, task: str, text: str | None, words: str
) -> None:
    path = tmp_path / "job.yaml"
    if text is not None:
        path.write_text(text)

    said = fab(task, "--spec", str(path), "--stack", "nosuch")

    assert said.returncode == 1
    assert said.stderr.startswith(f"{path}: ")
    assert words in said.stderr
    assert len(said.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("task", ["submit", "submit-mnist"])
def test_a_job_goes_to_the_stack_that_is_named(fab: Fab, task: str) -> None:
    said = fab(task, "--spec", "jobs/specs/mnist.yaml", "--executors", "0", "--stack", "nosuch")
    assert said.stderr.startswith("--executors 0: it is not a valid number")

    said = fab(task, "--spec", "jobs/specs/mnist.yaml", "--iterations", "5", "--stack", "nosuch")
    assert said.returncode == 1
    assert "nosuch" in said.stderr


def test_both_tasks_that_submit_have_the_same_options(fab: Fab) -> None:
    helps = [fab("--help", task).stdout.partition("Options:")[2] for task in ("submit", "submit-mnist")]

    assert helps[0] == helps[1]
    assert "--spec" in helps[0]
    assert "\t" not in helps[0]


def test_a_recipe_that_livy_would_ignore_is_refused_before_the_stack_is_asked(fab: Fab) -> None:
    said = fab("submit-mnist", "--livy", "--recipe", "caffe-cpu", "--stack", "nosuch")
    assert said.returncode == 1
    assert said.stderr.strip() == (
        "--livy --recipe caffe-cpu: a job through Livy uses the framework already on the cluster. "
        "Run `fab build-headnode --recipe caffe-cpu --stack nosuch`, then this command without --recipe."
    )


def test_an_expected_failure_is_one_line_and_status_1() -> None:
    @console.expected_errors_in_one_line
    def body() -> None:
        raise ConfigError("workers: 0", "at least one is needed", "Run `pulumi config set workers 2`.")

    with pytest.raises(Exit) as raised:
        body()
    assert raised.value.code == 1
    assert str(raised.value) == "workers: 0: at least one is needed. Run `pulumi config set workers 2`."


def test_ids_and_uris_in_a_table_are_whole_on_a_narrow_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    uri = f"wasb://caffe-spark@account.blob.core.windows.net/script-actions/{'x' * 60}.sh"
    shown = Table(box=None)
    for name in ("id", "script"):
        shown.add_column(name, no_wrap=True)
    shown.add_row("20261128T175753-42aa", uri)
    console.print_whole(shown)
    assert uri in capsys.readouterr().out


def test_a_bug_keeps_its_traceback() -> None:
    @console.expected_errors_in_one_line
    def body() -> None:
        raise KeyError("bug")

    with pytest.raises(KeyError):
        body()


def test_ctrl_c_leaves_with_the_shells_status() -> None:
    @console.expected_errors_in_one_line
    def body() -> None:
        raise KeyboardInterrupt

    with pytest.raises(Exit) as raised:
        body()
    assert raised.value.code == 130


AWS = "aws-eu-west-1"
AZURE = "azure-west-europe"


def test_what_an_hour_costs_is_told_without_credentials(fab: Fab) -> None:
    said = fab("cost", "--stack", AWS)
    assert said.returncode == 0, said.stderr
    assert "workers on spot" in said.stdout
    assert "USD/h" in said.stdout


def test_an_hour_of_hdinsight_is_told_without_a_login(fab: Fab) -> None:
    said = fab("cost", "--stack", AZURE)
    assert said.returncode == 0, said.stderr
    assert "workers, Standard_E8_V3" in said.stdout
    assert "HDInsight cannot pause" in said.stdout


@pytest.mark.parametrize("command", ["cost", "preflight", "regions"])
def test_a_stack_on_this_machine_costs_nothing_and_is_checked_by_up(fab: Fab, command: str) -> None:
    said = fab(command, "--stack", "dev")
    assert said.returncode == 1
    assert "stack 'dev': it runs on this machine" in said.stderr
    assert f"{AWS}, {AZURE}" in said.stderr
    assert len(said.stderr.strip().splitlines()) == 1


def test_regions_are_compared_without_credentials_by_the_tables(fab: Fab) -> None:
    said = fab("regions", "--stack", AWS)
    assert said.returncode == 0, said.stderr
    assert "us-west-2" in said.stdout
    assert "AWS: no credentials" in said.stdout


def test_regions_of_azure_are_not_compared(fab: Fab) -> None:
    said = fab("regions", "--stack", AZURE)
    assert said.returncode == 1
    assert "no table of the sizes" in said.stderr


def test_a_stack_without_a_file_is_named_with_those_that_have_one(fab: Fab) -> None:
    said = fab("preflight", "--stack", "aws-nowhere")
    assert said.returncode == 1
    assert "Pulumi.aws-nowhere.yaml" in said.stderr
    assert f"Pulumi.{AWS}.yaml" in said.stderr


def test_preflight_without_credentials_fails_and_still_checks_what_it_can(fab: Fab) -> None:
    said = fab("preflight", "--stack", AWS)
    assert said.returncode == 1
    assert "identity" in said.stdout
    assert "there are no credentials" in said.stdout
    assert "by the table of" in said.stdout


def test_preflight_of_azure_without_a_login_fails_and_still_checks_what_it_can(fab: Fab) -> None:
    said = fab("preflight", "--stack", AZURE)
    assert said.returncode == 1
    assert "nobody is logged in" in said.stdout
    assert "by the table of" in said.stdout


@pytest.mark.parametrize(
    ("region", "why"), [("eu-west-1", "there are no credentials"), ("westeurope", "nobody is logged in")]
)
def test_a_sweep_that_could_not_look_is_no_success(fab: Fab, region: str, why: str) -> None:
    said = fab("sweep", "--region", region)
    assert said.returncode == 1
    assert "0 left" not in said.stdout
    assert why in said.stderr


def test_a_sweep_of_no_cloud_at_all_names_both(fab: Fab) -> None:
    said = fab("sweep")
    assert said.returncode == 1
    assert "skipped: AWS" in said.stdout
    assert "no cloud could be searched" in said.stderr


@pytest.mark.parametrize(("clean", "code"), [(True, 0), (False, 1)])
def test_leaks_end_a_sweep_with_status_1(clean: bool, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, object] = {}

    def search(stack: str | None, regions: list[str] | None, _: object, *, alive: set[str]) -> object:
        asked.update(stack=stack, regions=regions, alive=alive)
        return type("Found", (), {"clean": clean})

    monkeypatch.setattr("infra.aws.sweep.run.sweep", search)
    monkeypatch.setattr("infra.tasks.stacks_up", lambda *_: {"prod"})
    if code:
        with pytest.raises(Exit) as raised:
            fabfile.sweep.body(None, stack="aws-eu-west-1")
        assert raised.value.code == code
    else:
        fabfile.sweep.body(None, stack="aws-eu-west-1")
    assert asked == {"stack": "aws-eu-west-1", "regions": None, "alive": {"prod"}}


def test_the_policies_of_given_roles_are_printed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    fabfile.role_policies.body(None, stack="aws-eu-west-1")
    document = json.loads(capsys.readouterr().out)
    assert set(document) == {"head", "worker", "job"}
    assert "caffe-spark-aws-eu-west-1-" in json.dumps(document["job"]["policy"])


def test_instance_profiles_are_awss(fab: Fab) -> None:
    said = fab("role-policies", "--stack", "dev")
    assert said.returncode == 1
    assert "stack 'dev': its provider is local" in said.stderr

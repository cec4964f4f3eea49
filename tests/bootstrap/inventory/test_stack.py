"""Choice of the stack and reading of its cluster, with a fake `pulumi` first on PATH.

What the real CLI answers is proved in tests/end_to_end.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from bootstrap.errors import StackError
from bootstrap.inventory import stack
from bootstrap.inventory.stack import load_cluster, selected_stack


class FakeCli:
    """A fake CLI with prepared answers by command line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {"PATH": f"{folder}:/usr/bin:/bin"}
        folder.mkdir()
        (folder / "pulumi").write_text(
            f'#!/bin/sh\nfor f in {folder}/*.case; do\n  case " $* " in *" $(cat "$f/words") "*)\n'
            '    cat "$f/err" >&2; cat "$f/out"; exit "$(cat "$f/code")";; esac\ndone\nexit 9\n'
        )
        (folder / "pulumi").chmod(0o755)

    def answers(self, words: str, out: str = "", err: str = "", code: int = 0) -> None:
        case = self.folder / f"{words.replace(' ', '_')}.case"
        case.mkdir()
        for name, text in {"words": words, "out": out, "err": err, "code": str(code)}.items():
            (case / name).write_text(text)


@pytest.fixture
def cli(tmp_path: Path) -> FakeCli:
    return FakeCli(tmp_path / "bin")


def test_the_named_stack_wins(cli: FakeCli, tmp_path: Path, cluster_document: dict[str, object]) -> None:
    cli.answers("stack output --json --show-secrets --stack blue", json.dumps({"cluster": cluster_document}))
    assert load_cluster(tmp_path, "blue", cli.env).head.name == "head"


def test_else_the_selected_stack_is_taken(cli: FakeCli, tmp_path: Path) -> None:
    cli.answers("--show-name", "green\n")
    assert selected_stack(tmp_path, cli.env) == "green"


def test_else_it_is_dev(cli: FakeCli, tmp_path: Path) -> None:
    cli.answers("--show-name", err="error: no stack selected", code=255)
    assert selected_stack(tmp_path, cli.env) == "dev"


def select(home: Path, root: Path, name: str) -> dict[str, str]:
    """Select a stack as Pulumi records it; return the variables by which it is found."""
    digest = hashlib.sha1(str(root / "Pulumi.yaml").encode(), usedforsecurity=False).hexdigest()
    record = home / "workspaces" / f"caffe-spark-{digest}-workspace.json"
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"stacks": {"file://x": f"organization/caffe-spark/{name}"}}))
    return {"PULUMI_HOME": str(home), "PULUMI_BACKEND_URL": "file://x"}


def test_the_selected_stack_is_read_from_pulumis_record(
    cli: FakeCli, tmp_path: Path, cluster_document: dict[str, object]
) -> None:
    cli.env |= select(tmp_path / "home", tmp_path, "green")
    cli.answers(
        "stack output --json --show-secrets --stack green",
        json.dumps({"cluster": {**cluster_document, "stack": "green"}}),
    )

    assert load_cluster(tmp_path, None, cli.env).stack == "green"


def test_a_record_of_a_stack_that_is_gone_is_not_believed(
    cli: FakeCli, tmp_path: Path, cluster_document: dict[str, object]
) -> None:
    cli.env |= select(tmp_path / "home", tmp_path, "green")
    cli.answers("--stack green", err="error: no stack named 'green' found", code=255)
    cli.answers("--show-name", err="error: no stack selected", code=255)
    cli.answers("stack output --json --show-secrets --stack dev", json.dumps({"cluster": cluster_document}))

    assert load_cluster(tmp_path, None, cli.env).stack == "dev"


def test_the_stack_of_the_environment_goes_before_the_record(
    cli: FakeCli, tmp_path: Path, cluster_document: dict[str, object]
) -> None:
    cli.env |= {**select(tmp_path / "home", tmp_path, "green"), "PULUMI_STACK": "blue"}
    cli.answers("--show-name", "blue\n")
    cli.answers(
        "stack output --json --show-secrets --stack blue",
        json.dumps({"cluster": {**cluster_document, "stack": "blue"}}),
    )

    assert load_cluster(tmp_path, None, cli.env).stack == "blue"


def test_an_unknown_stack_is_named_with_those_that_exist(cli: FakeCli, tmp_path: Path) -> None:
    cli.answers("stack output", err="error: no stack named 'blue' found", code=255)
    cli.answers("stack ls", json.dumps([{"name": "dev"}]))
    with pytest.raises(StackError, match=r"no stack of that name \(there are: dev\).*pulumi up --stack blue"):
        load_cluster(tmp_path, "blue", cli.env)


def test_a_stack_without_cluster_output_says_what_it_exports(cli: FakeCli, tmp_path: Path) -> None:
    cli.answers("stack output", json.dumps({"vpc_id": "x"}))
    with pytest.raises(
        StackError, match=r"no output `cluster` \(it exports: vpc_id\).*pulumi up --stack dev"
    ):
        load_cluster(tmp_path, "dev", cli.env)


def test_a_cluster_of_another_version_is_refused(
    cli: FakeCli, tmp_path: Path, cluster_document: dict[str, object]
) -> None:
    cli.answers("stack output", json.dumps({"cluster": {**cluster_document, "version": 3}}))
    with pytest.raises(StackError, match="has version 3, this project reads 1 and 2"):
        load_cluster(tmp_path, "dev", cli.env)


def test_a_malformed_cluster_names_the_field_and_no_secret(
    cli: FakeCli, tmp_path: Path, cluster_document: dict[str, object]
) -> None:
    cli.answers(
        "stack output",
        json.dumps({"cluster": {**cluster_document, "members": {"kind": "fixed", "workers": []}}}),
    )
    with pytest.raises(StackError, match="workers: at least one worker is required") as raised:
        load_cluster(tmp_path, "dev", cli.env)
    assert "PRIVATE" not in str(raised.value)
    assert raised.value.__suppress_context__, "pydantic's own text quotes the whole input"


def test_a_wrong_passphrase_is_reported(cli: FakeCli, tmp_path: Path) -> None:
    cli.answers("stack output", err="error: incorrect passphrase", code=255)
    with pytest.raises(StackError, match="do not open with this passphrase"):
        load_cluster(tmp_path, "dev", cli.env)


def test_a_passphrase_file_that_is_not_there_is_named(cli: FakeCli, tmp_path: Path) -> None:
    said = "unable to read PULUMI_CONFIG_PASSPHRASE_FILE: open /nosuch: no such file or directory"
    cli.answers("stack output", err=f"error: constructing secrets manager: {said}", code=255)
    with pytest.raises(StackError, match=r"cannot be read: open /nosuch: no such file"):
        load_cluster(tmp_path, "dev", cli.env)


def test_a_stack_that_a_killed_command_has_locked_says_how_to_free_it(cli: FakeCli, tmp_path: Path) -> None:
    cli.answers("stack output", err="error: the stack is currently locked by 1 lock(s)", code=255)
    with pytest.raises(StackError, match=r"if none runs, run `pulumi cancel --stack dev`"):
        load_cluster(tmp_path, "dev", cli.env)


def test_a_cli_that_does_not_end_is_given_up_with_the_next_command(
    cli: FakeCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack, "PATIENCE", 0.3)
    (cli.folder / "pulumi").write_text("#!/bin/sh\nexec sleep 20\n")
    with pytest.raises(
        StackError, match=r"`pulumi stack output`: it did not end within 0 s.*pulumi whoami -v"
    ):
        load_cluster(tmp_path, "dev", cli.env)


def test_without_the_cli_the_next_command_is_make_setup(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"not on PATH.*make setup"):
        load_cluster(tmp_path, "dev", {"PATH": str(tmp_path)})


def test_secrets_do_not_show_when_a_cluster_is_printed(cluster_document: dict[str, object]) -> None:
    from bootstrap.cluster import ClusterDocument

    shown = repr(ClusterDocument.model_validate(cluster_document))
    assert "PRIVATE" not in shown
    assert "not-to-be-seen" not in shown

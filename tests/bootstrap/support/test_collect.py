"""A bundle of a whole stack, with a fake `pulumi` first on PATH and sandboxes for nodes."""

from __future__ import annotations

import functools
import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bootstrap.inventory.stack_secrets import marked
from bootstrap.support import collect
from bootstrap.support.bundle import Bundle
from tests.bootstrap.inventory.test_stack import FakeCli
from tests.bootstrap.sandbox import Sandboxes
from tests.bootstrap.support.test_bundle import read
from tests.conftest import cluster_of
from tests.signing import SIGNING_KEY

SIGNING = SIGNING_KEY.private_key.get_secret_value()
HOST_KEY = (
    "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbm\n-----END OPENSSH PRIVATE KEY-----\n"
)
SECRETS = [
    "not-to-be-seen",
    "setting-not-to-be-seen",
    "the-passphrase-of-the-stack",
    "password-in-an-object",
    HOST_KEY,
]


def secret(value: Any) -> dict[str, str]:
    """A secret as `pulumi stack export --show-secrets` writes it."""
    return {
        "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270",
        "plaintext": json.dumps(value),
    }


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with a stack file, and logs in which all the secrets stand."""
    root = tmp_path / "checkout"
    run = root / ".state" / "log" / "bootstrap-20261130-100000-000"
    run.mkdir(parents=True)
    (run / "w1.log").write_text("".join(f"said {one}\n" for one in [*SECRETS, SIGNING]))
    (root / "Pulumi.yaml").write_text("name: caffe-spark\n")
    (root / "fabric.yaml").write_text("framework: {recipe: auto}\n")
    (root / "Pulumi.dev.yaml").write_text(
        "encryptionsalt: v1:AAAA=:v1:BBBB\nconfig:\n  caffe-spark:workers: '2'\n"
        "  caffe-spark:key:\n    secure: v1:CCCC:DDDD\n"
    )
    return root


@pytest.fixture
def cli(tmp_path: Path, cluster_document: dict[str, object]) -> FakeCli:
    """A CLI with a stack that is up."""
    fake = FakeCli(tmp_path / "bin")
    fake.env["PULUMI_CONFIG_PASSPHRASE"] = SECRETS[2]
    resources = [
        {"type": "pulumi:pulumi:Stack", "outputs": {"cluster": {"spark_secret": secret(SECRETS[0])}}},
        {"outputs": {"key": secret({"name": "w1", "password": SECRETS[3]})}},
        {"outputs": {"host_private_key": secret(HOST_KEY)}},
    ]
    state = {"version": 3, "deployment": {"resources": resources}}
    fake.answers("stack export --show-secrets --stack dev", json.dumps(state))
    config = {
        "caffe-spark:key": {"value": SECRETS[1], "secret": True},
        "caffe-spark:workers": {"value": "2", "secret": False},
    }
    fake.answers("config --json --show-secrets --stack dev", json.dumps(config))
    fake.answers("stack output --json --show-secrets --stack dev", json.dumps({"cluster": cluster_document}))
    return fake


def leaks(files: dict[str, str]) -> list[tuple[str, str]]:
    """Secrets, and lines of secrets, that stand in files."""
    lines = [
        line
        for one in [*SECRETS, SIGNING]
        for line in one.strip().splitlines()
        if not line.startswith("-----")
    ]
    return [(name, line) for name, text in files.items() for line in lines if line in text]


def test_no_secret_of_the_stack_is_in_its_bundle(
    tmp_path: Path,
    checkout: Path,
    cli: FakeCli,
    cluster_document: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    echo = "".join(f"echo 'said {one}'\n" for one in [*SECRETS, SIGNING])
    boxes = Sandboxes(tmp_path / "nodes", cluster_of(cluster_document), {"journalctl": echo, "uptime": echo})
    for part in ("add_nodes", "add_findings"):
        monkeypatch.setattr(collect, part, functools.partial(getattr(collect, part), connect=boxes.connect))
    bundle = collect.begin(checkout, "dev", cli.env)
    document = collect.document_of(bundle, checkout, "dev", cli.env)
    assert document is not None
    cluster = collect.nodes_of(bundle, document, Console(file=io.StringIO()))
    assert cluster is not None
    collect.add_cluster(bundle, document, cluster)
    bundle.write(tmp_path / "b.tar.gz")
    files = read(tmp_path / "b.tar.gz")
    assert leaks(files) == []
    assert files["MISSING.txt"] == "nothing\n"
    wanted = {
        "versions.txt",
        "cluster.json",
        "doctor.txt",
        "settings/Pulumi.dev.yaml",
        "nodes/w1/machine.txt",
    }
    assert wanted <= set(files)
    assert "secure: ***" in files["settings/Pulumi.dev.yaml"]
    assert "said ***" in files["operator/bootstrap-20261130-100000-000/w1.log"]
    assert "said ***" in files["nodes/w1/kernel.txt"]
    assert json.loads(files["cluster.json"])["spark_secret"] == "***"
    assert "Python 3" in files["versions.txt"]


def test_a_stack_that_is_not_up_or_does_not_open_leaves_the_operators_part(
    tmp_path: Path, checkout: Path
) -> None:
    cli = FakeCli(tmp_path / "bin")
    cli.env["PULUMI_CONFIG_PASSPHRASE"] = SECRETS[2]
    for words in ("stack export", "stack output"):
        cli.answers(words, err="error: incorrect passphrase, please set PULUMI_CONFIG_PASSPHRASE", code=255)
    bundle = collect.begin(checkout, "dev", cli.env)
    assert collect.document_of(bundle, checkout, "dev", cli.env) is None
    first, second = bundle.missing
    assert first.startswith("masking: stack 'dev': its secrets do not open with this passphrase.")
    assert first.endswith("Only what looks like a credential is masked.")
    assert second.startswith("cluster.json: stack 'dev': its secrets do not open with this passphrase.")
    log = bundle._files["operator/bootstrap-20261130-100000-000/w1.log"].decode()
    assert SECRETS[2] not in log
    assert "BEGIN" not in log, "keys are masked by their form"


def test_the_last_runs_of_each_kind_are_taken(checkout: Path) -> None:
    import os

    from bootstrap.support.operator import RUNS, last_logs

    folder = checkout / ".state" / "log"
    for kind in ("bootstrap", "build"):
        for number in range(RUNS + 2):
            run = folder / f"{kind}-2026113{number}-100000-000"
            run.mkdir(exist_ok=True)
            (run / "head.log").write_text("x")
            os.utime(run, (number, number))
    (folder / "pulumi.log").write_text("x")
    found = [str(path.relative_to(folder)) for path in last_logs(folder)]
    assert found[0] == "pulumi.log"
    assert len([name for name in found if name.startswith("build-")]) == RUNS
    assert not any(name.startswith("build-20261130-") for name in found), "the oldest"


def test_marks_are_found_wherever_they_are_in_a_state() -> None:
    state = {"a": [{"b": secret("x")}, secret({"c": 1})], "d": "plain"}
    assert list(marked(state)) == ["x", {"c": 1}]


def test_a_bundle_is_begun_without_pulumi(tmp_path: Path, checkout: Path) -> None:
    bundle: Bundle = collect.begin(checkout, "dev", {"PATH": str(tmp_path)})
    assert "the Pulumi CLI is not on PATH" in bundle.missing[0]
    assert "settings/Pulumi.dev.yaml" in {entry.name for entry in bundle.entries}


def test_a_cloud_stack_without_credentials_has_all_but_the_clouds_part(
    checkout: Path, cli: FakeCli, cluster_document: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/nonexistent",
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
    }.items():
        monkeypatch.setenv(name, value)
    on_aws = {
        **cluster_document,
        "provider": "aws",
        "head": {"name": "head", "address": "10.9.8.10", "instance": "i-head"},
        "members": {"kind": "auto_scaling_group", "name": "g", "region": "eu-west-1", "desired_capacity": 1},
        "storage": {"kind": "s3", "uri": "s3a://bucket", "region": "eu-west-1"},
    }
    (case,) = [one for one in cli.folder.glob("*.case") if "stack_output" in one.name]
    (case / "out").write_text(json.dumps({"cluster": on_aws}))
    bundle = collect.begin(checkout, "dev", cli.env)
    document = collect.document_of(bundle, checkout, "dev", cli.env)
    assert document is not None
    cluster = collect.nodes_of(bundle, document, Console(file=io.StringIO()))
    assert cluster is None
    collect.add_cluster(bundle, document, cluster)
    assert [line.partition(": AWS credentials (")[0] for line in bundle.missing] == ["nodes", "cloud"]
    assert {"cluster.json", "versions.txt"} <= {entry.name for entry in bundle.entries}

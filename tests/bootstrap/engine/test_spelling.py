"""Secrets of all characters: exact in the files of nodes, and masked wherever they are shown."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from pydantic import SecretStr, ValidationError

from bootstrap.cluster import S3, Blob, Cluster
from bootstrap.engine.command import Command
from bootstrap.engine.plan import compile_role
from bootstrap.engine.role import load_role
from bootstrap.engine.spelling import in_environment_file, in_properties, spellings
from bootstrap.errors import ConfigError
from tests.bootstrap.conftest import MakeRole

MARK = "Qzq"
SECRETS = [
    f"{MARK}1+{MARK}2/{MARK}3=",
    f"{MARK}1&{MARK}2<{MARK}3>{MARK}4",
    f"{MARK}1'{MARK}2\"{MARK}3''{MARK}4",
    f"{MARK}1\\{MARK}2\\n{MARK}3\\\\{MARK}4",
    f"{MARK}1\u00e9{MARK}2\u00df{MARK}3\u4e2d{MARK}4\U0001f511{MARK}5",
    f"{MARK}1$HOME`{MARK}2`%{MARK}3#!;{MARK}4:=",
    f"\u00fc'{MARK}1\"&<\\{MARK}2",
]
"""Each has its mark between all odd characters: what is left of it anywhere is seen."""


def of_role(role: str, cluster: Cluster) -> list[Command]:
    """The commands of a role on the head whose scripts hold a secret."""
    commands = compile_role(load_role(role), cluster, cluster.head, {})
    return [command for command in commands if MARK in command.run]


def written(command: Command, folder: Path) -> str:
    """Run a command that writes a file, with its own paths in a folder; return the file's text."""
    script = re.sub(r"(?<![\w/])/etc/", f"{folder}/etc/", command.run)
    script = re.sub(r"\nchown [^\n]*", "", script)
    done = subprocess.run(["sh", "-eu"], input=script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (file,) = (path for path in folder.rglob("*") if path.is_file())
    return file.read_text(encoding="utf-8")


def properties_of(text: str) -> dict[str, str]:
    """Read lines `name  value` as Java's Properties.load does."""
    found = {}
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        value = re.sub(
            r"\\(u[0-9a-f]{4}|.)",
            lambda match: chr(int(match[1][1:], 16)) if len(match[1]) > 1 else match[1],
            value.lstrip(" "),
        )
        found[name] = value.encode("utf-16", "surrogatepass").decode("utf-16")
    return found


@pytest.mark.parametrize("secret", SECRETS)
def test_the_keys_of_s3_are_exact_in_xml(cluster: Cluster, secret: str, tmp_path: Path) -> None:
    keys: dict[str, Any] = {"access_key": "A&K<'", "secret_key": SecretStr(secret)}
    stack = cluster.model_copy(update={"storage": S3(uri="s3a://bucket", endpoint="http://x:1", **keys)})
    (command,) = of_role("hadoop", stack)

    document = ElementTree.fromstring(written(command, tmp_path))

    values = {one.findtext("name"): one.findtext("value") for one in document.iter("property")}
    assert values == {"fs.s3a.access.key": "A&K<'", "fs.s3a.secret.key": secret}


@pytest.mark.parametrize("secret", SECRETS)
def test_the_key_of_an_account_is_exact_in_xml(yarn_cluster: Cluster, secret: str, tmp_path: Path) -> None:
    storage = Blob(uri=yarn_cluster.storage.uri, key=SecretStr(secret))
    stack = yarn_cluster.model_copy(update={"storage": storage})
    (command,) = of_role("hadoop", stack)

    document = ElementTree.fromstring(written(command, tmp_path))

    assert [one.findtext("value") for one in document.iter("property")] == [secret]


@pytest.mark.parametrize("secret", SECRETS)
def test_sparks_secret_is_exact_in_its_properties(cluster: Cluster, secret: str, tmp_path: Path) -> None:
    stack = cluster.model_copy(update={"spark_secret": SecretStr(secret)})
    (command,) = of_role("spark", stack)

    assert properties_of(written(command, tmp_path))["spark.authenticate.secret"] == secret


@pytest.mark.parametrize("secret", SECRETS)
def test_no_part_of_a_secret_is_shown(
    cluster: Cluster, yarn_cluster: Cluster, secret: str, tmp_path: Path
) -> None:
    s3 = S3(uri="s3a://b", endpoint="http://x:1", access_key="AK", secret_key=SecretStr(secret))
    blob = Blob(uri=yarn_cluster.storage.uri, key=SecretStr(secret), server="10.9.8.10")
    stacks: list[tuple[str, Cluster]] = [
        ("hadoop", cluster.model_copy(update={"storage": s3})),
        ("hadoop", yarn_cluster.model_copy(update={"storage": blob})),
        ("blob_server", yarn_cluster.model_copy(update={"storage": blob})),
        ("spark", cluster.model_copy(update={"spark_secret": SecretStr(secret)})),
    ]
    for number, (role, stack) in enumerate(stacks):
        for command in of_role(role, stack):
            (tmp_path / str(number)).mkdir()
            shown = command.masked(command.run)
            assert "***" in shown
            assert MARK not in shown
            # What a program says that reads the file.
            assert MARK not in command.masked(written(command, tmp_path / str(number)))
            assert MARK not in command.masked(f"wrong key: {secret}")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("name:bm90LQ==", "name:bm90LQ=="),
        ("a b", '"a b"'),
        ('a"b', r'"a\"b"'),
        ("a$b`c\\d", r'"a\$b\`c\\d"'),
        ("#a;b'", '"#a;b\'"'),
        ("\u00e9", '"\u00e9"'),
    ],
)
def test_a_value_in_a_file_of_systemd_is_quoted_where_it_has_to_be(value: str, text: str) -> None:
    assert in_environment_file(value) == text


def test_a_value_in_properties_keeps_its_blank_at_the_start() -> None:
    assert in_properties(" a\\ \u00e9") == r"\ a\\ \u00e9"


def test_a_secret_of_plain_letters_has_one_spelling() -> None:
    assert spellings("bm90LXRvLWJlLXNlZW4=") == ("bm90LXRvLWJlLXNlZW4=",)


@pytest.mark.parametrize("key", ["Qzq b", "a\nb", "a\x00", "a\u2028b", "${user.name}"])
def test_a_key_that_files_on_nodes_cannot_hold_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(ValidationError, match="secret_key: it has") as refused:
        S3(uri="s3a://bucket", access_key="AK", secret_key=SecretStr(key))
    assert key not in str(refused.value)


def test_a_template_that_is_no_xml_is_refused_by_its_name(make_role: MakeRole, cluster: Cluster) -> None:
    step = {"name": "a", "file": {"path": "/etc/a.xml", "template": "a.xml.j2"}}
    role = make_role("r", [step], templates={"a.xml.j2": "<a>{{ node.name }}\x01</a>"})

    with pytest.raises(ConfigError, match=r"template 'a.xml.j2': it is not valid XML"):
        compile_role(role, cluster, cluster.head, {})

from __future__ import annotations

import base64
import json
import time
from urllib.parse import quote_plus

import pytest

from bootstrap.support.masking import Masking, named_secrets, of_environment
from tests.signing import SIGNING_KEY

PEM = SIGNING_KEY.private_key.get_secret_value()
KNOWN = 's3cr+t/with="quotes" & a space\'s'


@pytest.mark.parametrize(
    "written",
    [
        KNOWN,
        json.dumps({"key": KNOWN}),
        quote_plus(KNOWN),
        base64.b64encode(KNOWN.encode()).decode(),
        KNOWN.replace("&", "&amp;").replace('"', "&#34;").replace("'", "&#39;"),
    ],
)
def test_a_known_secret_is_replaced_however_it_is_written(written: str) -> None:
    masked = Masking([KNOWN]).text(f"before {written} after")
    assert written not in masked
    assert "***" in masked
    assert masked.startswith("before ")


def test_each_line_of_a_known_key_is_a_secret_by_itself() -> None:
    lines = [line for line in PEM.splitlines() if not line.startswith("-----")]
    text = "\n".join(f"10:01:02 head sh[12]: {line}" for line in lines)
    masked = Masking([PEM]).text(text)
    assert [line for line in lines if line in masked] == []


def test_a_longer_secret_is_replaced_before_one_that_it_contains() -> None:
    assert Masking(["abcdefgh", "abcdefgh-more"]).text("x abcdefgh-more y") == "x *** y"


def test_a_short_secret_is_replaced_as_a_word_and_other_words_stay() -> None:
    assert Masking(["pw1"]).text("the pw1 of pw12, pw1.") == "the *** of pw12, ***."


def test_no_secret_is_known_of_empty_values() -> None:
    assert Masking(["", "  ", "\n"]).text("plain text") == "plain text"


CREDENTIALS = [
    ("id AKIAIOSFODNN7EXAMPLE used", "id *** used"),
    ("SecretAccessKey: wJalrXUtnFEMIK7MDENG", "SecretAccessKey: ***"),
    (
        '{"AccessKeyId": "ASIAIOSFODNN7EXAMPLE", "Token": "IQoJb3JpZ2luX2Vj"}',
        '{"AccessKeyId": "***", "Token": "***"}',
    ),
    ('{\\"password\\": \\"two words\\"}', '{\\"password\\": \\"***\\"}'),
    ('{"password": "it\'s one, too"}', '{"password": "***"}'),
    ('{"password": "with \\"quotes\\""}', '{"password": "***"}'),
    ("password: 'two \"words\"'", "password: '***'"),
    ("  password: correct horse battery", "  password: ***"),
    ("PGPASSWORD=it's&more psql", "PGPASSWORD=*** psql"),
    ("spark.ssl.keyPassword  abcdefgh", "spark.ssl.keyPassword  ***"),
    ("fs.s3a.secret.key=abcdefgh", "fs.s3a.secret.key=***"),
    (
        "fs.azure.account.key.a.blob.core.windows.net=bm90LXRv",
        "fs.azure.account.key.a.blob.core.windows.net=***",
    ),
    (
        "<name>fs.s3a.secret.key</name>\n<value>abcdefgh</value>",
        "<name>fs.s3a.secret.key</name>\n<value>***</value>",
    ),
    ("AccountName=a;AccountKey=bm90LXRv+/c2Vlbg==;Suffix=x", "AccountName=a;AccountKey=***;Suffix=x"),
    (
        "https://a.blob.core.windows.net/c?sv=1&sig=abc%2Fdef&se=2",
        "https://a.blob.core.windows.net/c?sv=1&sig=***&se=2",
    ),
    (
        "https://b.s3.amazonaws.com/k?X-Amz-Signature=0a1b2c&x=1",
        "https://b.s3.amazonaws.com/k?X-Amz-Signature=***&x=1",
    ),
    ("http://user:hunter22@proxy:3128/", "http://user:***@proxy:3128/"),
    ("http://user:hunt@er@22@proxy:3128/", "http://user:***@proxy:3128/"),
    ("Authorization: SharedKey account:c2lnbmF0dXJl=", "Authorization: SharedKey account:***"),
    ("Authorization: Bearer abcdef.ghijkl", "Authorization: Bearer ***"),
    ("aux eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc-_d end", "aux *** end"),
    ("az login --password hunter2222 --tenant t", "az login --password *** --tenant t"),
    ("  caffe-spark:key:\n    secure: v1:abc:def+/=", "  caffe-spark:key:\n    secure: ***"),
    ("encryptionsalt: v1:abc=:v1:xyz", "encryptionsalt: ***"),
    ("GITHUB ghp_abcdefghijklmnopqrstuvwxyz0123", "GITHUB ***"),
]
"""Text with credentials, and what is left of it."""


@pytest.mark.parametrize(("text", "left"), CREDENTIALS)
def test_what_looks_like_a_credential_is_replaced_and_its_name_stays(text: str, left: str) -> None:
    assert Masking().text(text) == left


def test_private_keys_are_replaced_also_where_their_beginning_or_end_was_cut_off() -> None:
    masking = Masking()
    assert masking.text(f"a\n{PEM}b") == "a\n***\nb"
    lines = PEM.splitlines(keepends=True)
    assert masking.text("a\n" + "".join(lines[:-1])) == "a\n***"
    tail = "a\n" + "".join(lines[1:]) + "b\n"
    assert [line for line in lines[1:-1] if line.strip() in masking.text(tail)] == []


NEEDED = [
    "18:01:02 INFO Executor 3 registered on w1:7078",
    "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    '"host_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPrp3Lx5NlHZQwBfwfmPYgpNKvJ6XhbvZQO1oQO3HZ0N"',
    "https://eu-west-1.console.aws.amazon.com/ec2",
    "I1130 loss = 0.0123 (* 1 = 0.0123 loss)",
]
"""Lines without any."""


@pytest.mark.parametrize("text", NEEDED)
def test_what_a_reader_needs_stays(text: str) -> None:
    assert Masking().text(text) == text


def test_the_secrets_of_a_document_are_those_whose_names_say_so() -> None:
    document = {
        "ssh": {"user": "ops", "private_key": "A"},
        "nodes": [{"host_key": "B", "name": "head"}],
        "signing": {"public_key": "C", "private_key": "D"},
        "spark_secret": "E",
        "storage": {"kind": "s3", "secret_key": "F"},
        "gateway_password": "G",
    }
    assert named_secrets(document) == {"A", "D", "E", "F", "G"}


def test_variables_with_secrets_are_known_by_their_names() -> None:
    env = {
        "AWS_SECRET_ACCESS_KEY": "long-enough",
        "AZURE_CLIENT_SECRET": "also-long-enough",
        "PULUMI_CONFIG_PASSPHRASE_FILE": "/a/path/of/a/file",
        "AZURE_TOKEN_CREDENTIALS": "prod-and-others",
        "PULUMI_CONFIG_PASSPHRASE": "short",
        "PATH": "/usr/bin:/bin:/sbin",
    }
    assert of_environment(env) == {"long-enough", "also-long-enough"}


def test_a_log_of_many_sums_is_masked_in_time_that_grows_with_its_length() -> None:
    line = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\n"
    began = time.process_time()
    text = line * 8000 + "\n" * 8000 + "A" * 100_000 + "\n" + "a-b." * 2000
    assert Masking(["known-secret-value"]).text(text) == text
    assert time.process_time() - began < 5

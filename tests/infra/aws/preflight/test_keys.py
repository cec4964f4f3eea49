"""The operator's key: the stack's own, or a pair of the region whose private half is on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bootstrap.errors import ConfigError
from infra.aws.preflight.cloud import Cloud
from infra.aws.preflight.keys import WITHOUT, cloud_checks, local_checks
from infra.aws.settings.config import AwsConfig
from infra.preflight.finding import Finding
from infra.preflight.key_file import public_half
from tests.infra.aws.preflight.conftest import STACK, Account, answers, config

MINE = Ed25519PrivateKey.generate()
OTHER = Ed25519PrivateKey.generate()
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def written(
    folder: Path,
    key: Ed25519PrivateKey | rsa.RSAPrivateKey = MINE,
    *,
    shape: form.PrivateFormat = form.PrivateFormat.OpenSSH,
    passphrase: bytes | None = None,
    mode: int = 0o600,
) -> Path:
    lock = form.BestAvailableEncryption(passphrase) if passphrase else form.NoEncryption()
    file = folder / "mine.pem"
    file.write_bytes(key.private_bytes(form.Encoding.PEM, shape, lock))
    file.chmod(mode)
    return file


def public_line(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH)


def with_pair(file: Path) -> AwsConfig:
    return config(keyPair="mine", privateKeyFile=str(file))


def local(stack: AwsConfig) -> Finding:
    ((finding,),) = [one.ask() for one in local_checks(stack, STACK)]
    return finding


def remote(stack: AwsConfig, cloud: Cloud) -> Finding:
    return answers(cloud_checks(stack, STACK), cloud)["key pair"]


def test_a_key_that_is_made_with_the_stack_asks_for_nothing() -> None:
    assert local(config()) == Finding("key pair", "passed", "generated with the stack, stored in its state")
    assert cloud_checks(config(), STACK) == []


def test_a_private_key_that_only_its_owner_reads_holds(tmp_path: Path) -> None:
    file = written(tmp_path)
    assert local(with_pair(file)) == Finding("private key", "passed", f"{file}, ssh-ed25519")


def test_a_pem_of_ec2_is_a_private_key_too(tmp_path: Path) -> None:
    file = written(tmp_path, RSA, shape=form.PrivateFormat.TraditionalOpenSSL)
    assert local(with_pair(file)).detail == f"{file}, ssh-rsa"


def test_a_path_may_begin_with_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    written(tmp_path)
    assert local(config(keyPair="mine", privateKeyFile="~/mine.pem")).verdict == "passed"


def test_a_private_key_that_is_not_there_is_named(tmp_path: Path) -> None:
    found = local(with_pair(tmp_path / "nowhere.pem"))
    assert found.failed
    assert found.detail == f"{tmp_path}/nowhere.pem: No such file or directory"


def test_a_folder_is_no_private_key(tmp_path: Path) -> None:
    assert local(with_pair(tmp_path)).detail == f"{tmp_path}: Is a directory"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_private_key_that_others_may_read_is_refused(mode: int, tmp_path: Path) -> None:
    file = written(tmp_path, mode=mode)
    found = local(with_pair(file))
    assert found.failed
    assert f"has mode {mode:04o}" in found.detail
    assert found.fix == f"Run `chmod 600 {file}`."


def test_a_private_key_that_even_its_owner_only_reads_holds(tmp_path: Path) -> None:
    assert local(with_pair(written(tmp_path, mode=0o400))).verdict == "passed"


@pytest.mark.parametrize(
    ("key", "shape"), [(MINE, form.PrivateFormat.OpenSSH), (RSA, form.PrivateFormat.TraditionalOpenSSL)]
)
def test_a_private_key_with_a_passphrase_is_refused(
    key: Ed25519PrivateKey | rsa.RSAPrivateKey, shape: form.PrivateFormat, tmp_path: Path
) -> None:
    found = local(with_pair(written(tmp_path, key, shape=shape, passphrase=b"secret")))
    assert found.failed
    assert "is protected by a passphrase" in found.detail
    assert "pulumi config rm-all keyPair privateKeyFile --stack test" in found.fix


@pytest.mark.parametrize("text", ["", "PuTTY-User-Key-File-3: ssh-ed25519\n", "ssh-ed25519 AAAAC3Nza me\n"])
def test_what_is_no_private_key_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "mine"
    file.write_text(text)
    with pytest.raises(ConfigError, match="is not a private key"):
        public_half(file, STACK, WITHOUT)


def test_the_regions_pair_and_the_file_that_is_its_half_hold(
    tmp_path: Path, cloud: Cloud, account: Account
) -> None:
    account.client("ec2").import_key_pair(KeyName="mine", PublicKeyMaterial=public_line(MINE) + b" me@here")
    file = written(tmp_path)
    found = remote(with_pair(file), cloud)
    assert found.verdict == "passed"
    assert found.detail == f"mine is in eu-west-1, and {file} is its private key"


def test_the_private_key_of_another_pair_is_refused(tmp_path: Path, cloud: Cloud, account: Account) -> None:
    account.client("ec2").import_key_pair(KeyName="mine", PublicKeyMaterial=public_line(OTHER))
    file = written(tmp_path)
    found = remote(with_pair(file), cloud)
    assert found.failed
    assert found.detail == f"{file} is not the private key of mine in eu-west-1"


def test_a_file_that_cannot_be_read_is_the_other_checks_matter(
    tmp_path: Path, cloud: Cloud, account: Account
) -> None:
    account.client("ec2").import_key_pair(KeyName="mine", PublicKeyMaterial=public_line(MINE))
    assert remote(with_pair(tmp_path / "nowhere"), cloud).detail == "mine is in eu-west-1"


def test_a_pair_of_another_region_is_named_and_those_that_are_there_are_listed(
    tmp_path: Path, cloud: Cloud, account: Account
) -> None:
    account.client("ec2", "us-east-1").import_key_pair(KeyName="mine", PublicKeyMaterial=public_line(MINE))
    for name in ("theirs", "hers"):
        account.client("ec2").import_key_pair(KeyName=name, PublicKeyMaterial=public_line(OTHER))
    found = remote(with_pair(written(tmp_path)), cloud)
    assert found.failed
    assert found.detail == (
        "mine is not in eu-west-1, and key pairs are regional; existing ones: hers, theirs"
    )
    assert "pulumi config set keyPair NAME --stack test" in found.fix


def test_where_there_are_many_pairs_the_first_ten_are_listed(
    tmp_path: Path, cloud: Cloud, account: Account
) -> None:
    for number in range(12):
        account.client("ec2").import_key_pair(KeyName=f"k{number:02}", PublicKeyMaterial=public_line(OTHER))
    detail = remote(with_pair(written(tmp_path)), cloud).detail
    assert "k09 and 2 more" in detail
    assert "k10" not in detail


def test_a_region_without_any_pair_says_so(tmp_path: Path, cloud: Cloud) -> None:
    assert remote(with_pair(written(tmp_path)), cloud).detail.endswith("; it has none")


def test_a_lacking_right_is_said_and_stops_nothing(tmp_path: Path, cloud: Cloud, account: Account) -> None:
    account.denies("DescribeKeyPairs")
    found = remote(with_pair(written(tmp_path)), cloud)
    assert found.verdict == "skipped"
    assert "lack the permission DescribeKeyPairs" in found.detail

"""Keys and secrets of a stack, for every provider; and stacks that were made when they belonged to one."""

from __future__ import annotations

import base64
import pickle

import pytest

from infra import keys
from infra.azure import operator_key
from tests.outputs import outputs_of

# What Pulumi keeps of a provider: its class, by module and name (protocol 0 of pickle is readable).
STORED = "ccopy_reg\n_reconstructor\n(cinfra.local.keys\n{name}\nc__builtin__\nobject\nNtR."


def test_keys_and_secrets_are_new_each_time_and_never_change() -> None:
    first, second = (outputs_of(keys.SshKeyProvider(), purpose="x") for _ in range(2))
    assert first["private_key"] != second["private_key"]
    assert first["private_key"].startswith("-----BEGIN OPENSSH PRIVATE KEY-----")
    assert first["public_key"].startswith("ssh-ed25519 AAAA")
    assert not keys.SshKeyProvider().diff("id", first, second).changes
    secrets = {outputs_of(keys.SecretProvider(), purpose="x")["value"] for _ in range(2)}
    assert len(secrets) == 2


@pytest.mark.parametrize("name", ["SshKeyProvider", "SecretProvider"])
def test_the_state_of_an_older_stack_still_finds_its_providers(name: str) -> None:
    stored = base64.b64encode(STORED.format(name=name).encode())
    provider = pickle.loads(base64.b64decode(stored))
    assert type(provider) is getattr(keys, name)
    assert not provider.diff("id", {"purpose": "x"}, {"purpose": "x"}).changes


def test_a_key_may_be_rsa_for_clouds_that_take_no_other() -> None:
    outs = outputs_of(keys.SshKeyProvider(), purpose="x", kind="rsa")
    assert outs["private_key"].startswith("-----BEGIN OPENSSH PRIVATE KEY-----")
    assert outs["public_key"].startswith("ssh-rsa AAAA")
    assert operator_key._bits(outs["public_key"].split()[1]) == keys.RSA_BITS

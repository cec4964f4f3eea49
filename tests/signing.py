"""Signing key of the tests' stacks, new in each process."""

from bootstrap.signing import SigningKey

SIGNING_KEY = SigningKey.generate()

"""Stored form of our dynamic providers, and their error messages."""

from __future__ import annotations

import pickle
import subprocess
import sys
from base64 import b64decode
from types import ModuleType

import pytest
from pulumi.dynamic import ConfigureRequest
from pulumi.dynamic.config import Config
from pulumi.dynamic.dynamic import serialize_provider

from bootstrap.errors import ConfigError
from infra.aws.capacity import CapacityProvider
from infra.aws.contents import BucketContentsProvider
from infra.aws.images import ImagePinsProvider
from infra.aws.upload import UploadProvider
from infra.keys import SecretProvider, SshKeyProvider
from infra.local.image import BaseImageProvider
from infra.local.network import LeftoversProvider, NetworkProvider
from infra.local.nodes import NodeProvider
from infra.provider import Provider

PROVIDERS = [
    *(BaseImageProvider, LeftoversProvider, NetworkProvider, NodeProvider, SecretProvider, SshKeyProvider),
    *(BucketContentsProvider, CapacityProvider, ImagePinsProvider, UploadProvider),
]


@pytest.mark.parametrize("kind", PROVIDERS)
def test_a_provider_is_stored_by_name_alone(kind: type[Provider]) -> None:
    """More than its name would change with our code, and every resource with it."""
    stored = serialize_provider(kind())
    assert stored == serialize_provider(kind())
    assert len(stored) < 200
    assert isinstance(pickle.loads(b64decode(stored)), kind)


def test_providers_start_without_what_only_programs_need() -> None:
    """They are processes of their own, started by every command, for whatever provider a stack has."""
    modules = sorted({kind.__module__ for kind in PROVIDERS})
    heavy = ("pulumi_aws", "pydantic", "boto3", "cryptography")
    program = f"import sys, {', '.join(modules)}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_expected_failure_is_one_line_and_a_bug_keeps_its_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = ModuleType("__main__")
    server.DynamicResourceProviderServicer = object  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "__main__", server)
    monkeypatch.setattr(sys, "argv", ["server"])
    Provider().configure(ConfigureRequest(Config({}, "caffe-spark")))
    try:
        raise ConfigError("a", "b", "Type c.")
    except ConfigError:
        assert server.traceback.format_exc() == "a: b. Type c."
    try:
        raise KeyError("bug")
    except KeyError:
        assert "Traceback" in server.traceback.format_exc()

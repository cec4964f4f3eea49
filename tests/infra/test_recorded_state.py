"""State that a stack wrote before modules moved: its dynamic providers load, and still do their work.

`recorded/providers.json` holds, for every provider class, what Pulumi stored of it and of one resource. Add
to it, but never record an entry again: the states of stacks that are up cannot be recorded again either.
"""

from __future__ import annotations

import base64
import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import dill
import pytest
from moto import mock_aws
from pulumi.dynamic.dynamic import serialize_provider
from pulumi.runtime._serialization import _deserialize

from infra.provider import Provider
from tests.infra.conftest import FakeEngine

RECORDED: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parent / "recorded" / "providers.json").read_text()
)
FIXED = [
    "infra.keys.SecretProvider",
    "infra.keys.SigningKeyPairProvider",
    "infra.keys.SshKeyProvider",
    "infra.azure.secrets.GatewayPasswordProvider",
    "infra.azure.contents.StorageContentsProvider",
    "infra.aws.capacity.CapacityProvider",
    "infra.aws.contents.BucketContentsProvider",
    "infra.aws.limits.LimitsProvider",
    "infra.aws.upload.UploadProvider",
    "infra.local.image.BaseImageProvider",
    "infra.local.network.LeftoversProvider",
]
"""Those whose diff looks at nothing but the properties."""


def loaded(name: str) -> tuple[Any, str, dict[str, Any]]:
    """A recorded resource: its provider as Pulumi's server loads it, its id and its properties."""
    entry = RECORDED[name]
    provider = _deserialize(lambda: dill.loads(base64.b64decode(entry["provider"])))
    return provider, entry["id"], dict(entry["props"])


def every_provider() -> list[type[Provider]]:
    """The classes of the modules that the records name, and of all that they import."""
    for name in RECORDED:
        importlib.import_module(name.rpartition(".")[0])
    found, queue = [], [Provider]
    while queue:
        below = queue.pop().__subclasses__()
        found += below
        queue += below
    return [kind for kind in found if kind.__module__.startswith("infra.")]


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        yield


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "Pulumi.yaml").write_text("name: caffe-spark\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", RECORDED)
def test_a_stored_provider_is_todays_class_and_is_stored_alike(name: str) -> None:
    """Another text would mark every resource of its kind as changed."""
    provider, _, _ = loaded(name)
    module, _, kind = name.rpartition(".")
    assert type(provider) is getattr(importlib.import_module(module), kind)
    assert serialize_provider(provider) == RECORDED[name]["provider"]


def test_every_provider_class_is_recorded() -> None:
    found = {f"{kind.__module__}.{kind.__qualname__}" for kind in every_provider()}
    assert found == set(RECORDED)


@pytest.mark.parametrize("name", FIXED)
def test_the_same_properties_are_no_change(name: str) -> None:
    provider, id_, props = loaded(name)
    assert not provider.diff(id_, props, dict(props)).changes


def test_pinned_images_are_no_change_while_the_file_has_them(project: Path) -> None:
    provider, id_, props = loaded("infra.aws.images.ImagePinsProvider")
    pins = {"caffe-spark:headAmi": props["head"], "caffe-spark:workerAmi": props["worker"]}
    (project / "Pulumi.x.yaml").write_text(json.dumps({"config": pins}))
    assert not provider.diff(id_, props, dict(props)).changes
    (project / "Pulumi.x.yaml").write_text("config: {}\n")
    assert provider.diff(id_, props, dict(props)).changes


def test_a_network_that_is_there_is_no_change_and_one_that_is_gone_is_made_again(engine: FakeEngine) -> None:
    provider, id_, props = loaded("infra.local.network.NetworkProvider")
    engine.knows_networks({"name": id_, "subnets": [{"subnet": props["subnet"]}], "labels": props["labels"]})
    assert not provider.diff(id_, props, dict(props)).changes
    assert provider.read(id_, props).id == id_
    engine.knows_networks()
    assert provider.diff(id_, props, dict(props)).replaces == ["network"]
    assert provider.read(id_, props).id == ""


def test_a_node_that_is_gone_is_made_again_and_can_be_removed(engine: FakeEngine) -> None:
    provider, id_, props = loaded("infra.local.nodes.NodeProvider")
    assert provider.diff(id_, props, dict(props)).replaces == ["container"]
    assert provider.read(id_, props).id == ""
    provider.delete(id_, props)
    assert engine.calls[-1].startswith("rm -f -v")
    assert engine.calls[-1].endswith(id_)


def test_what_is_not_there_any_more_is_removed_without_a_word(engine: FakeEngine) -> None:
    for name in ("infra.local.network.LeftoversProvider", "infra.local.network.NetworkProvider"):
        provider, id_, props = loaded(name)
        provider.delete(id_, props)
    assert not [call for call in engine.calls if call.startswith(("rm ", "network rm"))]


def test_the_base_image_stays_and_is_missed_when_it_is_gone(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    provider, id_, props = loaded("infra.local.image.BaseImageProvider")
    assert provider.read(id_, props).id == ""
    engine.has_image()
    assert provider.read(id_, props).id == id_
    provider.delete(id_, props)
    assert f"podman rmi {id_}" in capsys.readouterr().err


@pytest.mark.usefixtures("aws")
def test_a_group_that_is_gone_is_gone() -> None:
    provider, id_, props = loaded("infra.aws.capacity.CapacityProvider")
    assert provider.read(id_, props).id == ""


@pytest.mark.usefixtures("aws")
def test_a_script_that_is_gone_is_gone() -> None:
    provider, id_, props = loaded("infra.aws.upload.UploadProvider")
    where: Any = {"LocationConstraint": props["region"]}
    boto3.client("s3", region_name=props["region"]).create_bucket(
        Bucket=props["bucket"], CreateBucketConfiguration=where
    )
    assert provider.read(id_, props).id == ""
    provider.create(props)
    assert provider.read(id_, props).id == id_


@pytest.mark.usefixtures("aws", "project")
def test_a_bucket_that_is_gone_is_no_error() -> None:
    provider, id_, props = loaded("infra.aws.contents.BucketContentsProvider")
    provider.delete(id_, props)


def test_a_container_goes_where_the_stack_file_says_so(project: Path) -> None:
    provider, id_, props = loaded("infra.azure.contents.StorageContentsProvider")
    (project / "Pulumi.x.yaml").write_text("config:\n  caffe-spark:forceDestroy: true\n")
    provider.delete(id_, props)


@pytest.mark.parametrize(
    "name",
    [
        "infra.keys.SecretProvider",
        "infra.keys.SshKeyProvider",
        "infra.azure.secrets.GatewayPasswordProvider",
        "infra.aws.capacity.CapacityProvider",
        "infra.aws.images.ImagePinsProvider",
        "infra.aws.limits.LimitsProvider",
        "infra.aws.upload.UploadProvider",
    ],
)
def test_what_is_only_in_the_state_leaves_it(name: str) -> None:
    provider, id_, props = loaded(name)
    provider.delete(id_, props)

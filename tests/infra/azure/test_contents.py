"""Destroying a stack takes data along only when its file says so.

Blobs are a real server's (Azurite); the order of deletions is a real engine's, over a program with only what
orders them.
"""

from __future__ import annotations

import base64
import itertools
from pathlib import Path

import pytest

from bootstrap.clouds import azure
from bootstrap.errors import ConfigError, ServiceDown, StackError
from infra.azure import contents
from infra.azure.contents import StorageContentsProvider
from tests.cloud.arm import closed_port
from tests.cloud.blob_server import ACCOUNT, ACCOUNT_KEY, BlobServer
from tests.infra import engine

PROGRAM = """
import pulumi
from infra.azure.contents import StorageContents
from infra.azure.secrets import GatewayPassword

contents = StorageContents(
    "contents", stack="x", part="cluster", account={account!r}, container={container!r}, key={key!r}
)
password = GatewayPassword("machine", opts=pulumi.ResourceOptions(depends_on=[contents]))
pulumi.export("password", password.value)
"""
NOT_AZURES = """
import infra.azure.contents

infra.azure.contents._url = lambda _: {url!r}
"""
"""For the engine's processes: the server instead of Azure's."""

NAMES = itertools.count(1)
PROPS = {"stack": "x", "part": "cluster", "account": ACCOUNT, "container": "files", "key": ACCOUNT_KEY}
AZURES_OWN = (
    "HdiSamples/HdiSamples/FoodInspectionData/README",
    "example/data/gutenberg/davinci.txt",
    "hive/warehouse/hivesampletable/HiveSampleData.txt",
    "HdiNotebooks/PySpark/00 - [READ ME FIRST] Spark Magic Kernel Features.ipynb",
    "cluster-info/x.json",
    "hdp/apps/5.1/spark.tgz",
    "app-logs/root/1.log",
)
"""Contents of a new cluster's container, from Microsoft's documentation."""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "Pulumi.yaml").write_text("name: caffe-spark\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def container(project: Path, azurite: BlobServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """A container with what HDInsight leaves in it."""
    monkeypatch.setattr(contents, "_url", lambda _: f"http://{azurite.server}/{ACCOUNT}")
    name = f"contents-{next(NAMES)}"
    client = azurite.container(name)
    for path in (*AZURES_OWN, "cluster/nodes/hn0-x.json", "tmp/x"):
        client.upload_blob(path, b"of machines")
    client.upload_blob("data", b"", metadata={"hdi_isfolder": "true"})
    client.upload_blob("user/sshuser", b"", metadata={"hdi_isfolder": "true"})
    return name


def put(azurite: BlobServer, container: str, path: str) -> None:
    from azure.storage.blob import BlobClient

    url = f"http://{azurite.server}/{ACCOUNT}"
    BlobClient(url, container, path, credential=ACCOUNT_KEY).upload_blob(b"of people" * 100)


def test_what_only_machines_needed_stops_nobody(container: str) -> None:
    StorageContentsProvider().delete("id", {**PROPS, "container": container})


def test_a_container_that_holds_only_azures_own_stops_nobody() -> None:
    contents.refuse("files@x", "x", "cluster", [(name, 1) for name in AZURES_OWN])


@pytest.mark.parametrize(
    "path",
    [
        "HdiNotebooks/mine.ipynb",
        "hive/warehouse/mine/1.orc",
        "apps/spark/warehouse/mine/1.parquet",
        "hiveql.sql",
    ],
)
def test_what_people_made_beside_azures_own_is_kept(path: str) -> None:
    with pytest.raises(StackError, match="it still holds a blob"):
        contents.refuse("files@x", "x", "cluster", [(name, 1) for name in (*AZURES_OWN, path)])


def test_a_storages_own_stack_has_removed_nothing_and_no_cluster() -> None:
    with pytest.raises(StackError) as caught:
        contents.refuse("files@x", "keep", "storage", [("data/mnist.lmdb", 1)])
    line = str(caught.value)
    assert "forceDestroy is off; nothing has been deleted" in line
    assert "pulumi destroy --stack keep" in line
    for word in ("NAT", "the cluster is gone", "storageStack"):
        assert word not in line


def test_data_stop_a_destroy_and_the_line_says_how_to_go_on(container: str, azurite: BlobServer) -> None:
    put(azurite, container, "frameworks/caffe.tar")
    put(azurite, container, "data/mnist.lmdb")
    with pytest.raises(StackError) as caught:
        StorageContentsProvider().delete("id", {**PROPS, "container": container})
    line = str(caught.value)
    for word in (
        f"{container}@{ACCOUNT}",
        "2 blobs",
        "data/, frameworks/",
        "NAT gateway",
        "forceDestroy true",
    ):
        assert word in line
    assert "\n" not in line
    assert ACCOUNT_KEY not in line


@pytest.mark.parametrize("said", ["true", '"true"'])
def test_data_go_where_the_stack_file_says_so(
    project: Path, container: str, azurite: BlobServer, said: str
) -> None:
    put(azurite, container, "data/mnist.lmdb")
    (project / "Pulumi.x.yaml").write_text(f"config:\n  caffe-spark:forceDestroy: {said}\n")
    StorageContentsProvider().delete("id", {**PROPS, "container": container})


def test_a_container_that_is_gone_stops_nobody(container: str) -> None:
    StorageContentsProvider().delete("id", {**PROPS, "container": "never-made"})


def test_a_key_that_is_refused_is_told(container: str) -> None:
    other = base64.b64encode(b"another").decode()
    with pytest.raises(ConfigError, match=r"it is refused.*adminCidrs"):
        StorageContentsProvider().delete("id", {**PROPS, "container": container, "key": other})


def test_an_account_that_does_not_answer_is_told(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "_url", lambda _: f"http://127.0.0.1:{closed_port()}/{ACCOUNT}")
    monkeypatch.setattr(azure, "FAIL_FAST", {**azure.FAIL_FAST, "retry_total": 0, "retry_connect": 0})
    with pytest.raises(ServiceDown, match="cannot be reached"):
        StorageContentsProvider().delete("id", dict(PROPS))


def test_nothing_is_made_and_a_changed_key_or_part_is_only_noted() -> None:
    provider = StorageContentsProvider()
    made = provider.create(dict(PROPS))
    assert made.id == f"{ACCOUNT}/files"
    for key in ("key", "part"):
        diff = provider.diff(made.id, PROPS, {**PROPS, key: "other"})
        assert (diff.changes, diff.replaces) == (True, [])
    assert provider.update(made.id, PROPS, {**PROPS, "key": "other"}).outs == {**PROPS, "key": "other"}
    assert provider.diff(made.id, PROPS, {**PROPS, "container": "other"}).replaces == ["container"]
    assert not provider.diff(made.id, PROPS, dict(PROPS)).changes


def test_the_account_is_azures() -> None:
    assert contents._url(PROPS) == f"https://{ACCOUNT}.blob.core.windows.net"


@pytest.mark.cluster
def test_machines_go_first_and_a_destroy_that_was_refused_goes_on_where_it_stood(
    tmp_path: Path, azurite: BlobServer
) -> None:
    container = f"engine-{next(NAMES)}"
    azurite.container(container)
    put(azurite, container, "jobs/j/model")
    here = tmp_path / "site"
    here.mkdir()
    (here / "sitecustomize.py").write_text(NOT_AZURES.format(url=f"http://{azurite.server}/{ACCOUNT}"))
    program = PROGRAM.format(account=ACCOUNT, container=container, key=ACCOUNT_KEY)
    stack = engine.stack(tmp_path, program, "config: {}\n", PYTHONPATH=str(here))
    stack.up()
    shown = stack.pulumi("stack", "output", "password", "--show-secrets")
    stack.up()
    assert stack.pulumi("stack", "output", "password", "--show-secrets") == shown, "it never changes"
    assert "[secret]" in stack.pulumi("stack", "output", "password")
    assert ACCOUNT_KEY not in stack.pulumi("stack", "export"), "the key is encrypted in the state"
    stack.destroy_after_refusal("a blob (0.0 GiB: jobs/) and forceDestroy is off")

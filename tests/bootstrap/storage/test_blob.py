"""Blob storage from the operator's machine: azure-storage-blob against a real blob server (Azurite)."""

from __future__ import annotations

import base64
import functools
import itertools
import socket
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.blob import ContainerClient
from pydantic import SecretStr

from bootstrap.clouds import azure
from bootstrap.cluster import Blob, Cluster, ClusterDocument
from bootstrap.errors import CaffeSparkError, CommandFailed, ConfigError, StackError
from bootstrap.script_actions.action import ScriptAction
from bootstrap.storage import blob
from bootstrap.storage.blob import Blobs, upload
from bootstrap.storage.programs import LONGEST
from tests.at_once import at_once
from tests.bootstrap.hdinsight_cluster import ACCOUNT as HDINSIGHT_ACCOUNT
from tests.bootstrap.hdinsight_cluster import hdinsight
from tests.cloud.arm import closed_port
from tests.cloud.blob_server import ACCOUNT, ACCOUNT_KEY, BlobServer

__all__ = ["hdinsight"]

NAMES = itertools.count(1)
OTHER_KEY = base64.b64encode(b"another").decode()
SCRIPT = ScriptAction("framework", "#!/bin/sh\necho hello\n")


def with_blobs(cluster: Cluster, container: str, server: str, key: str | None = ACCOUNT_KEY) -> Cluster:
    uri = f"wasb://{container}@{ACCOUNT}.blob.core.windows.net"
    access = Blob(uri=uri, key=SecretStr(key) if key is not None else None, server=server)
    return cluster.model_copy(update={"storage": access})


@pytest.fixture
def served(cluster: Cluster, azurite: BlobServer) -> Cluster:
    """A cluster whose storage is an empty container of a local blob server."""
    container = f"files-{next(NAMES)}"
    azurite.container(container)
    return with_blobs(cluster, container, azurite.server)


@pytest.fixture
def blobs(served: Cluster) -> Blobs:
    return Blobs.of(served)


class Transferred:
    """Bytes of bodies that a container's client has received."""

    bytes = 0


@pytest.fixture
def transferred(monkeypatch: pytest.MonkeyPatch) -> Transferred:
    counted, send = Transferred(), RequestsTransport.send

    def counting(self: RequestsTransport, request: Any, **rest: Any) -> Any:
        response = send(self, request, **rest)
        if request.method == "GET":
            counted.bytes += int(response.headers.get("Content-Length", 0))
        return response

    monkeypatch.setattr(RequestsTransport, "send", counting)
    return counted


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pauses between the client's retries."""
    none = {"initial_backoff": 0, "increment_base": 0, "random_jitter_range": 0}
    monkeypatch.setattr(blob, "_OPTIONS", {**blob._OPTIONS, **none})


def said_of(blobs: Blobs) -> set[CaffeSparkError]:
    """Return the errors that the methods raise: one and the same."""
    caught = []
    for ask in (
        lambda: blobs.read("x"),
        lambda: blobs.part("x", 0, 9),
        lambda: blobs.exists("x"),
        blobs.list,
        lambda: blobs.write("x", b""),
        lambda: blobs.write_new("x", b""),
        lambda: blobs.update("x", lambda _: b""),
    ):
        with pytest.raises(CaffeSparkError) as info:
            ask()
        assert "\n" not in str(info.value)
        caught.append(info.value)
    assert len({str(one) for one in caught}) == 1
    return set(caught)


# ---- files


def test_a_file_written_is_read_back_byte_for_byte(blobs: Blobs) -> None:
    data = bytes(range(256)) * 40
    blobs.write("cluster/with space.json", data)
    assert blobs.read("/cluster/with space.json") == data
    assert blobs.exists("cluster/with space.json")


def test_a_missing_file_reads_as_none(blobs: Blobs) -> None:
    assert blobs.read("nothing") is None
    assert not blobs.exists("nothing")
    assert blobs.list("nothing") == []


def test_a_second_write_replaces_the_first(blobs: Blobs) -> None:
    blobs.write("x", b"first")
    blobs.write("x", b"2nd")
    assert blobs.read("x") == b"2nd"


def test_a_large_local_file_is_written_and_copied_back_in_blocks(blobs: Blobs, tmp_path: Path) -> None:
    data = bytes(range(256)) * (40 << 12)
    (tmp_path / "file").write_bytes(data)

    blobs.write("x", tmp_path / "file")
    with (tmp_path / "back").open("wb") as back:
        blobs.copy("x", back)
        blobs.copy("x", back)

    assert (tmp_path / "back").read_bytes() == data + data


def test_a_growing_file_is_read_from_where_the_last_read_ended(blobs: Blobs) -> None:
    blobs.write("events", b"one\n")
    assert blobs.part("events", 4, 100) == (b"", 4)
    assert blobs.part("events", 9, 100) == (b"", 9)
    blobs.write("events", b"one\ntwo\n")
    assert blobs.part("events", 4, 100) == (b"two\n", 8)
    assert blobs.part("events", 0, 3) == (b"one", 8)
    assert blobs.part("nothing", 4, 100) == (b"", 4)
    blobs.write("empty", b"")
    assert blobs.part("empty", 0, 100) == (b"", 0)


def test_a_file_that_is_too_long_is_refused_and_not_transferred(
    blobs: Blobs, transferred: Transferred
) -> None:
    # Jobs can write to the container; a sparse blob of terabytes costs them nothing.
    size = 8 << 40
    blobs.client.get_blob_client("list").create_page_blob(size=size)

    with pytest.raises(CommandFailed, match=r"/list: it has more than 4,096 KiB, .*\. Remove it"):
        blobs.read("list")

    assert transferred.bytes <= 2 * LONGEST
    assert blobs.part("list", size - 512, 4096) == (bytes(512), size)


def test_a_caller_says_how_long_its_file_may_be(blobs: Blobs) -> None:
    blobs.write("x", bytes(6 << 20))
    with pytest.raises(CommandFailed, match="more than 5,120 KiB"):
        blobs.read("x", max_size=5 << 20)
    assert blobs.read("x", max_size=6 << 20) == bytes(6 << 20)


def test_of_several_files_those_that_are_gone_or_too_long_are_passed_over(blobs: Blobs) -> None:
    blobs.write("short", b"text")
    blobs.write("long", bytes(100))
    assert blobs.read_each(["long", "gone", "short"], max_size=99) == [None, None, b"text"]


def test_a_file_that_is_too_long_is_updated_by_its_start_alone(blobs: Blobs) -> None:
    blobs.write("list", bytes(6 << 20))

    def changed(before: bytes | None) -> bytes:
        return b"%d" % len(before or b"")

    blobs.update("list", changed)

    assert blobs.read("list") == b"%d" % (LONGEST + 1)


def test_concurrent_updates_of_one_file_lose_nothing(blobs: Blobs) -> None:
    def add(number: int) -> None:
        blobs.update("list", lambda before: (before or b"") + b"%d\n" % number)

    at_once(*(functools.partial(add, number) for number in range(6)))
    assert sorted((blobs.read("list") or b"").split()) == [b"%d" % number for number in range(6)]


def test_of_several_that_write_a_new_file_one_does(blobs: Blobs) -> None:
    wrote = list[bytes]()

    def write(data: bytes) -> None:
        if blobs.write_new("new", data):
            wrote.append(data)

    at_once(*(functools.partial(write, b"%d" % number) for number in range(6)))

    assert len(wrote) == 1
    assert blobs.read("new") == wrote[0]
    assert not blobs.write_new("new", b"later")


def test_a_file_that_needs_no_change_is_not_written(blobs: Blobs, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs.write("x", b"first")
    monkeypatch.setattr(ContainerClient, "upload_blob", lambda *_, **__: pytest.fail("it was written"))
    blobs.update("x", lambda before: None if before == b"first" else b"")
    blobs.update("nothing", lambda before: before)


def test_files_below_a_prefix_are_listed_in_order(blobs: Blobs) -> None:
    for path in ("nodes/b.json", "nodes/a.json", "nodes-not/c.json", "d.json"):
        blobs.write(path, b"")
    assert blobs.list("/nodes/") == ["nodes/a.json", "nodes/b.json"]
    assert len(blobs.list()) == 4


def test_a_path_has_a_uri_that_hadoop_knows(served: Cluster) -> None:
    assert Blobs.of(served).url("/cluster/x") == f"{served.shared_storage}/cluster/x"


# ---- scripts


def test_a_script_lies_where_its_uri_says(served: Cluster, blobs: Blobs) -> None:
    uri = upload(served, SCRIPT)
    assert uri == f"{served.shared_storage}/{SCRIPT.path}"
    assert blobs.read(SCRIPT.path) == SCRIPT.script.encode()


def test_the_same_script_is_uploaded_once(
    served: Cluster, blobs: Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = upload(served, SCRIPT)
    monkeypatch.setattr(Blobs, "write", lambda *_: pytest.fail("it was put again"))
    assert upload(served, SCRIPT) == uri


def test_a_different_text_under_the_scripts_path_is_replaced(served: Cluster, blobs: Blobs) -> None:
    blobs.write(SCRIPT.path, b"#!/bin/sh\necho evil\n")
    upload(served, SCRIPT)
    assert blobs.read(SCRIPT.path) == SCRIPT.script.encode()


def test_another_text_of_the_same_action_has_a_uri_of_its_own(served: Cluster) -> None:
    assert upload(served, SCRIPT) != upload(served, ScriptAction("framework", "#!/bin/sh\n"))


def test_hdinsights_scripts_lie_in_the_container_of_artefacts(
    hdinsight: ClusterDocument, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def read(blobs: Blobs, _: str) -> bytes:
        asked.append(blobs.client)
        return SCRIPT.script.encode()

    monkeypatch.setattr(Blobs, "read", read)
    monkeypatch.setattr(azure, "credential", Token)
    uri = upload(hdinsight, SCRIPT)
    assert uri == f"wasbs://artifacts@{HDINSIGHT_ACCOUNT}.blob.core.windows.net/{SCRIPT.path}"
    assert asked[0].url == f"https://{HDINSIGHT_ACCOUNT}.blob.core.windows.net/artifacts"


# ---- refusals, from a real server


def test_a_wrong_account_key_is_reported_by_every_method(served: Cluster, azurite: BlobServer) -> None:
    container = served.shared_storage[7:].partition("@")[0]
    for error in said_of(Blobs.of(with_blobs(served, container, azurite.server, OTHER_KEY))):
        assert isinstance(error, ConfigError)
        assert "rejects the stack's key" in error.why
        assert error.fix.startswith("Run `fab bootstrap --stack dev`")


def test_a_missing_container_is_not_taken_for_a_missing_file(served: Cluster, azurite: BlobServer) -> None:
    for error in said_of(Blobs.of(with_blobs(served, "nowhere", azurite.server))):
        assert isinstance(error, StackError)
        assert str(error).startswith(f"wasb://nowhere@{ACCOUNT}.blob.core.windows.net: there is no such")


def test_a_server_that_is_down_is_reported_at_once(cluster: Cluster, no_pauses: None) -> None:
    down = Blobs.of(with_blobs(cluster, "files", f"127.0.0.1:{closed_port()}"))
    with pytest.raises(azure.Offline, match=r"it does not answer: .*Connection refused.*`fab doctor`"):
        down.read("x")


# ---- refusals that only Azure has


class Token:
    """A fake credential."""

    def get_token(self, *_: str, **__: Any) -> None:
        raise AssertionError("not to be asked")


class Refused:
    """A failure as azure-storage-blob raises it."""

    def __init__(self, status: int, code: str, message: str = "") -> None:
        kind = ResourceNotFoundError if status == 404 else HttpResponseError
        self.error = kind(message or code)
        self.error.status_code, self.error.error_code = status, code  # type: ignore[attr-defined]

    def list_blob_names(self, **_: Any) -> list[str]:
        raise self.error

    primary_hostname = f"{HDINSIGHT_ACCOUNT}.blob.core.windows.net"


def refused(keyed: bool, status: int, code: str, message: str = "") -> CaffeSparkError:
    repair = "`pulumi up --refresh --stack s`"
    client: Any = Refused(status, code, message)
    with pytest.raises(CaffeSparkError) as caught:
        Blobs("wasbs://c@caffewest.blob.core.windows.net", "s", client, repair, keyed=keyed).list()
    return caught.value


@pytest.mark.parametrize(
    ("keyed", "status", "code", "kind", "words"),
    [
        (
            True,
            403,
            "AuthenticationFailed",
            ConfigError,
            "Run `pulumi up --refresh --stack s`, which reads the key again",
        ),
        (
            False,
            403,
            "AuthorizationPermissionMismatch",
            azure.Denied,
            "`Storage Blob Data Contributor` on the",
        ),
        (True, 403, "AuthorizationFailure", ConfigError, "network rules block this machine"),
        (
            True,
            403,
            "KeyBasedAuthenticationNotPermitted",
            ConfigError,
            "the storage account does not allow key access",
        ),
        (True, 404, "ContainerNotFound", StackError, "there is no such container"),
        (True, 503, "ServerBusy", CaffeSparkError, "Wait a minute"),
    ],
)
def test_each_of_azures_refusals_names_the_next_command(
    keyed: bool, status: int, code: str, kind: type[CaffeSparkError], words: str
) -> None:
    error = refused(keyed, status, code)
    assert isinstance(error, kind)
    assert words in str(error)


def test_a_refusal_by_network_rules_names_the_setting() -> None:
    error = refused(True, 403, "AuthorizationFailure")
    assert "`adminCidrs`, then run `pulumi up --refresh --stack s`" in error.fix


def test_a_rotated_key_warns_that_hdinsight_would_be_replaced() -> None:
    assert "run `pulumi preview --stack s` first" in refused(True, 403, "AuthenticationFailed").fix


def test_a_clock_that_is_wrong_is_not_taken_for_a_wrong_key() -> None:
    error = refused(True, 403, "AuthenticationFailed", "Request date header too old: 'Tue, 24 Nov 2026'")
    assert "this machine's clock is wrong" in str(error)


def test_an_unresolvable_account_is_named(
    hdinsight: ClusterDocument, no_pauses: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    access = hdinsight.storage.model_copy(update={"key": SecretStr(ACCOUNT_KEY)})
    with pytest.raises(azure.Offline, match=r"caffewest\.blob\.core\.windows\.net cannot be resolved"):
        Blobs.of(hdinsight.model_copy(update={"storage": access})).read("x")


# ---- accounts and credentials


def client_of(cluster: ClusterDocument, uri: str | None = None) -> ContainerClient:
    return Blobs.of(cluster, uri).client


def test_without_a_key_the_operators_own_login_is_used(
    hdinsight: ClusterDocument, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = Token()
    monkeypatch.setattr(azure, "credential", lambda: token)
    assert client_of(hdinsight).credential is token
    assert not Blobs.of(hdinsight).keyed


def test_the_key_of_one_account_is_not_given_to_another(
    hdinsight: ClusterDocument, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(azure, "credential", Token)
    access = hdinsight.storage.model_copy(update={"key": SecretStr(ACCOUNT_KEY)})
    keyed = hdinsight.model_copy(update={"storage": access})
    assert Blobs.of(keyed).keyed
    assert not Blobs.of(keyed, "wasbs://scripts@another.blob.core.windows.net").keyed


def test_an_account_with_a_name_space_answers_by_its_blob_name(
    hdinsight: ClusterDocument, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(azure, "credential", Token)
    url = client_of(hdinsight, "abfss://files@lake.dfs.core.windows.net").url
    assert url == "https://lake.blob.core.windows.net/files"


@pytest.mark.parametrize(
    "uri", ["hdfs://head:9000", "wasbs://account.blob.core.windows.net", "https://c@a", "wasb://c@", "x"]
)
def test_an_invalid_blob_storage_uri_is_refused(cluster: Cluster, uri: str) -> None:
    with pytest.raises(ConfigError, match=r"not a valid blob storage URI \(wasbs://CONTAINER@ACCOUNT"):
        Blobs.of(cluster, uri)


@pytest.mark.parametrize("key", ["", "no key!", None])
def test_an_invalid_key_is_reported_before_any_request(cluster: Cluster, key: str | None) -> None:
    with pytest.raises(ConfigError, match="the account key in the stack is not valid base64"):
        Blobs.of(with_blobs(cluster, "files", "127.0.0.1:1", key))


def test_a_key_is_in_no_message(served: Cluster, azurite: BlobServer, tmp_path: Path) -> None:
    for error in said_of(Blobs.of(with_blobs(served, "nowhere", azurite.server, OTHER_KEY))):
        assert OTHER_KEY not in str(error)
        assert OTHER_KEY not in repr(error)

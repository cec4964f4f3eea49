"""Shared storage over a fake `hdfs`; the end-to-end tests use the real HDFS."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from bootstrap.errors import CommandFailed, ServiceDown
from bootstrap.storage.hadoop import SharedStorage
from tests.at_once import at_once
from tests.bootstrap.local_node import HDFS, LocalNode


@pytest.fixture
def node(tmp_path: Path) -> LocalNode:
    node = LocalNode(tmp_path)
    node.fake("hdfs", HDFS)
    return node


@pytest.fixture
def storage(node: LocalNode) -> SharedStorage:
    # not hdfs://, so that explaining a failure asks no NameNode
    return SharedStorage(node, "s3a://bucket", user="spark")


def test_a_url_joins_uri_and_path(node: LocalNode) -> None:
    assert SharedStorage(node, "hdfs://head:9000/").url("/data/x") == "hdfs://head:9000/data/x"


def test_a_file_put_is_read_back_byte_for_byte(storage: SharedStorage, tmp_path: Path) -> None:
    data = bytes(range(256)) * 40
    (tmp_path / "with space").write_bytes(data)
    storage.put(str(tmp_path / "with space"), "/frameworks/caffe/k/file")
    assert storage.exists("/frameworks/caffe/k/file")
    assert storage.read("/frameworks/caffe/k/file") == data


def test_a_missing_file_reads_as_none(storage: SharedStorage) -> None:
    assert storage.read("/nothing") is None
    assert not storage.exists("/nothing")


def test_a_document_and_the_sum_of_a_file_come_in_one_call(
    storage: SharedStorage, node: LocalNode, tmp_path: Path
) -> None:
    for name, data in (("doc", '{"é": "}{"}\n'.encode()), ("file", b"\x00{}\xff")):
        (tmp_path / name).write_bytes(data)
        storage.put(str(tmp_path / name), f"/k/{name}")
    calls = len(node.scripts)
    document, digest = storage.read_and_sum("/k/doc", "/k/file")
    assert len(node.scripts) == calls + 1
    assert document == '{"é": "}{"}\n'.encode()
    assert digest == hashlib.sha256(b"\x00{}\xff").hexdigest()


@pytest.mark.parametrize(
    ("there", "want"), [((), (False, False)), (("doc",), (True, False)), (("file",), (False, False))]
)
def test_a_missing_document_or_file_is_none(
    storage: SharedStorage, tmp_path: Path, there: tuple[str, ...], want: tuple[bool, bool]
) -> None:
    for name in there:
        (tmp_path / name).write_text("{}")
        storage.put(str(tmp_path / name), f"/k/{name}")
    document, digest = storage.read_and_sum("/k/doc", "/k/file")
    assert (document is not None, digest is not None) == want


def test_a_folder_put_replaces_the_one_before_it(storage: SharedStorage, tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.mdb").write_text(name)
        storage.put(str(tmp_path / name), "/data/mnist")
    assert storage.read("/data/mnist/new.mdb") == b"new"
    assert storage.read("/data/mnist/old.mdb") is None


def test_fetching_a_folder_brings_all_of_it(storage: SharedStorage, tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "data.mdb").write_text("x")
    storage.put(str(tmp_path / "db"), "/data/db")
    storage.fetch("/data/db", str(tmp_path / "back"))
    assert (tmp_path / "back" / "data.mdb").read_text() == "x"


def test_removing_twice_is_no_error(storage: SharedStorage, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    storage.put(str(tmp_path / "f"), "/f")
    storage.remove("/f")
    storage.remove("/f")
    assert not storage.exists("/f")


@pytest.mark.parametrize("verb", ["put", "fetch"])
def test_a_source_that_does_not_exist_is_named(storage: SharedStorage, tmp_path: Path, verb: str) -> None:
    with pytest.raises(CommandFailed, match=r"nothing.*No such file"):
        if verb == "put":
            storage.put(str(tmp_path / "nothing"), "/x")
        else:
            storage.fetch("/nothing", str(tmp_path / "x"))


def test_concurrent_puts_of_one_file_do_not_remove_each_others_upload(
    node: LocalNode, tmp_path: Path
) -> None:
    # HDFS's own -put writes to a name that both would use
    node.fake(
        "hdfs",
        HDFS
        + 'case $verb in -put) sleep 0.1; mkdir "$(here /busy)" || exit 1; rmdir "$(here /busy)";; esac\n',
    )
    storage = SharedStorage(node, "s3a://bucket")
    (tmp_path / "f").write_text("x")
    at_once(*[lambda: storage.put(str(tmp_path / "f"), "/f")] * 3)


def test_of_two_concurrent_puts_of_an_artefact_the_first_one_wins_entirely(
    node: LocalNode, storage: SharedStorage, tmp_path: Path
) -> None:
    node.fake("hdfs", HDFS.replace("\ncase $verb in", "\nsleep 0.0$(($$ % 5))\ncase $verb in"))

    def put(operator: str) -> bool:
        (tmp_path / operator).mkdir()
        for name in ("archive", "manifest"):
            (tmp_path / operator / name).write_text(operator)
        return storage.put_new(
            [(str(tmp_path / operator / name), f"/k/{name}") for name in ("archive", "manifest")]
        )

    wrote = at_once(lambda: put("ann"), lambda: put("bob"))
    assert sorted(wrote) == [False, True]
    first = b"ann" if wrote[0] else b"bob"
    assert [storage.read("/k/archive"), storage.read("/k/manifest")] == [first, first]
    assert {path.name for path in (node.folder / "state" / "dfs" / "k").iterdir()} == {"archive", "manifest"}


def test_an_identical_folder_is_left_unchanged_for_its_readers(
    node: LocalNode, storage: SharedStorage, tmp_path: Path
) -> None:
    for number, manifest in enumerate(("one", "one", "two")):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "manifest").write_text(manifest)
        (tmp_path / str(number) / "data").write_text(str(number))
    assert storage.put(str(tmp_path / "0"), "/data/x", same="manifest")
    assert not storage.put(str(tmp_path / "1"), "/data/x", same="manifest")
    assert storage.read("/data/x/data") == b"0"
    assert storage.put(str(tmp_path / "2"), "/data/x", same="manifest")
    assert storage.read("/data/x/data") == b"2"
    assert [path.name for path in (node.folder / "state" / "dfs" / "data").iterdir()] == ["x"]


def test_an_upload_that_fails_leaves_nothing_beside_the_folder(
    node: LocalNode, storage: SharedStorage, tmp_path: Path
) -> None:
    node.fake("hdfs", HDFS.replace("-mv) mv", "-mv) echo refused >&2; exit 1; mv"))
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "data").write_text("x")
    with pytest.raises(CommandFailed, match="refused"):
        storage.put(str(tmp_path / "db"), "/data/db")
    assert list((node.folder / "state" / "dfs" / "data").iterdir()) == []


def test_concurrent_fetches_to_one_path_leave_a_complete_folder(
    node: LocalNode, storage: SharedStorage, tmp_path: Path
) -> None:
    node.fake("mv", f'sleep 0.0$(($$ % 10))\nexec {shutil.which("mv")} "$@"\n')
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "data").write_text("x")
    storage.put(str(tmp_path / "db"), "/data/db")
    here = tmp_path / "here"
    for _ in range(3):
        at_once(*[lambda: storage.fetch("/data/db", str(here / "db"))] * 3)
        assert [str(path.relative_to(here)) for path in here.rglob("*")] == ["db", "db/data"]


# ---- refusals of S3. The texts are those of Hadoop 3.3.4 against versitygw, shortened.

S3_SAID = (
    "ls: s3a://bucket/: listStatus on s3a://bucket/: com.amazonaws.services.s3.model.AmazonS3Exception: "
    "{said} (Service: Amazon S3; Status Code: {status}; Error Code: {code}; Request ID: 5Z2C; Proxy: null), "
    "S3 Extended Request ID: Xp/q=:{code}"
)


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (404, "NoSuchBucket", "there is no such bucket"),
        (403, "SignatureDoesNotMatch", "the secret key does not match the access key"),
        (403, "InvalidAccessKeyId", "it does not know the access key"),
        (403, "AccessDenied", "it refuses this machine"),
        (403, "403 Forbidden", "the key is wrong, or lacks the permission"),
        (400, "400 Bad Request", "the stack's region is the bucket's"),
    ],
)
def test_a_refusal_of_s3_is_one_line_with_its_fix(
    storage: SharedStorage, node: LocalNode, status: int, code: str, words: str
) -> None:
    text = S3_SAID.format(said="No.", status=status, code=code)
    node.fake("hdfs", f"echo '{text.replace(chr(39), '')}' >&2; exit 1")
    with pytest.raises(ServiceDown) as caught:
        storage.read("/x")
    assert str(caught.value).startswith("s3a://bucket: ")
    assert words in str(caught.value)


def test_a_server_that_does_not_answer_is_named_as_such(storage: SharedStorage, node: LocalNode) -> None:
    node.fake(
        "hdfs",
        "echo 'put: getFileStatus on s3a://bucket/x: com.amazonaws.SdkClientException: Unable to execute "
        "HTTP request: Connect to 10.0.0.1:7070 [/10.0.0.1] failed: Connection refused' >&2; exit 1",
    )
    with pytest.raises(ServiceDown, match=r"s3a://bucket: it does not answer \(Connection refused\)"):
        storage.exists("/x")


def test_unknown_errors_of_s3_are_passed_on(storage: SharedStorage, node: LocalNode) -> None:
    node.fake("hdfs", "echo 'WARN MetricsConfig: Cannot locate' >&2; echo 'put: something else' >&2; exit 1")
    with pytest.raises(CommandFailed, match="something else"):
        storage.remove("/x")

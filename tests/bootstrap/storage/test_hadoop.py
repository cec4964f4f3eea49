"""Shared storage over a fake `hdfs`; the end-to-end tests use the real HDFS."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from bootstrap.errors import CommandFailed, ServiceDown
from bootstrap.storage import hadoop
from bootstrap.storage.hadoop import SharedStorage
from bootstrap.sums import sha256_of
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


def stored(node: LocalNode, path: str, text: str) -> None:
    """Put a file into the storage's stand-in."""
    file = node.folder / "state" / "dfs" / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


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


def test_a_document_that_is_too_long_is_refused_and_not_transferred(
    storage: SharedStorage, node: LocalNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hadoop, "LONGEST", 1000)
    stored(node, "/current.json", "x" * 5000)
    with pytest.raises(CommandFailed, match=r"current.json: it has more than 0 MiB"):
        storage.read("/current.json")


CURL = """
case " $* " in *' --fail-early '*) ;; *) exit 2;; esac
for url; do case $url in http*)
    file=${url#http://head:9870/webhdfs/v1}; file=$FAKE_STATE/dfs${file%%[?]*}
    case $url in *user.name=spark) ;; *) exit 22;; esac
    [ -e "$file" ] || exit 22
    cat "$file";;
esac; done
"""
"""A stand-in for `curl` with HDFS's own HTTP interface."""


def test_what_is_in_hdfs_is_read_without_a_start_of_java(node: LocalNode) -> None:
    node.fake("curl", CURL)
    node.fake("hdfs", "exit 3")
    stored(node, "/k/doc", '{"a": 1}')
    stored(node, "/k/archive", "bytes")

    read = SharedStorage(node, "hdfs://head:9000").read_and_sum("/k/doc", "/k/archive")

    assert read == (b'{"a": 1}', hashlib.sha256(b"bytes").hexdigest())


def test_hadoops_own_client_says_what_hdfs_does_not_give(node: LocalNode) -> None:
    node.fake("curl", CURL)
    storage = SharedStorage(node, "hdfs://head:9000")
    stored(node, "/k/doc", '{"a": 1}')

    assert storage.read_and_sum("/k/doc", "/k/archive") == (b'{"a": 1}', None)

    node.fake("curl", "echo half; exit 18")
    stored(node, "/k/archive", "bytes")
    assert storage.read_and_sum("/k/doc", "/k/archive")[1] == hashlib.sha256(b"bytes").hexdigest()


def test_a_large_artefact_is_summed_in_little_memory(node: LocalNode, storage: SharedStorage) -> None:
    stored(node, "/k/doc", '{"a": 1}\n')
    archive = node.folder / "state" / "dfs" / "k" / "archive"
    with archive.open("wb") as file:
        file.truncate(400 << 20)
    limited = storage.run
    storage.run = lambda script: limited(f"ulimit -Sv 200000\n{script}")  # type: ignore[method-assign]

    document, digest = storage.read_and_sum("/k/doc", "/k/archive")

    assert document == b'{"a": 1}\n'
    assert digest == sha256_of(archive)


def test_a_command_of_storage_that_hangs_is_ended_on_the_node(node: LocalNode) -> None:
    node.fake("hdfs", "sleep 60")
    with pytest.raises(CommandFailed, match="storage did not end it in"):
        SharedStorage(node, "s3a://bucket", limit=0.2).read("/x")


def test_a_write_that_arrives_in_part_does_nothing(node: LocalNode, storage: SharedStorage) -> None:
    stored(node, "/data/f", "old")
    whole = node.run
    node.run = lambda script, **words: whole(script[: script.rindex("}")], **words)  # type: ignore[method-assign]
    with pytest.raises(CommandFailed):
        storage.write("/data/f", storage.command(f"dfs -rm {storage.quoted('/data/f')}"))
    assert (node.folder / "state" / "dfs" / "data" / "f").read_text() == "old"


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


def test_fetching_a_pattern_joins_its_files_in_order(
    node: LocalNode, storage: SharedStorage, tmp_path: Path
) -> None:
    for number in (1, 0):
        stored(node, f"/rows/part-{number}", f"{number}\n")
    stored(node, "/rows/_SUCCESS", "")
    storage.fetch("/rows/part-*", str(tmp_path / "back"))
    assert (tmp_path / "back").read_text() == "0\n1\n"


def test_what_was_fetched_is_not_the_file_that_storages_user_has_had_open(
    node: LocalNode, storage: SharedStorage, tmp_path: Path
) -> None:
    stored(node, "/archive", "x")
    # Storage's user keeps what it writes open, and waits for its sum to be taken.
    node.fake("hdfs", f'touch $FAKE_STATE/mine; ln $FAKE_STATE/mine "$4" 2>/dev/null; {HDFS}')
    storage.fetch("/archive", str(tmp_path / "back"))
    (node.folder / "state" / "mine").write_text("evil")
    assert (tmp_path / "back").read_text() == "x"


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


def test_concurrent_fetches_to_one_path_leave_a_complete_file(
    node: LocalNode, storage: SharedStorage, tmp_path: Path
) -> None:
    node.fake("mv", f'sleep 0.0$(($$ % 10))\nexec {shutil.which("mv")} "$@"\n')
    stored(node, "/data/db", "x")
    here = tmp_path / "here"
    for _ in range(3):
        at_once(*[lambda: storage.fetch("/data/db", str(here / "db"))] * 3)
        assert {path.name: path.read_text() for path in here.iterdir()} == {"db": "x"}


# ---- refusals of S3. These texts are those of Hadoop 3.3.4 against versitygw, shortened.

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


S3_REQUEST = "Request ID: JMTP38VD3YRVNMRA, Extended Request ID: NvkTF75cANI92Fe0r7aD3DpDMp3boVqS8Pi8ZkdVWHK="
S3_V2 = "software.amazon.awssdk.services.s3.model."


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            f"ls: `s3a://bucket/': listObjects() on s3a://bucket/: {S3_V2}NoSuchBucketException: The "
            f"specified bucket does not exist. (Service: S3, Status Code: 404, {S3_REQUEST}) "
            "(SDK Attempt Count: 1):NoSuchBucket: The specified bucket does not exist. "
            "(Service: S3, Status Code: 404, "
            f"{S3_REQUEST}) (SDK Attempt Count: 1)",
            "there is no such bucket",
        ),
        (
            f"ls: s3a://bucket/: listObjects() on s3a://bucket/: {S3_V2}S3Exception: The request signature "
            "we calculated does not match the signature you provided. Check your key and signing method. "
            f"(Service: S3, Status Code: 403, {S3_REQUEST}) (SDK Attempt Count: 1):SignatureDoesNotMatch",
            "the secret key does not match the access key",
        ),
        (
            f"cat: s3a://bucket/x: getFileStatus on s3a://bucket/x: {S3_V2}S3Exception: Forbidden "
            f"(Service: S3, Status Code: 403, {S3_REQUEST}):null",
            "the key is wrong, or lacks the permission",
        ),
        (
            "ls: s3a://bucket/: org.apache.hadoop.fs.s3a.auth.NoAwsCredentialsException: "
            "IAMInstanceCredentialsProvider: Failed to load credentials from IMDS.",
            "this machine gets no credentials for it. Run `fab doctor`",
        ),
        (
            "ls: listObjects() on s3a://bucket/: software.amazon.awssdk.core.exception.SdkClientException: "
            "Unable to execute HTTP request: Connect to 127.0.0.1:17179 [/127.0.0.1] failed: Connection "
            "refused (SDK Attempt Count: 4):    software.amazon.awssdk.core.exception.SdkClientException: "
            "Unable to execute HTTP request: Connect to 127.0.0.1:17179 [/127.0.0.1] failed: Connection "
            "refused (SDK Attempt Count: 4): Connection refused",
            "it does not answer (Connection refused)",
        ),
    ],
)
def test_a_refusal_of_s3_in_the_words_of_hadoop_3_5_is_one_line_with_its_fix(
    storage: SharedStorage, node: LocalNode, said: str, words: str
) -> None:
    """Printed by Hadoop 3.5.0 against versitygw, or with no metadata service."""
    node.fake("hdfs", f"cat >&2 <<'SAID'\n{said}\nSAID\nexit 1")
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

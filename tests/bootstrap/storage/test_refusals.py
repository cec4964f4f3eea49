"""Translation of object store errors. REAL_ texts were printed by Hadoop 3.3.4 against Azurite."""

from __future__ import annotations

import pytest

from bootstrap.diagnosis import diagnose
from bootstrap.storage.refusals import refusal

WASB = "wasb://files@acct.blob.core.windows.net"
AZURE = "ls: org.apache.hadoop.fs.azure.AzureException: com.microsoft.azure.storage.StorageException: "

REAL_WRONG_KEY = (
    "cat: com.microsoft.azure.storage.StorageException: Server failed to authenticate the request. Make sure "
    "the value of the Authorization header is formed correctly including the signature."
)
REAL_NO_KEY = (
    "cat: org.apache.hadoop.fs.azure.AzureException: No credentials found for account "
    "acct.blob.core.windows.net in the configuration, and its container files is not accessible using "
    "anonymous credentials. Please check if the container exists first. If it is not publicly available, you "
    "have to provide account credentials."
)
REAL_KEY_IS_NO_KEY = "cat: java.lang.StringIndexOutOfBoundsException: String index out of range: 6"
REAL_REFUSED = (
    "mkdir: com.microsoft.azure.storage.StorageException: An unknown failure occurred : Connection refused"
)
REAL_UNKNOWN_HOST = "ls: com.microsoft.azure.storage.StorageException: "
REAL_MISSING = f"cat: `{WASB}/x': No such file or directory"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (REAL_WRONG_KEY, "the account's key on the nodes is wrong"),
        (REAL_NO_KEY, "the nodes have no key for the account"),
        (REAL_KEY_IS_NO_KEY, "the account key on the nodes is not valid"),
        (f"{AZURE}The specified container does not exist.", "there is no such container"),
        (f"{AZURE}Public access is not permitted on this storage account.", "no key for the account"),
        (f"{AZURE}The specified account is disabled.", "the account is disabled"),
        (f"{AZURE}This request is not authorized to perform this operation.", "the account's network rules"),
        (
            f"{AZURE}This request is not authorized to perform this operation using this permission.",
            "the nodes lack the permission",
        ),
        (
            f"{AZURE}Key based authentication is not permitted on this storage account.",
            "does not allow key access",
        ),
        (REAL_REFUSED, "it does not answer (Connection refused)"),
        (REAL_UNKNOWN_HOST, "the nodes cannot resolve the account's host name"),
        ("ls: java.net.UnknownHostException: acct.blob.core.windows.net", "the nodes cannot resolve"),
    ],
)
def test_a_refusal_of_wasb_is_one_line_with_its_fix(said: str, words: str) -> None:
    error = refusal(WASB, f"2026-11-24 10:00:00,000 WARN impl.MetricsConfig: Cannot locate\n{said}\n")
    assert error is not None
    assert str(error).startswith(f"{WASB}: ")
    assert words in str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize("said", [REAL_MISSING, "put: something else", ""])
def test_errors_of_other_origin_are_not_translated(said: str) -> None:
    assert refusal(WASB, said) is None


@pytest.mark.parametrize("uri", ["hdfs://head:9000", "file:///data"])
def test_other_storages_are_not_translated(uri: str) -> None:
    assert refusal(uri, REAL_WRONG_KEY) is None
    assert refusal(uri, "Connection refused") is None


def test_messages_of_one_store_are_ignored_for_another() -> None:
    assert refusal("s3a://bucket", REAL_WRONG_KEY) is None
    assert refusal(WASB, "AmazonS3Exception: No. (Status Code: 404; Error Code: NoSuchBucket; ID: 1)") is None


@pytest.mark.parametrize(
    "said",
    [
        REAL_WRONG_KEY,
        f"{AZURE}The specified container does not exist.",
        f"{AZURE}This request is not authorized to perform this operation.",
    ],
)
def test_commands_and_logs_get_the_same_diagnosis(said: str) -> None:
    error, found = refusal(WASB, said), diagnose(said)
    assert error is not None
    assert found is not None
    assert (error.why, error.fix) == (found.why, found.fix)


def test_a_missing_container_names_the_command_that_creates_it() -> None:
    error = refusal(WASB, f"{AZURE}The specified container does not exist.")
    assert error is not None
    # Azure's is Pulumi's; that of a server of ours is made by a role.
    assert "`pulumi up --refresh`, which makes the stack's in Azure" in error.fix
    assert "`fab bootstrap`, which makes it on a server of ours" in error.fix

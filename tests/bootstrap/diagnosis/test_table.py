"""Every entry against what real tools wrote when they were made to fail; the excerpts are theirs, shortened.

`excerpts/<entry>.<number>.log`, and `.json` where the trainer itself wrote its failure as an event. Folders
and addresses are those of the nodes that they were written on. `storage-firewall.1.log` alone was not
provoked: only Azure has such rules. Its sentence and code are the service's, as many reports to
microsoft/AzureStorageExplorer quote them; the clients' words around them, the identifiers and the time are
not from a real refusal.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from bootstrap.diagnosis import LONGEST_LINE, Diagnosis, diagnose, diagnose_failure, entries
from jobs.trainer.contract import Failed, load
from jobs.trainer.contract.failures import FAILURES

HERE = Path(__file__).parent / "excerpts"
EXCERPTS = sorted([*HERE.glob("*.log"), *HERE.glob("*.json")])
TOLD = {
    "container-killed-for-memory": ("on w2 that used 1.3 GB of memory, and it had asked for 1 GB", "Raise"),
    "executors-not-granted": ("2 executors were requested, and 1 granted", "fab doctor --stack dev"),
    "fewer-records-than-executors": ("1 training records for 2 executors", "Lower executors"),
    "gpu-mode-on-a-cpu-build": ("compiled without CUDA", "Set `solver_mode: CPU`"),
    "storage-firewall": ("network rules keep the nodes out", "pulumi up --refresh --stack dev"),
    "storage-key-refused": ("the account's key on the nodes is wrong", "fab bootstrap --stack dev"),
    "container-missing": ("there is no such container", "fab bootstrap --stack dev"),
    "insufficient-training-data": ("test_interval 100 x batch 1000 x 2 executors need 200000", "Lower"),
    "insufficient-validation-data": ("test_iter 1000 x batch 100 needs 100000", "Lower test_iter"),
    "missing-native-library": ("libcaffe.so.1.0.0 is missing on w1", "fab build-headnode --stack dev"),
    "framework-not-installed": ("does not find caffe on w", "fab build-headnode --stack dev"),
    "container-above-the-largest": ("asks for ", "Lower `memory`"),
    "resource-manager-down": ("head:8032 does not answer", "fab bootstrap --stack dev"),
    "wrong-file-scheme": ("a path begins with ", "pulumi stack output cluster --stack dev"),
    "stale-build-tree": ("configured in /tmp/cm/a/build", "Remove the build's folder"),
    "maven-unreachable": ("could not be downloaded: ", "same command again"),
    "pip-unreachable": ("timed out", "same command again"),
    "packages-unreachable": ("Connection failed", "sources.list"),
    "npm-unreachable": ("timeout", "same command again"),
}


def recognised(excerpt: Path) -> Diagnosis | None:
    text = excerpt.read_text()
    event = load(text)
    if isinstance(event, Failed):
        return diagnose_failure(event.code, event.fields, stack="dev", node="the head")
    return diagnose(text, stack="dev", node="the head")


@pytest.mark.parametrize("excerpt", EXCERPTS, ids=[file.stem for file in EXCERPTS])
def test_a_failure_is_recognised_by_what_the_tool_wrote(excerpt: Path) -> None:
    name = excerpt.name.partition(".")[0]

    found = recognised(excerpt)

    assert found is not None
    assert found.name == name
    why, fix = TOLD.get(name, ("", ""))
    assert why in found.why
    assert fix in found.fix


def test_every_entry_has_an_excerpt_of_a_real_failure() -> None:
    shown = {file.name.partition(".")[0] for file in EXCERPTS}
    assert {entry.name for entry in entries()} == shown


@pytest.mark.parametrize("excerpt", EXCERPTS, ids=[file.stem for file in EXCERPTS])
def test_what_is_told_is_one_line_without_gaps(excerpt: Path) -> None:
    found = recognised(excerpt)
    assert found is not None
    for text in (found.why, found.fix):
        assert "\n" not in text
        assert not re.search(r"[{}]|\bNone\b|\?", text), text


def test_each_entry_says_what_to_type_or_to_change() -> None:
    for entry in entries():
        assert entry.fix.endswith(".")
        words = ("Run ", "Set ", "Lower ", "Raise ", "Look ", "Remove ", "Write ")
        assert entry.fix.startswith(words), entry.name


def test_names_are_unique() -> None:
    names = [entry.name for entry in entries()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    "log",
    [
        "",
        "INFO: everything is well\n",
        "java.lang.NullPointerException\n\tat org.apache.spark.Foo.bar(Foo.scala:1)\n",
        "WARN TaskSetManager: Lost task 0.0 in stage 0.0: ValueError: no such thing\n",
        # Only a build with CUDA says so: it lacks a driver, a device or memory.
        "F1124 23:12:04.4 45 common.cpp:152] Check failed: error == cudaSuccess (35 vs. 0) old driver\n",
        "ERROR Peer: Unable to connect to peer w1:7077: Connection refused\n",
        "RuntimeError: Could not connect to tcp://10.0.0.4:29500: Connection timed out\n",
        "RuntimeError: Failed to fetch weights of layer ip2: rank 1 timed out\n",
        "requests.exceptions.ConnectTimeout: NewConnectionError('<urllib3 object>: Connection refused')\n",
        "javax.security.sasl.SaslException: AuthenticationFailed\n",
        "This request is not authorized to perform this operation using this permission.\n",
    ],
)
def test_a_failure_that_nobody_has_seen_is_not_explained(log: str) -> None:
    assert diagnose(log) is None


def test_only_the_end_of_a_huge_log_is_searched() -> None:
    start = "put: Name node is in safe mode.\n"
    assert diagnose(start + "line\n" * 500_000) is None
    assert diagnose("line\n" * 500_000 + start) is not None


def test_what_the_account_says_of_its_network_rules_is_not_taken_for_a_wrong_key() -> None:
    rules = "StorageException: This request is not authorized to perform this operation."
    # Azurite has no rules, and gives their code to a wrong key.
    azurite = "Server failed to authenticate the request. Make sure …\nErrorCode:AuthorizationFailure"

    assert _name(rules) == _name(f"{rules}\nErrorCode:AuthorizationFailure") == "storage-firewall"
    assert _name(azurite) == "storage-key-refused"


def test_codes_are_those_of_the_trainer_and_each_has_one_entry() -> None:
    codes = [code for entry in entries() for code in entry.codes]
    assert set(codes) <= set(FAILURES)
    assert len(set(codes)) == len(codes)


def test_the_cause_of_a_failed_rank_explains_it_before_the_ranks_own_words() -> None:
    cause = {"host": "w2", "error": "ImportError", "reason": "libx.so.1: cannot open shared object file"}
    fields = {
        "rank": 1,
        "host": "w2",
        "reason": "No space left on device",
        "cause": {"code": "caffe-import-failed", "fields": cause},
    }

    found = diagnose_failure("rank-failed", fields)

    assert found is not None
    assert found.why == "the native library libx.so.1 is missing on w2"
    del fields["cause"]
    found = diagnose_failure("rank-failed", fields)
    assert found is not None
    assert found.why == "the disk of w2 is full"


def test_a_failure_that_the_table_does_not_know_is_not_explained() -> None:
    assert diagnose_failure("output-exists", {"uri": "hdfs:///o"}) is None
    assert diagnose_failure("stage-failed", {"reason": "ValueError: no such thing"}) is None


def test_executors_that_did_not_come_are_a_symptom() -> None:
    assert [entry.name for entry in entries() if entry.symptom] == ["executors-not-granted"]


@pytest.mark.parametrize(
    "name", ["maven-unreachable", "pip-unreachable", "packages-unreachable", "npm-unreachable"]
)
def test_what_could_not_download_is_the_node_that_tried(name: str) -> None:
    found = diagnose((HERE / f"{name}.1.log").read_text(), node="w2")
    assert found is not None
    assert found.fix.startswith("Look at w2's way out")


@pytest.mark.parametrize(
    ("log", "name"),
    [
        (
            "W: Could not connect to packages.example.org:80 (1.2.3.4), connection timed out\n",
            "packages-unreachable",
        ),
        ("E: Unable to connect to packages.example.org:http:\n", "packages-unreachable"),
        ("Err:7 http://x/debian bookworm/main\n  Temporary failure resolving 'x'\n", "packages-unreachable"),
        ("E: Failed to fetch https://x/y.deb  Could not resolve 'x'\n", "packages-unreachable"),
        (
            "ERROR: Could not install packages due to an OSError: "
            "HTTPSConnectionPool(host='packages.example.org'): "
            "(Caused by NewConnectionError('<x>: [Errno 101] Network is unreachable'))\n",
            "pip-unreachable",
        ),
        ("pip._vendor.urllib3.exceptions.ReadTimeoutError: Read timed out.\n", "pip-unreachable"),
    ],
)
def test_other_words_of_apt_and_pip_are_known_too(log: str, name: str) -> None:
    assert _name(f"some line\n{log}") == name


def test_a_library_is_missing_where_the_task_ran_and_not_where_an_earlier_one_did() -> None:
    log = (
        "WARN TaskSetManager: Lost task 0.0 in stage 0.0 (TID 0) (w1 executor 1): ExecutorLostFailure\n"
        "WARN TaskSetManager: Lost task 1.0 in stage 0.0 (TID 1) (w2 executor 2): Traceback:\n"
        '  File "x.py", line 1\nImportError: libcaffe.so.1.0.0: cannot open shared object file\n'
    )
    found = diagnose(log)
    assert found is not None
    assert found.why == "the native library libcaffe.so.1.0.0 is missing on w2"


@pytest.mark.parametrize(
    "piece",
    [
        "Err:1 ",
        "Failed to fetch http://x ",
        "W: Could not connect ",
        "Retrying (Retry ",
        "Server access error at url a (",
        "SERVER ERROR: ",
        "Host ",
        "module not found: ",
        "x",
        "\n",
        "Err:1 http://x\n",
        "WARN Lost task 0.0 (TID 1) (w1 executor 1): x\n",
    ],
)
def test_a_huge_log_is_searched_within_seconds(piece: str) -> None:
    began = time.monotonic()
    diagnose(piece * (500_000 // len(piece)))
    assert time.monotonic() - began < 5


def test_both_ends_of_a_long_line_are_searched() -> None:
    jars = ", ".join(f"org.apache.hadoop:jar-{number}:jar:3.3.4" for number in range(1000))
    why = "Server access error at url http://x/a.jar (java.net.ConnectException: Connection refused)"

    assert len(jars) > 10 * LONGEST_LINE
    assert _name(f"{jars}: {why}") == "maven-unreachable"
    assert _name(f"{why} {jars}") == "maven-unreachable"


def test_one_entry_can_be_asked_for_where_an_earlier_one_shows_as_well() -> None:
    log = (HERE / "wrong-file-scheme.1.log").read_text() + (HERE / "container-missing.1.log").read_text()

    found = diagnose(log, only=("container-missing",))

    assert found is not None
    assert found.name == "container-missing"
    assert diagnose(log, only=("disk-full",)) is None


def _name(log: str) -> str:
    found = diagnose(log)
    return found.name if found is not None else ""

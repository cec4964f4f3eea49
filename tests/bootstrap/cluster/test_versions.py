"""Documents of version 1, as stacks that are up export them; see documents/README.md for their origin."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bootstrap.cluster import (
    OPTIONAL_ROLES,
    S3,
    AutoScalingGroup,
    Blob,
    ClusterDocument,
    DeclaredNode,
    Fixed,
    Hdfs,
    HdInsight,
    Standalone,
    Yarn,
)
from bootstrap.errors import StackError
from bootstrap.inventory.resolve import resolve

RECORDED = {
    file.stem: json.loads(file.read_text()) for file in (Path(__file__).parent / "documents/v1").iterdir()
}
EVERY = pytest.mark.parametrize("name", sorted(RECORDED))

# With the history server, which those did not have.
STANDALONE = ("spark", "spark_standalone", "spark_history")
YARN = ("yarn", "spark", "spark_history")
ROLES = {
    "dev": ("common", "hadoop", "hdfs", "storage", *STANDALONE),
    "dev-s3": ("common", "hadoop", "storage", *STANDALONE),
    "dev-yarn": ("common", "hadoop", "hdfs", "blob_server", "storage", *YARN),
    "dev-yarn-hdfs": ("common", "hadoop", "hdfs", "storage", *YARN),
    "dev-yarn-s3": ("common", "hadoop", "hdfs", "storage", *YARN),
    "aws": ("common", "hadoop", "storage", *STANDALONE),
    "aws-own-key-endpoints": ("packages_proxy", "common", "hadoop", "storage", *STANDALONE),
    "aws-admin-cidrs-cpu": ("common", "hadoop", "storage", *STANDALONE),
    "azure-wasbs-key": ("hdinsight",),
    "azure-wasbs-msi": ("hdinsight",),
    "azure-abfss-msi": ("hdinsight",),
}
"""Roles as computed by the code that wrote these documents."""
SINCE = {"boot_log", "cloud_logs", "efa", "job_credentials", "scratch", "spending"}
"""Roles that no document of version 1 has."""
HDFS = {"dev", "dev-yarn", "dev-yarn-hdfs", "dev-yarn-s3"}
SCRIPT_ACTIONS = {"dev-yarn", "azure-wasbs-key", "azure-wasbs-msi", "azure-abfss-msi"}
SECRETS = {
    "dev-s3": ("stand-in/secret+key-of-the-tests",),
    "dev-yarn": ("dmFsdWUgb2YgYmxvYi1rZXk=",),
    "dev-yarn-s3": ("stand-in/secret+key-of-the-tests",),
    "azure-wasbs-key": ("a2V5-caffesparkd7c47b3f5e733",),
}
"""Beside Spark's."""


def test_the_optional_roles_are_those_of_some_recorded_document() -> None:
    assert set(itertools.chain(*ROLES.values())) | SINCE == OPTIONAL_ROLES


def read(name: str, **changes: object) -> ClusterDocument:
    return ClusterDocument.from_outputs("test", {"cluster": {**RECORDED[name], **changes}})


def plain(model: Any) -> dict[str, Any]:
    """Return a model's explicitly set fields, with secrets in clear text."""
    values = {name: getattr(model, name) for name in model.model_fields_set}
    return {
        name: value.get_secret_value() if hasattr(value, "get_secret_value") else value
        for name, value in values.items()
    }


def test_every_kind_is_recorded_in_version_1() -> None:
    assert set(RECORDED) == set(ROLES)
    assert {document["version"] for document in RECORDED.values()} == {1}


@EVERY
def test_fields_of_both_versions_are_unchanged(name: str) -> None:
    document, raw = read(name), RECORDED[name]
    assert (document.version, document.stack, document.provider) == (2, raw["stack"], raw["provider"])
    assert plain(document.ssh) == raw["ssh"]
    assert document.spark_secret.get_secret_value() == raw["spark_secret"]
    assert document.worker.model_dump(include=set(raw["worker"]), mode="json") == raw["worker"]
    assert document.package_proxy == raw.get("package_proxy", False)


@EVERY
def test_the_scheduler_is_upgraded(name: str) -> None:
    scheduler, raw = read(name).scheduler, RECORDED[name]
    assert scheduler.master == read(name).spark_master == raw["spark_master"]
    if "yarn" in raw:
        assert isinstance(scheduler, Yarn)
        assert plain(scheduler) == {"kind": "yarn", **raw["yarn"]}
    else:
        assert isinstance(scheduler, Standalone)


@EVERY
def test_the_storage_is_upgraded(name: str) -> None:
    document, raw = read(name), RECORDED[name]
    storage = document.storage
    assert storage.uri == document.shared_storage == raw["shared_storage"]
    if "s3" in raw:
        assert isinstance(storage, S3)
        assert plain(storage) == {"kind": "s3", "uri": raw["shared_storage"], **raw["s3"]}
    elif "blob" in raw:
        assert isinstance(storage, Blob)
        account = {"account": storage.account, **plain(storage)}
        assert account == {"kind": "blob", "uri": raw["shared_storage"], **raw["blob"]}
        assert raw["shared_storage"].endswith(f"@{storage.host}")
    elif name == "azure-abfss-msi":
        assert isinstance(storage, Blob)
        assert (storage.account, storage.key, storage.server) == ("caffesparkd7c47b3f5e733", None, "")
    else:
        assert isinstance(storage, Hdfs)
    secrets = (raw["spark_secret"], *SECRETS.get(name, ()))
    assert document.secrets == secrets


@EVERY
def test_the_members_are_upgraded(name: str) -> None:
    document, raw = read(name), RECORDED[name]
    members = document.members
    if "hdinsight" in raw:
        assert isinstance(members, HdInsight)
        was = {**plain(members), "workers": members.worker_count}
        del was["kind"], was["worker_count"]
        assert was == raw["hdinsight"]
    elif "worker_group" in raw:
        assert isinstance(members, AutoScalingGroup)
        group = {"name": members.name, "region": members.region, "desired": members.desired_capacity}
        assert group == raw["worker_group"]
    else:
        assert isinstance(members, Fixed)
        assert [plain(node) for node in resolve(document, Console()).nodes] == [raw["head"], *raw["workers"]]
    assert (
        document.worker_count == {"Fixed": 2, "AutoScalingGroup": 2, "HdInsight": 3}[type(members).__name__]
    )


@EVERY
def test_a_head_that_has_not_reported_has_no_host_key(name: str) -> None:
    head, raw = read(name).head, RECORDED[name]["head"]
    known = {key: value for key, value in raw.items() if value}
    assert plain(head) == known
    assert (type(head) is DeclaredNode) == (raw["host_key"] == "")


@EVERY
def test_roles_and_derived_properties_are_unchanged(name: str) -> None:
    document = read(name)
    assert document.roles == ROLES[name]
    assert document.hdfs == ("hdfs://head:9000" if name in HDFS else "")
    assert document.takes_script_actions == (name in SCRIPT_ACTIONS)


@EVERY
def test_version_1_equals_the_same_document_in_version_2(name: str) -> None:
    document = read(name)
    written = json.loads(document.model_dump_json(exclude_unset=True))
    assert written["version"] == 2
    for secret in ("ssh", "storage", "members"):
        kept = {"ssh": document.ssh, "storage": document.storage, "members": document.members}[secret]
        written[secret] |= {key: value for key, value in plain(kept).items() if isinstance(value, str)}
    written["spark_secret"] = document.spark_secret.get_secret_value()
    assert ClusterDocument.from_outputs("test", {"cluster": written}) == document


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("dev-yarn", {"blob": None}, "blob: it is valid only with a shared_storage of wasb"),
        ("dev-yarn", {"shared_storage": "hdfs://head:9000"}, "blob: it is valid only"),
        ("dev-yarn", {"yarn": None}, "yarn: it is valid only with spark_master yarn"),
        ("dev-yarn", {"spark_master": "spark://head:7077"}, "yarn: it is valid only"),
        ("dev-yarn", {"yarn": "x"}, "yarn: it is not an object"),
        ("dev-s3", {"s3": None}, "s3: it is valid only with a shared_storage of s3a://"),
        ("dev", {"s3": {}}, "s3: it is valid only"),
        ("dev", {"workers": []}, "workers: at least one worker is required"),
        ("dev", {"head": None}, "at head"),
        ("dev", {"shared_storage": None}, "at storage.hdfs.uri"),
        ("dev", {"surprise": 1}, "at surprise"),
        ("aws", {"worker_group": {"name": "x"}}, "at members.auto_scaling_group.region"),
    ],
)
def test_a_malformed_document_is_refused_with_its_location_and_no_secret(
    name: str, change: dict[str, object], words: str
) -> None:
    with pytest.raises(StackError, match=f"not valid.*{words}.*pulumi up --stack test") as caught:
        read(name, **change)
    for secret in ("private operator-key", "value of spark-secret", *SECRETS.get(name, ())):
        assert secret not in str(caught.value)
    assert caught.value.__suppress_context__

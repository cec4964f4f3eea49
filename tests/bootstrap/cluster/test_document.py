from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from bootstrap.cluster import S3, Cluster, ClusterDocument, Hdfs
from bootstrap.errors import StackError
from tests.bootstrap.hdinsight_cluster import hdinsight

__all__ = ["hdinsight"]

NODE = {"name": "head", "address": "10.9.8.10"}
HDINSIGHT = {
    "kind": "hdinsight",
    "subscription": "s",
    "resource_group": "g",
    "name": "n",
    "region": "westeurope",
    "artifacts": "wasbs://artifacts@account1.blob.core.windows.net",
    "worker_count": 3,
}


@pytest.mark.parametrize("as_text", [False, True])
def test_it_is_read_from_a_stacks_outputs(cluster_document: dict[str, object], as_text: bool) -> None:
    output = json.dumps(cluster_document) if as_text else cluster_document
    assert ClusterDocument.from_outputs("dev", {"cluster": output, "other": 1}).stack == "dev"


def test_a_stack_without_the_output_says_what_it_exports() -> None:
    with pytest.raises(StackError, match=r"no output `cluster` \(it exports: vpc\).*pulumi up --stack dev"):
        ClusterDocument.from_outputs("dev", {"vpc": 1})


@pytest.mark.parametrize("version", [0, 3, None, "2"])
def test_another_version_is_refused(cluster_document: dict[str, object], version: object) -> None:
    with pytest.raises(
        StackError, match=f"has version {version}, this project reads 1 and 2. Run `pulumi up"
    ):
        ClusterDocument.from_outputs("dev", {"cluster": {**cluster_document, "version": version}})


@pytest.mark.parametrize(
    "change",
    [{"members": {"kind": "fixed", "workers": []}}, {"surprise": 1}, {"scheduler": None}, {"members": {}}],
)
def test_an_invalid_document_is_refused_with_its_location_and_no_secret(
    cluster_document: dict[str, object], change: dict[str, object]
) -> None:
    with pytest.raises(StackError, match=f"not valid.*{next(iter(change))}") as caught:
        ClusterDocument.from_outputs("dev", {"cluster": {**cluster_document, **change}})
    assert "PRIVATE" not in str(caught.value)
    assert caught.value.__cause__ is None


ARN = "arn:aws:iam::123456789012:role/caffe-spark-x-job-1"
WASB = "wasb://data@account1.blob.core.windows.net"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"storage": {"kind": "blob", "uri": "hdfs://head:9000"}}, "at storage.blob.uri"),
        ({"storage": {"kind": "hdfs", "uri": WASB}}, "at storage.hdfs.uri"),
        ({"storage": {"kind": "s3", "uri": WASB}}, "at storage.s3.uri"),
        ({"storage": {"kind": "s3", "uri": "s3a://b", "access_key": "AK"}}, "belong together"),
        (
            {
                "storage": {
                    "kind": "s3",
                    "uri": "s3a://b",
                    "access_key": "AK",
                    "secret_key": "SK",
                    "job_role": ARN,
                }
            },
            "job_role is for machines without keys",
        ),
        ({"storage": {"kind": "s3", "uri": "s3a://b", "job_role": "job; reboot"}}, "at storage.s3.job_role"),
        ({"storage": {"kind": "tape", "uri": WASB}}, "at storage: .*'hdfs', 's3', 'blob'"),
        ({"scheduler": {"kind": "standalone", "master": "yarn"}}, "at scheduler.standalone.master"),
        ({"scheduler": {"kind": "yarn"}}, "at scheduler.yarn.resource_manager"),
        (
            {"members": {"kind": "fixed", "workers": []}},
            "at members.fixed.workers: at least one worker is required",
        ),
        ({"members": {"kind": "fixed", "workers": [NODE]}}, "at members.fixed.workers.0.host_key"),
        ({"head": NODE}, "head: it has no host_key"),
    ],
)
def test_contradictory_fields_are_refused(
    yarn_document: dict[str, object], change: dict[str, object], words: str
) -> None:
    with pytest.raises(StackError, match=words) as caught:
        ClusterDocument.from_outputs("dev", {"cluster": {**yarn_document, **change}})
    assert "PRIVATE" not in str(caught.value)


def test_nodes_with_yarn_run_hdfs_in_addition_to_blob_storage(
    cluster: Cluster, yarn_cluster: Cluster
) -> None:
    assert (yarn_cluster.hdfs, isinstance(yarn_cluster.storage, Hdfs)) == ("hdfs://head:9000", False)
    assert (cluster.hdfs, isinstance(cluster.storage, Hdfs)) == ("hdfs://head:9000", True)
    assert cluster.model_copy(update={"storage": S3(uri="s3a://bucket")}).hdfs == ""


def test_jobs_get_credentials_of_their_own_where_the_stack_has_a_role_for_them(cluster: Cluster) -> None:
    earlier = cluster.model_copy(update={"storage": S3(uri="s3a://bucket")})
    assert "job_credentials" not in earlier.roles
    assert earlier.storage.environment == {}
    roles = cluster.model_copy(update={"storage": S3(uri="s3a://bucket", job_role=ARN)}).roles
    assert roles.index("common") < roles.index("job_credentials") < roles.index("storage")


def test_only_clusters_of_hdinsights_shape_take_script_actions(
    cluster: Cluster, yarn_cluster: Cluster
) -> None:
    assert yarn_cluster.takes_script_actions
    assert not cluster.takes_script_actions
    assert not yarn_cluster.model_copy(update={"storage": cluster.storage}).takes_script_actions


def test_hdinsight_names_no_workers_and_has_one_role(yarn_document: dict[str, object]) -> None:
    document = {**yarn_document, "provider": "azure", "head": NODE, "members": HDINSIGHT}
    cluster = ClusterDocument.from_outputs("azure", {"cluster": document})
    assert cluster.nodes == (cluster.head,)
    assert cluster.roles == ("hdinsight",)
    assert cluster.hdfs == ""
    assert cluster.takes_script_actions


def test_no_validation_error_quotes_the_input(cluster_document: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as caught:
        ClusterDocument.model_validate({**cluster_document, "ssh": {"user": 7, "private_key": ["PRIVATE"]}})
    assert "PRIVATE" not in str(caught.value)


def test_secrets_do_not_print(cluster_document: dict[str, object], hdinsight: ClusterDocument) -> None:
    for document in (ClusterDocument.model_validate(cluster_document), hdinsight):
        assert "PRIVATE" not in f"{document!r} {document}"
        assert "not-to-be-seen" not in f"{document!r} {document}"

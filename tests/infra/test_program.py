"""The whole program against a recording engine: what it registers, exports and refuses.

It cannot show that the providers do what the engine asks of them; test_real_stack.py does.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bootstrap.cluster import Blob, ClusterDocument, Yarn
from bootstrap.inventory.resolve import resolve
from tests.host_keys import host_key
from tests.infra.conftest import FakeEngine, LocalProgram
from tests.infra.recorder import Recording


def test_the_cluster_output_is_the_document_that_bootstrap_reads(program: LocalProgram) -> None:
    outputs = program.run().outputs
    cluster = resolve(ClusterDocument.from_outputs("test", outputs), Console())
    assert [node.name for node in cluster.nodes] == ["head", "w1", "w2"]
    assert [node.address for node in cluster.nodes] == ["10.89.77.10", "10.89.77.11", "10.89.77.12"]
    assert cluster.node("w2").host_key == host_key("w2")
    assert cluster.ssh.private_key is not None
    assert cluster.ssh.private_key.get_secret_value() == "private operator-key"
    assert cluster.spark_secret.get_secret_value() == "value of spark-secret"
    assert (cluster.worker.cores, cluster.worker.memory_mb) == (2, 1536)
    assert (cluster.spark_master, cluster.shared_storage) == ("spark://head:7077", "hdfs://head:9000")


def test_a_stack_with_yarn_and_blobs_says_so_in_its_document(program: LocalProgram) -> None:
    recording = program.run(scheduler="yarn", blobs='{"account": "caffe1", "container": "data"}')
    outputs = recording.outputs
    cluster = ClusterDocument.from_outputs("test", outputs)
    assert (cluster.spark_master, cluster.shared_storage) == (
        "yarn",
        "wasb://data@caffe1.blob.core.windows.net",
    )
    assert isinstance(cluster.storage, Blob)
    assert cluster.storage.server == "10.89.77.10"
    assert cluster.storage.key is not None
    key = base64.b64decode(cluster.storage.key.get_secret_value(), validate=True)
    assert key.decode() == "value of blob-key"
    assert isinstance(cluster.scheduler, Yarn)
    assert cluster.scheduler.resource_manager == "http://head:8088"
    # A container holds the trainer as well: nothing is kept back for it.
    assert cluster.worker.memory_mb == cluster.scheduler.container_memory_mb == 2112
    assert secret(recording)["blob-key"] == ["value"]


@pytest.mark.parametrize(
    ("config", "line"), [({}, "4.3"), ({"spark": "3.5"}, "3.5"), ({"scheduler": "yarn"}, "3.5")]
)
def test_the_document_says_which_spark_the_nodes_get(
    program: LocalProgram, config: dict[str, Any], line: str
) -> None:
    outputs = program.run(**config).outputs
    assert ClusterDocument.from_outputs("test", outputs).spark == line


@pytest.mark.parametrize(
    ("document", "running"), [({}, "3.5"), ({"spark": "3.5"}, "3.5"), ({"spark": "4.3"}, "4.3")]
)
def test_another_spark_is_refused_while_the_stack_is_up_before_anything_is_changed(
    program: LocalProgram, document: dict[str, str], running: str
) -> None:
    """A document without it is an earlier version's, whose only Spark was 3.5."""
    other = {"3.5": "4.3", "4.3": "3.5"}[running]
    line = program.refused({"cluster": {"version": 2, **document}}, spark=other)
    assert f"caffe-spark:spark = {other}: stack 'test' is up with Spark {running}" in line
    assert f"`pulumi config set spark {running} --stack test`" in line
    assert "`pulumi destroy --stack test` first" in line


def test_a_stack_that_is_up_is_updated_with_the_spark_that_it_has(program: LocalProgram) -> None:
    mocks = program.mocks()
    mocks.last_outputs = {"cluster": {"version": 2, "spark": "4.3"}}
    assert program.run(mocks).outputs["cluster"]["spark"] == "4.3"


def secret(recording: Recording) -> dict[str, list[str]]:
    """Outputs that each resource declares secret, beyond its inputs."""
    declared = {one.name: list(one.options["secret_outputs"]) for one in recording.resources}
    return {name: outputs for name, outputs in declared.items() if outputs}


def test_private_parts_of_keys_and_secrets_are_marked_secret(program: LocalProgram) -> None:
    assert secret(program.run()) == {
        "operator-key": ["private_key"],
        "signing-key": ["private_key"],
        "head-host-key": ["private_key"],
        "w1-host-key": ["private_key"],
        "w2-host-key": ["private_key"],
        "spark-secret": ["value"],
    }


def test_a_stack_is_an_image_a_network_keys_and_a_node_for_each_host(program: LocalProgram) -> None:
    kinds = sorted(one.type.rpartition(":")[2] for one in program.run(workers="1").resources)
    assert kinds == [
        *("BaseImage", "Firewall", "Leftovers", "Network", "Node", "Node"),
        *("Secret", "SigningKeyPair", "SshKey", "SshKey", "SshKey"),
    ]


def test_one_worker_more_leaves_every_other_resource_as_it_was(program: LocalProgram) -> None:
    before = {one.name: one.inputs for one in program.run().resources}
    after = {one.name: one.inputs for one in program.run(workers="3").resources}
    assert set(after) - set(before) == {"w3", "w3-host-key"}
    assert {name: after[name] for name in before} == before


def test_nodes_carry_the_stacks_name_and_labels(program: LocalProgram) -> None:
    node = program.run().named("w1").inputs
    assert node["container"] == "caffe-spark-test-w1"
    assert node["labels"] == {
        "caffe-spark.project": "caffe-spark",
        "caffe-spark.stack": "test",
        "caffe-spark.home": str(Path.cwd()),
    }


def test_the_stack_says_what_to_type_next_and_what_will_stay(program: LocalProgram) -> None:
    outputs = program.run().outputs
    assert outputs["next"] == "fab build-headnode --stack test, then fab submit-mnist --stack test"
    assert "localhost/caffe-spark-node:" in outputs["kept"]
    assert outputs["nodes"] == {"head": "10.89.77.10", "w1": "10.89.77.11", "w2": "10.89.77.12"}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"workers": "0"}, ("workers = '0'", "pulumi config set workers 2 --stack test")),
        ({"wrokers": "2"}, ("wrokers", "unknown key", "pulumi config rm wrokers --stack test")),
        ({"provider": "gcp"}, ("gcp", "only the providers local, aws and azure")),
        ({"engine": "docker"}, ("docker is not installed", "podman is", "config set engine podman")),
        ({"spark": "4.3", "scheduler": "yarn"}, ("spark = 4.3", "last with WASB", "config set spark 3.5")),
        (
            {"spark": "4.3", "image": '{"source": "mmdebstrap", "suite": "jammy"}'},
            ("spark = 4.3", "ubuntu-22.04 has Python 3.10", "config set spark 3.5 --stack test"),
        ),
        ({"spark": "4.2"}, ("spark = '4.2'", "valid: 4.3, 3.5")),
        ({"vcpu": "4096"}, ("vcpu: 4096", "this machine has", "config set vcpu")),
        ({"memoryMb": "999999999"}, ("memoryMb", "this machine has", "config set memoryMb")),
    ],
)
def test_bad_input_is_one_line_before_the_first_resource(
    program: LocalProgram, config: dict[str, Any], words: tuple[str, ...]
) -> None:
    line = program.refused(**config)
    assert "\n" not in line
    assert all(word in line for word in words), line


def test_no_engine_is_refused_with_the_package_to_install(
    program: LocalProgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    line = program.refused()
    assert "podman or docker is not installed" in line
    assert "apt-get install -y podman" in line


def test_a_subnet_in_use_is_refused_with_a_free_one(program: LocalProgram, engine: FakeEngine) -> None:
    engine.knows_networks({"name": "theirs", "subnets": [{"subnet": "10.89.0.0/16"}]})
    line = program.refused()
    assert "10.89.77.0/24: the network theirs uses 10.89.0.0/16" in line
    assert "pulumi config set subnet 192.168.77.0/24 --stack test" in line


def test_under_ten_gigabytes_of_disk_are_refused(
    program: LocalProgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 9_900_000_000})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    line = program.refused()
    assert "9.9 GB free" in line
    assert "10 GB" in line


def test_a_full_disk_is_no_reason_to_refuse_a_stack_that_is_up(
    program: LocalProgram, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 0})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    engine.knows_containers("caffe-spark-test-head", "caffe-spark-test-w1", "caffe-spark-test-w2")
    assert "cluster" in program.run().outputs

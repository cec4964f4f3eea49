"""What YARN's ResourceManager reports, as Hadoop 3.3.4 prints it, and what is made of it."""

from __future__ import annotations

from typing import Any

import pytest

from bootstrap.cluster import Cluster
from bootstrap.errors import JobError, ServiceDown
from bootstrap.remote import Result
from jobs import yarn
from jobs.spec import JobSpec
from tests.jobs.conftest import SPECS


class Manager:
    """A head on which curl gets these answers, by the end of the path asked for."""

    def __init__(self, **answers: str) -> None:
        self.answers, self.ran = answers, list[str]()

    def run(self, script: str, **_: Any) -> Result:
        self.ran.append(script)
        for path, answer in self.answers.items():
            if f"/cluster/{path}" in script:
                return Result(0, answer, "")
        return Result(7, "", "curl: (7) Failed to connect to head port 8088: Connection refused")


def node(name: str, state: str = "RUNNING", memory: int = 2048, cores: int = 2) -> dict[str, Any]:
    return {
        "nodeHostName": name,
        "state": state,
        "availMemoryMB": memory,
        "availableVirtualCores": cores,
        "healthReport": "1/1 local-dirs have errors" if state == "UNHEALTHY" else "",
    }


@pytest.fixture
def spec() -> JobSpec:
    return JobSpec.from_file(SPECS / "mnist.yaml")


def test_a_job_that_fits_beside_its_driver_passes(yarn_cluster: Cluster, spec: JobSpec) -> None:
    yarn.refuse_without_room([node("w1"), node("w2", memory=1024, cores=1)], [], yarn_cluster, spec)


@pytest.mark.parametrize(
    ("nodes", "apps", "words"),
    [
        (
            [node("w1"), node("w2", "LOST")],
            [],
            ("executors: 2", "room for 1", "NodeManager on w2 is lost", "fab bootstrap --stack dev"),
        ),
        ([node("w1")], [], ("NodeManager on w2 is unknown to it",)),
        ([node("w1"), node("w2", "UNHEALTHY")], [], ("w2 is unhealthy (1/1 local-dirs have errors)",)),
        (
            [node("w1", memory=0, cores=0), node("w2", memory=1024, cores=1)],
            [{"name": "mnist-1", "id": "application_1"}],
            ("room for 0", "mnist-1 (application_1) runs", "fab kill JOB"),
        ),
        ([node("w1", cores=1), node("w2", cores=1)], [], ("room for 1", "nothing that YARN names runs")),
    ],
)
def test_a_job_without_room_is_refused_with_who_is_missing_or_holds_it(
    nodes: list[dict[str, Any]],
    apps: list[dict[str, Any]],
    words: tuple[str, ...],
    yarn_cluster: Cluster,
    spec: JobSpec,
) -> None:
    with pytest.raises(JobError) as refused:
        yarn.refuse_without_room(nodes, apps, yarn_cluster, spec)
    for word in words:
        assert word in str(refused.value)


def test_a_resource_manager_that_does_not_answer_is_said_so(yarn_cluster: Cluster, spec: JobSpec) -> None:
    with pytest.raises(
        ServiceDown, match=r"http://head:8088: .*Connection refused.*fab bootstrap --stack dev"
    ):
        yarn.require_room(Manager(), yarn_cluster, spec)  # type: ignore[arg-type]


def test_no_nodes_at_all_is_an_answer_too(yarn_cluster: Cluster, spec: JobSpec) -> None:
    head = Manager(nodes='{"nodes":null}', apps='{"apps":{}}')
    with pytest.raises(JobError, match="room for 0"):
        yarn.require_room(head, yarn_cluster, spec)  # type: ignore[arg-type]


def test_killing_ends_only_the_jobs_own_applications(yarn_cluster: Cluster) -> None:
    head = Manager(apps='{"apps":{"app":[{"id":"application_7"}]}}')
    yarn.kill(head, yarn_cluster, "mnist-1")  # type: ignore[arg-type]
    asked, killed = head.ran
    assert "applicationTags=mnist-1" in asked
    assert killed.endswith("application -kill application_7")


def test_killing_what_has_ended_does_nothing(yarn_cluster: Cluster) -> None:
    head = Manager(apps='{"apps":{}}')
    yarn.kill(head, yarn_cluster, "mnist-1")  # type: ignore[arg-type]
    assert len(head.ran) == 1


def test_too_few_executors_are_explained_by_the_dead_node_or_by_who_holds_the_rest(
    yarn_cluster: Cluster,
) -> None:
    two = '{"nodes":{"node":[{"nodeHostName":"w1","state":"RUNNING"},{"nodeHostName":"w2","state":"%s"}]}}'
    apps = '{"apps":{"app":[{"name":"mine","allocatedMB":1},{"name":"theirs","allocatedMB":1024}]}}'
    dead = Manager(nodes=two % "LOST", apps=apps)
    assert yarn.explain(dead, yarn_cluster, "mine") == "the NodeManager on w2 is lost"  # type: ignore[arg-type]
    alive = Manager(nodes=two % "RUNNING", apps=apps)
    assert yarn.explain(alive, yarn_cluster, "mine") == "theirs holds 1024 MiB"  # type: ignore[arg-type]

"""YARN's ResourceManager: reports in the format of Hadoop 3.3.4, and the decisions based on them."""

from __future__ import annotations

from typing import Any

import pytest

from bootstrap.cluster import Cluster, HdInsight, Yarn
from bootstrap.errors import JobError, ServiceDown
from bootstrap.ssh.remote import Result
from jobs.backends import resource_manager as yarn
from jobs.spec import JobSpec
from tests.jobs.specs import mnist_spec


class Manager:
    """A head on which curl gets these answers, by the end of the path asked for."""

    def __init__(self, **answers: str) -> None:
        self.answers, self.ran = answers, list[str]()
        self.after_kill = {"apps": '{"apps":{}}'}

    def run(self, script: str, **_: Any) -> Result:
        self.ran.append(script)
        if "application -kill" in script:
            self.answers = {**self.answers, **self.after_kill}
            return Result(0, "", "")
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
    return mnist_spec()


def test_a_job_that_fits_beside_its_driver_passes(yarn_cluster: Cluster, spec: JobSpec) -> None:
    yarn.refuse_without_capacity([node("w1"), node("w2", memory=1024, cores=1)], [], yarn_cluster, spec)


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
            ("room for 0", "in use by: mnist-1 (application_1)", "fab kill JOB"),
        ),
        ([node("w1", cores=1), node("w2", cores=1)], [], ("room for 1", "in use by: no listed application")),
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
        yarn.refuse_without_capacity(nodes, apps, yarn_cluster, spec)
    for word in words:
        assert word in str(refused.value)


def test_a_resource_manager_that_does_not_answer_is_said_so(yarn_cluster: Cluster, spec: JobSpec) -> None:
    with pytest.raises(
        ServiceDown, match=r"http://head:8088: .*Connection refused.*fab bootstrap --stack dev"
    ):
        yarn.require_capacity(Manager(), yarn_cluster, spec)  # type: ignore[arg-type]


def test_no_nodes_at_all_is_an_answer_too(yarn_cluster: Cluster, spec: JobSpec) -> None:
    head = Manager(nodes='{"nodes":null}', apps='{"apps":{}}')
    with pytest.raises(JobError, match="room for 0"):
        yarn.require_capacity(head, yarn_cluster, spec)  # type: ignore[arg-type]


def test_killing_ends_only_the_jobs_own_applications(yarn_cluster: Cluster) -> None:
    head = Manager(apps='{"apps":{"app":[{"id":"application_7"}]}}')
    yarn.kill(head, yarn_cluster, "mnist-1")  # type: ignore[arg-type]
    asked, killed, again = head.ran
    assert "applicationTags=mnist-1" in asked
    assert killed.endswith("application -kill application_7")
    assert again == asked


def test_an_application_that_yarn_does_not_end_is_not_said_to_be_gone(
    yarn_cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yarn, "KILLED_WITHIN_S", 0.0)
    head = Manager(apps='{"apps":{"app":[{"id":"application_7"}]}}')
    head.after_kill = {}
    with pytest.raises(JobError, match=r"YARN does not end application_7.*fab kill mnist-1 --stack dev"):
        yarn.kill(head, yarn_cluster, "mnist-1")  # type: ignore[arg-type]


def test_nodes_are_known_by_their_own_names_where_yarn_has_full_ones(
    yarn_cluster: Cluster, spec: JobSpec
) -> None:
    there = [node(f"{name}.abc.internal.cloudapp.net", memory=0) for name in ("w1", "w2")]
    apps = [{"name": "theirs", "id": "application_1"}]
    with pytest.raises(JobError, match=r"room for 0 .* in use by: theirs \(application_1\)"):
        yarn.refuse_without_capacity(there, apps, yarn_cluster, spec)


def test_memory_counts_as_yarn_rounds_it(yarn_cluster: Cluster, spec: JobSpec) -> None:
    assert isinstance(yarn_cluster.scheduler, Yarn)
    coarse = yarn_cluster.scheduler.model_copy(update={"step_mb": 512})
    cluster = yarn_cluster.model_copy(update={"scheduler": coarse})
    odd = spec.model_copy(update={"memory": 1100, "executors": 1})
    there = [node("w1", memory=1024), node("w2", memory=1500)]
    yarn.refuse_without_capacity(there, [], yarn_cluster, odd)
    with pytest.raises(JobError, match="room for 0"):
        yarn.refuse_without_capacity(there, [], cluster, odd)


def test_a_page_in_place_of_an_answer_is_no_answer(yarn_cluster: Cluster) -> None:
    with pytest.raises(ServiceDown, match="the response is not JSON"):
        yarn.ask(Manager(info="<html>standby</html>"), yarn_cluster, "info")  # type: ignore[arg-type]


def test_on_hdinsight_ambari_starts_what_is_down(yarn_cluster: Cluster) -> None:
    theirs = HdInsight(
        subscription="s", resource_group="g", name="n", region="r", artifacts="wasbs://a@b", worker_count=2
    )
    with pytest.raises(ServiceDown, match="Ambari at that URL starts it"):
        yarn.ask(Manager(), yarn_cluster.model_copy(update={"members": theirs}), "info")  # type: ignore[arg-type]


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

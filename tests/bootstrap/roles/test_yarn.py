from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.bootstrap.roles.conftest import Compile, properties, sh

ALIVE = "Every NodeManager is alive for the ResourceManager"
StandIn = Callable[..., str]


def manager_says(**nodes: str) -> str:
    """The ResourceManager's list of nodes, as Hadoop 3.3 prints it; null where there is none."""
    listed = [{"nodeHostName": host, "state": state} for host, state in nodes.items()]
    return json.dumps({"nodes": {"node": listed} if listed else None})


def test_settings_are_valid_xml_without_empty_values(compile_for: Compile) -> None:
    for name in ("yarn-site.xml.j2", "capacity-scheduler.xml.j2", "hadoop-policy.xml.j2"):
        found = properties(compile_for("yarn", "w2").template(name))
        assert found
        assert all(found.values())


def test_the_clusters_nodes_alone_may_call_the_daemons(compile_for: Compile) -> None:
    role = compile_for("yarn")
    assert properties(role.template("yarn-site.xml.j2"))["hadoop.security.authorization"] == "true"
    policy = properties(role.template("hadoop-policy.xml.j2"))
    nodes = [role.variables["head"], *role.variables["workers"]]
    assert policy["security.service.authorization.default.hosts"].split(",") == [n.address for n in nodes]
    assert policy["security.applicationclient.protocol.acl"] == "spark"


def test_the_job_user_alone_submits_and_ends_applications(compile_for: Compile) -> None:
    found = properties(compile_for("yarn").template("capacity-scheduler.xml.j2"))
    for right in ("acl_submit_applications", "acl_administer_queue"):
        assert found[f"yarn.scheduler.capacity.root.{right}"] == " ", "everybody, if it is empty or missing"
        assert found[f"yarn.scheduler.capacity.root.default.{right}"] == "spark"


def test_a_client_of_the_web_service_cannot_say_who_it_is(compile_for: Compile) -> None:
    found = properties(compile_for("yarn").template("yarn-site.xml.j2"))
    filters = found["hadoop.http.filter.initializers"]
    # With exactly this list Hadoop 3.3.4 adds a filter that believes `?user.name=`.
    assert filters != "org.apache.hadoop.http.lib.StaticUserWebFilter"
    assert filters.split(",")[0] == "org.apache.hadoop.http.lib.StaticUserWebFilter"
    assert found["hadoop.http.staticuser.user"] not in {"spark", "hdfs", "root"}
    assert found["yarn.webapp.enable-rest-app-submissions"] == "false"


def test_containers_get_what_the_stack_offers(compile_for: Compile) -> None:
    found = properties(compile_for("yarn", "w1").template("yarn-site.xml.j2"))
    assert found["yarn.nodemanager.resource.memory-mb"] == "2048"
    assert found["yarn.nodemanager.resource.cpu-vcores"] == "2"
    assert found["yarn.scheduler.maximum-allocation-mb"] == "2048"


def test_a_container_that_takes_more_memory_than_it_asked_for_is_killed(compile_for: Compile) -> None:
    found = properties(compile_for("yarn", "w1").template("yarn-site.xml.j2"))
    # Seen with Hadoop 3.3.4: while this is on, nothing is killed without control groups.
    assert found["yarn.nodemanager.resource.memory.enforced"] == "false"


def test_logs_of_ended_applications_lie_in_shared_storage(compile_for: Compile) -> None:
    found = properties(compile_for("yarn", "w1").template("yarn-site.xml.j2"))
    assert found["yarn.log-aggregation-enable"] == "true"
    where = found["yarn.nodemanager.remote-app-log-dir"]
    assert where == "wasb://data@account1.blob.core.windows.net/app-logs"


def test_a_dead_resource_manager_is_told_in_seconds(compile_for: Compile) -> None:
    found = properties(compile_for("yarn").template("yarn-site.xml.j2"))
    assert int(found["yarn.resourcemanager.connect.max-wait.ms"]) <= 30_000


@pytest.mark.parametrize(
    ("says", "code", "said"),
    [
        (manager_says(w1="RUNNING", w2="RUNNING"), 0, ""),
        (manager_says(w1="LOST", w2="RUNNING"), 1, "the ResourceManager does not hear from: w1"),
        (manager_says(), 1, "the ResourceManager does not hear from: w1 w2"),
    ],
)
def test_the_check_names_the_node_that_is_missing(
    compile_for: Compile, stand_in: StandIn, says: str, code: int, said: str
) -> None:
    check = compile_for("yarn", get=stand_in(says)).checks[ALIVE]
    got = sh(check.run.replace("sleep 0.5", "true").replace("tries=30", "tries=2"))
    assert (got.returncode, got.stdout.strip()) == (code, said)

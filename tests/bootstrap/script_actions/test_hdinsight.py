"""Script actions on HDInsight: the real management client against a simulated cluster.

What the stand-in cannot prove is how Azure itself words a failure; the documents that it answers with have
the form of recorded ones.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from bootstrap.clouds import azure
from bootstrap.cluster import Cluster, ClusterDocument, Node
from bootstrap.errors import CaffeSparkError, ConfigError, ServiceDown, StackError, Unreachable
from bootstrap.script_actions import hdinsight as actions
from bootstrap.script_actions import probe
from bootstrap.script_actions.action import LIMIT_S, Execution, ScriptAction
from bootstrap.script_actions.executions import parse_debug_information
from bootstrap.script_actions.failure import ScriptActionFailed
from bootstrap.script_actions.hdinsight import MARGIN_S, READY_S
from bootstrap.ssh.remote import Result
from tests.bootstrap.hdinsight_cluster import ACCOUNT, arm, hdinsight
from tests.cloud.arm import NAME, Arm, Task, closed_port

__all__ = ["arm", "hdinsight"]

FRAMEWORK = ScriptAction("framework", "#!/bin/sh\nexit 0\n")
URI = f"wasbs://artifacts@{ACCOUNT}.blob.core.windows.net/{FRAMEWORK.path}"
HOSTS = ["hn0-caffew", "hn1-caffew", "wn0-caffew", "wn1-caffew", "wn3-caffew"]
EXECUTE = ("POST", f"/clusters/{NAME}/executeScriptActions")
Run = Callable[..., Execution]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "POLL", 0.01)
    for limit in ("READY_S", "LIMIT_S", "MARGIN_S"):
        monkeypatch.setattr(actions, limit, 10)


@pytest.fixture
def run(arm: Arm, hdinsight: ClusterDocument, console: Console) -> Run:
    # It reads of a cluster what its stack declares, and no node.
    def go(
        action: ScriptAction = FRAMEWORK, uri: str = URI, cluster: Any = hdinsight, **rest: Any
    ) -> Execution:
        return actions.run(cluster, action, uri, console, **rest)

    return go


def failed(run: Run, *given: Any) -> ScriptActionFailed:
    with pytest.raises(ScriptActionFailed) as caught:
        run(*given)
    assert "\n" not in str(caught.value), "one line"
    return caught.value


def lines(console: Console) -> list[str]:
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return [line.split(maxsplit=2)[2] for line in text.splitlines()]


# ---- success


def test_it_runs_on_every_host_of_its_roles_and_persists(arm: Arm, run: Run) -> None:
    execution = run()
    assert execution.ok
    assert [host.host for host in execution.hosts] == HOSTS
    assert {host.exit_code for host in execution.hosts} == {0}
    assert execution.hosts[0].seconds == pytest.approx(29.33)
    assert execution.hosts[0].log == "/var/lib/ambari-agent/data/output-106.txt"
    assert arm.persisted["framework"]["uri"] == URI


def test_azure_is_asked_for_what_the_action_says(arm: Arm, run: Run) -> None:
    run(
        ScriptAction("once", "#!/bin/sh\n", roles=("workernode",), parameters="a b", persist=False),
        "wasbs://x",
    )
    (body,) = [body for asked, body in zip(arm.asked, arm.bodies, strict=True) if asked == EXECUTE]
    script = {"name": "once", "uri": "wasbs://x", "roles": ["workernode"], "parameters": "a b"}
    assert body == {"scriptActions": [script], "persistOnSuccess": False}
    assert arm.persisted == {}


def test_every_change_is_told_once(arm: Arm, run: Run, console: Console) -> None:
    arm.states = ["Accepted", "Accepted", "HdInsightConfiguration"]
    arm.looks = 20
    run()
    assert lines(console) == [
        "waits: the cluster is Accepted",
        "waits: the cluster is HdInsightConfiguration",
        "begins on headnode, workernode",
        "the cluster is Accepted",
        "the cluster is HdInsightConfiguration",
        "the cluster is Running",
        "done on 5 hosts",
    ]


# ---- what is there already


def test_what_is_in_place_is_not_run_again(arm: Arm, run: Run, console: Console) -> None:
    first = run()
    assert run() == first
    assert arm.asked.count(EXECUTE) == 1
    assert lines(console)[-1] == "in place on 5 hosts"


def test_a_host_that_got_it_when_it_joined_is_in_place_as_well(arm: Arm, run: Run) -> None:
    run()
    arm.hosts.append("wn4-caffew")
    arm.ran("framework", URI, ["wn4-caffew"])
    assert [host.host for host in run().hosts] == [*HOSTS, "wn4-caffew"]
    assert arm.asked.count(EXECUTE) == 1


def test_a_host_that_never_got_it_makes_it_run_again(arm: Arm, run: Run) -> None:
    run()
    arm.hosts.append("wn4-caffew")
    assert len(run().hosts) == 6
    assert arm.asked.count(EXECUTE) == 2


def test_a_last_run_that_failed_is_repeated(arm: Arm, run: Run) -> None:
    run()
    arm.ran("framework", URI, ["wn3-caffew"], **{"wn3-caffew": Task.fails(1, "no")})
    run()
    assert arm.asked.count(EXECUTE) == 2


def test_another_script_of_that_name_replaces_the_one_that_persists(arm: Arm, run: Run) -> None:
    run(FRAMEWORK, "wasbs://old")
    run(FRAMEWORK, URI)
    assert arm.count("DELETE", f"/clusters/{NAME}/scriptActions/framework") == 1
    assert arm.persisted["framework"]["uri"] == URI
    # and the old one again is not in place, though it succeeded once on every host
    run(FRAMEWORK, "wasbs://old")
    assert arm.asked.count(EXECUTE) == 3


def test_what_a_host_has_lost_since_is_brought_again(arm: Arm, run: Run) -> None:
    run()
    run(lacking=lambda: ["wn0-caffew"])
    assert arm.asked.count(EXECUTE) == 2


def test_while_the_script_still_runs_no_host_is_asked_what_it_lacks(arm: Arm, run: Run) -> None:
    run()
    arm.states = ["HdInsightConfiguration"] * 3
    left: list[int] = []

    def lacking() -> list[str]:
        left.append(len(arm.states))
        return []

    run(lacking=lacking)
    assert left == [0], "asked once, when the cluster was Running"
    assert arm.asked.count(EXECUTE) == 1


def test_a_host_that_does_not_answer_lacks_nothing_that_is_known(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def connect(_: Cluster, node: Node) -> Iterator[Any]:
        if node.name == "w1":
            raise Unreachable(node.name, "SSH does not answer", "Run `pulumi up`.")
        code = {"head": 0, "w2": 1}[node.name]
        yield SimpleNamespace(run=lambda *_, **__: Result(code, "", ""))

    monkeypatch.setattr(probe, "connect", connect)
    assert probe.lacking(cluster, ScriptAction("framework", "#!/bin/sh\n", probe="false")) == ["w2"]


def test_who_waits_for_a_script_that_runs_gives_it_its_whole_time() -> None:
    assert READY_S >= LIMIT_S + MARGIN_S


def test_where_hosts_have_no_names_their_number_tells(arm: Arm, run: Run) -> None:
    arm.debug = "no document of Ambari's"
    assert len(run().hosts) == 5
    assert len(run().hosts) == 5
    assert arm.asked.count(EXECUTE) == 1


def test_history_and_what_persists_can_be_read(arm: Arm, run: Run, hdinsight: ClusterDocument) -> None:
    run()
    run(ScriptAction("once", "#!/bin/sh\n", persist=False), "wasbs://once")
    assert [(one.name, one.count, one.ok) for one in actions.history(hdinsight)] == [
        ("once", 5, True),
        ("framework", 5, True),
    ]
    assert [(one.name, one.uri) for one in actions.persisted(hdinsight)] == [("framework", URI)]


# ---- failure


def test_a_script_that_fails_on_one_host_names_it_its_status_and_its_last_words(arm: Arm, run: Run) -> None:
    arm.tasks["wn1-caffew"] = Task.fails(7, "line 1\nE: Unable to fetch\ncaffe-spark: step 3 failed\n")
    error = failed(run)
    assert error.given == f"script action 'framework' on HDInsight cluster {NAME}"
    assert error.why.startswith("it succeeded on 4 of 5 hosts; wn1-caffew: status 7: ")
    assert "E: Unable to fetch | caffe-spark: step 3 failed" in error.why
    assert "/var/lib/ambari-agent/data/errors-109.txt there" in error.why
    assert f"cluster@{ACCOUNT}.blob.core.windows.net/custom-scriptaction-logs/{NAME}/" in error.fix
    assert f"https://{NAME}.azurehdinsight.net" in error.fix
    assert error.execution is not None
    assert [host.host for host in error.execution.hosts if not host.ok] == ["wn1-caffew"]
    assert arm.persisted == {}


def test_of_many_failed_hosts_three_are_told_and_the_others_counted(arm: Arm, run: Run) -> None:
    arm.tasks = {host: Task.fails(1, "no") for host in HOSTS}
    error = failed(run)
    assert error.why.startswith("it succeeded on 0 of 5 hosts; hn0-caffew: status 1: no")
    assert error.why.endswith("; and 2 more failed")


def test_a_node_lost_during_the_action_is_no_success(arm: Arm, run: Run) -> None:
    arm.tasks["wn3-caffew"] = Task.is_lost()
    arm.leaving = {"wn3-caffew"}
    error = failed(run)
    assert "it succeeded on 4 of 5 hosts; wn3-caffew: it was lost, or never answered" in error.why
    assert error.execution is not None
    assert error.execution.hosts[-1].exit_code is None


def test_a_count_that_falls_short_is_no_success_even_where_azure_says_so(arm: Arm, run: Run) -> None:
    arm.unreached = {"wn0-caffew"}
    error = failed(run)
    assert error.why == "it succeeded on 4 of 5 hosts; it did not reach 1 (wn0-caffew)"
    assert error.execution is not None
    assert error.execution.missing == 1
    assert not error.execution.ok


def test_a_host_that_joined_while_it_ran_was_not_reached(arm: Arm, run: Run) -> None:
    arm.joining = ["wn4-caffew"]
    assert "it did not reach 1 (wn4-caffew)" in failed(run).why


def test_without_ambaris_document_its_words_are_given_all_the_same(arm: Arm, run: Run) -> None:
    arm.tasks["wn1-caffew"] = Task.fails(1, "")
    arm.unreached = {"wn0-caffew"}
    arm.debug = "\n".join(f"line {number}" for number in range(50))
    error = failed(run)
    assert "it succeeded on 3 of 5 hosts; a host: it was lost, or never answered: line 45 | " in error.why
    assert error.why.endswith("line 49; it did not reach 1")


def test_a_script_that_azure_cannot_read_has_run_nowhere(arm: Arm, run: Run) -> None:
    arm.unfetched = True
    error = failed(run)
    assert "no host has run it: Unable to download the script" in error.why
    assert URI in error.fix


def test_a_script_over_the_limit_is_given_up_and_not_forgotten(
    arm: Arm, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "LIMIT_S", 0.1)
    monkeypatch.setattr(actions, "MARGIN_S", 0.1)
    arm.stuck = True
    error = failed(run)
    assert "it has not ended after" in error.why
    assert "run the same command again" in error.fix
    # the same command then waits for the first run, and finds it done
    monkeypatch.setattr(actions, "LIMIT_S", 10)
    arm.stuck, arm.states = False, ["HdInsightConfiguration"] * 3
    arm.look("op-0-0")
    arm.look("op-0-0")
    assert run().ok
    assert arm.asked.count(EXECUTE) == 1


# ---- the cluster and the way to it


def test_a_cluster_that_stays_busy_is_not_waited_for_without_end(
    arm: Arm, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "READY_S", 0.1)
    arm.state = "HdInsightConfiguration"
    with pytest.raises(ServiceDown, match=r"is not Running after 0:00.*`az hdinsight show --name caffe-west"):
        run()
    assert EXECUTE not in arm.asked


def test_a_broken_cluster_is_not_waited_for_at_all(arm: Arm, run: Run) -> None:
    arm.state, arm.errors = "Error", ["HDFS could not start"]
    with pytest.raises(StackError, match=r"it is in state Error: HDFS could not start\. Run `pulumi destroy"):
        run()


def test_a_cluster_that_breaks_while_it_runs_is_said(arm: Arm, run: Run) -> None:
    arm.stuck = True

    def break_it() -> None:
        while EXECUTE not in arm.asked:
            time.sleep(0.01)
        arm.state, arm.states = "Deleting", []

    thread = threading.Thread(target=break_it)
    thread.start()
    with pytest.raises(StackError, match="it is in state Deleting: nothing says why"):
        run()
    thread.join()


@pytest.mark.parametrize(
    ("refusal", "kind", "words"),
    [
        ((401, "ExpiredAuthenticationToken", "The token expired."), ConfigError, "un `az login`"),
        ((403, "AuthorizationFailed", "No."), azure.Denied, "this login lacks the permission"),
        ((404, "ResourceNotFound", "The Resource was not found."), StackError, "`pulumi up --refresh"),
        ((429, "TooManyRequests", "Slow down."), ServiceDown, "Wait a minute"),
    ],
)
def test_what_azure_refuses_is_said_with_the_action(
    arm: Arm, run: Run, refusal: tuple[int, str, str], kind: type[CaffeSparkError], words: str
) -> None:
    arm.always = refusal
    with pytest.raises(kind) as caught:
        run()
    assert f"script action 'framework' on HDInsight cluster {NAME}: beginning" in str(caught.value)
    assert words in str(caught.value)


def test_no_way_to_azure_is_said(arm: Arm, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(azure.ENDPOINT, f"http://127.0.0.1:{closed_port()}")
    with pytest.raises(azure.Offline, match="Connection refused"):
        run()


def test_a_way_that_breaks_while_it_runs_says_that_it_goes_on(arm: Arm, run: Run) -> None:
    arm.stuck = True

    def break_it() -> None:
        while EXECUTE not in arm.asked:
            time.sleep(0.01)
        arm.always = (502, "BadGateway", "no upstream")

    thread = threading.Thread(target=break_it)
    thread.start()
    with pytest.raises(ServiceDown, match=r"waiting; it goes on there.*no upstream"):
        run()
    thread.join()


def test_a_stack_of_another_cloud_is_refused(run: Run, cluster: Cluster) -> None:
    with pytest.raises(ConfigError, match=r"stack 'dev': it is not an HDInsight cluster"):
        run(FRAMEWORK, URI, cluster)


# ---- pure


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '{"tasks": [{}]}', '{"tasks": null}', "Traceback"])
def test_what_is_not_ambaris_document_has_no_hosts(text: str) -> None:
    assert parse_debug_information(text) == []

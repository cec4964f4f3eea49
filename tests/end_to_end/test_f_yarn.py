"""The same commands on a stack of HDInsight's shape: YARN in cluster mode, blobs, script actions.

Everything is real, but for whose blob server and whose agent it is: Azurite and
`bootstrap.script_actions.nodes` stand for Azure's. Framework and data come from the first stack's caches.
"""

from __future__ import annotations

import io
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from rich.console import Console

from bootstrap import script_actions
from bootstrap.cluster import Blob
from bootstrap.script_actions import ScriptAction
from bootstrap.script_actions.failure import ScriptActionFailed
from bootstrap.storage.blob import Blobs
from tests.end_to_end.conftest import (
    ROOT,
    TEST_IMAGES,
    Said,
    Stack,
    eventually,
    long_job,
    results_of,
    spark_lacks,
)
from tests.end_to_end.test_b_refusals import assert_refused, unit_stopped

pytestmark = pytest.mark.cluster

NAME = "e2e-yarn"
SUBNET = "10.89.95.0/24"
ACCOUNT = "caffesparke2e"
CONTAINER = "data"
URI = f"wasb://{CONTAINER}@{ACCOUNT}.blob.core.windows.net"
NODES = ("head", "w1", "w2")


@pytest.fixture(scope="module")
def yarn_stack(stack: Stack) -> Iterator[Stack]:
    """Up, provisioned, and with the framework on every node."""
    mine = Stack(stack.folder, stack.env, name=NAME)
    mine.config.write_text(
        f"""config:
  caffe-spark:workers: 2
  caffe-spark:subnet: {SUBNET}
  caffe-spark:scheduler: yarn
  caffe-spark:blobs:
    account: {ACCOUNT}
    container: {CONTAINER}
"""
    )
    assert mine.pulumi("stack", "init").code == 0
    said = mine.up()
    assert said.code == 0, said.output
    said = mine.fab("build-headnode", timeout=2400)
    assert said.code == 0, said.output
    yield mine
    mine.pulumi("destroy", "--yes", "--skip-preview")
    mine.config.unlink()


@pytest.fixture(scope="module")
def trained_on_yarn(yarn_stack: Stack) -> Said:
    said = yarn_stack.fab("submit-mnist", "--iterations", "300", timeout=900)
    assert said.code == 0, said.output
    return said


def test_hdinsights_line_of_spark_has_all_that_jobs_use(yarn_stack: Stack) -> None:
    assert yarn_stack.on("head", "readlink /opt/spark") == "/opt/spark-versions/3.5.9/pyspark\n"
    assert spark_lacks(yarn_stack) == "0\n"


@pytest.fixture
def console() -> Console:
    """The request is in `.file`."""
    return Console(file=io.StringIO(), width=200, force_terminal=False)


def manager(stack: Stack, path: str) -> dict[str, dict[str, list[dict[str, str]]]]:
    """Return the response of YARN's ResourceManager."""
    said = stack.on("head", f"curl -s --noproxy '*' http://head:8088/ws/v1/cluster/{path}")
    return json.loads(said)  # type: ignore[no-any-return]


def running_nodes(stack: Stack) -> set[str]:
    """NodeManagers that YARN has as running; none while its ResourceManager is down."""
    try:
        listed = manager(stack, "nodes?states=RUNNING")["nodes"]
    except ValueError:
        return set()
    return {node["nodeHostName"] for node in (listed or {}).get("node", [])}


def test_a_job_trains_on_yarn_and_leaves_its_model_among_the_blobs(
    yarn_stack: Stack, trained_on_yarn: Said
) -> None:
    folder = results_of(trained_on_yarn)
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["samples"], summary["iterations"], summary["executors"]) == (TEST_IMAGES, 300, 2)
    assert summary["accuracy"] > 0.95, "300 iterations of 2 x 64 images reach 0.97"
    assert summary["model"] == f"{URI}/jobs/{folder.name}/mnist.model"
    blobs = Blobs.of(yarn_stack.cluster()).list()
    assert f"jobs/{folder.name}/mnist.model" in blobs
    assert f"jobs/{folder.name}/mnist.model.validation/_SUCCESS" in blobs
    assert (folder / "curve.png").exists()
    assert "data/mnist/train_lmdb/data.mdb" in blobs
    assert any(path.startswith("frameworks/caffe/") and path.endswith("/manifest.json") for path in blobs)


def test_the_driver_ran_in_a_container_and_yarn_has_it_as_succeeded(
    yarn_stack: Stack, trained_on_yarn: Said
) -> None:
    name = results_of(trained_on_yarn).name
    (app,) = [app for app in manager(yarn_stack, "apps")["apps"]["app"] if app["name"] == name]
    assert (app["state"], app["finalStatus"]) == ("FINISHED", "SUCCEEDED")
    assert app["amHostHttpAddress"].startswith(("w1:", "w2:"))


def test_no_copy_of_spark_travels_with_a_job(yarn_stack: Stack, trained_on_yarn: Said) -> None:
    staged = [path for path in Blobs.of(yarn_stack.cluster()).list() if path.endswith(".jar")]
    assert staged == []
    cached = yarn_stack.on("w1", "find /var/lib/yarn/local -name '*.jar' | wc -l")
    assert cached.strip() == "0"


def test_doctor_finds_nothing_wrong(yarn_stack: Stack, trained_on_yarn: Said) -> None:
    said = yarn_stack.fab("doctor")
    assert said.code == 0, said.output


def test_building_again_runs_no_script_action(yarn_stack: Stack, trained_on_yarn: Said) -> None:
    said = yarn_stack.fab("build-headnode")
    assert said.code == 0
    assert "in place on 3 nodes" in said.output
    assert f"Next: `fab submit-mnist --stack {NAME}`" in said.output


def test_the_accounts_key_is_nowhere_to_be_seen(yarn_stack: Stack, trained_on_yarn: Said) -> None:
    blob = yarn_stack.cluster().storage
    assert isinstance(blob, Blob)
    assert blob.key is not None
    key = blob.key.get_secret_value()
    for node in NODES:
        assert key not in yarn_stack.on(node, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert key not in trained_on_yarn.output
    assert key not in yarn_stack.config.read_text()
    assert key not in "".join(p.read_text() for p in (yarn_stack.folder / "state").rglob("*.json"))


def test_logs_of_driver_and_executors_are_there_after_the_end(
    yarn_stack: Stack, trained_on_yarn: Said
) -> None:
    name = results_of(trained_on_yarn).name
    eventually(lambda: yarn_stack.fab("logs", name).code == 0, "the logs are aggregated into shared storage")
    assert "Iteration 200, validation: accuracy" in yarn_stack.fab("logs", name).output
    assert yarn_stack.fab("logs", name, "--executor", "1").code == 0
    assert_refused(yarn_stack.fab("logs", name, "--executor", "9"), "executor 9", "1 on w")
    assert_refused(yarn_stack.fab("logs", "mnist-none"), "no such job", name)


def test_a_running_job_is_seen_followed_and_killed_without_a_trace(
    yarn_stack: Stack, trained_on_yarn: Said, tmp_path: Path
) -> None:
    with long_job(yarn_stack, tmp_path) as submitted:
        status = yarn_stack.fab("status").output
        (line,) = [line for line in status.splitlines() if " running " in line]
        name = line.split()[0]
        assert "application_" in line
        assert_refused(yarn_stack.fab("submit-mnist", "--iterations", "10"), "YARN has room for", name)
        said = yarn_stack.fab("kill", name)
        assert said.code == 0, said.output
        assert submitted.process.wait(timeout=60) == 1
    assert "it was killed" in submitted.output
    assert manager(yarn_stack, "apps?states=RUNNING,ACCEPTED")["apps"] in (None, {})
    for node in NODES:
        assert "CoarseGrainedExecutorBackend" not in yarn_stack.on(node, "ps -eo args")
    assert "ended already: killed" in yarn_stack.fab("kill", name).output


def test_a_refusal_of_the_driver_is_reported_in_its_own_words(
    yarn_stack: Stack, trained_on_yarn: Said, tmp_path: Path
) -> None:
    spec = _spec(tmp_path, batch=100_000)
    said = yarn_stack.fab("submit-mnist", "--spec", str(spec))
    assert_refused(said, "Insufficient training data", "60000 training records")


def test_a_resource_manager_that_is_down_is_reported_within_seconds(
    yarn_stack: Stack, trained_on_yarn: Said
) -> None:
    from jobs.backends.yarn import YarnBackend
    from jobs.spec_file import read_spec

    spec = read_spec(ROOT / "jobs" / "specs" / "mnist.yaml")
    with (
        unit_stopped(yarn_stack, "head", "yarn-resourcemanager"),
        closing(YarnBackend(yarn_stack.cluster())) as backend,
    ):
        began = time.monotonic()
        with pytest.raises(Exception, match=r"ResourceManager does not answer.*fab bootstrap"):
            backend.require_capacity(spec)
        assert time.monotonic() - began < 30
    eventually(lambda: running_nodes(yarn_stack) == {"w1", "w2"}, "both nodes are back")


def test_a_dead_node_manager_is_named_before_anything_is_submitted(
    yarn_stack: Stack, trained_on_yarn: Said
) -> None:
    from jobs.backends.yarn import YarnBackend
    from jobs.spec_file import read_spec

    spec = read_spec(ROOT / "jobs" / "specs" / "mnist.yaml")
    with (
        unit_stopped(yarn_stack, "w2", "yarn-nodemanager"),
        closing(YarnBackend(yarn_stack.cluster())) as backend,
    ):
        eventually(lambda: "w2" not in str(manager(yarn_stack, "nodes?states=RUNNING")), "YARN misses w2", 90)
        with pytest.raises(Exception, match=r"executors: 2.*NodeManager on w2 is .*fab bootstrap"):
            backend.require_capacity(spec)
    eventually(lambda: running_nodes(yarn_stack) == {"w1", "w2"}, "both nodes are back")


# ---- who may submit


def post(stack: Stack, path: str, body: str = "", method: str = "POST") -> int:
    """Ask YARN's web service from this machine, in the name of the jobs' user; return the status."""
    head = stack.cluster().head.address
    request = urllib.request.Request(
        f"http://{head}:8088/ws/v1/cluster/{path}?user.name=spark",
        data=body.encode(),
        headers={"Content-Type": "application/json"},
        method=method,
    )
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_no_application_is_submitted_over_http(yarn_stack: Stack, trained_on_yarn: Said) -> None:
    assert post(yarn_stack, "apps/new-application") in {400, 401, 403}
    evil = {
        "application-id": "application_1_0001",
        "application-name": "evil",
        "application-type": "YARN",
        "am-container-spec": {"commands": {"command": "id"}},
        "resource": {"memory": 512, "vCores": 1},
    }
    assert post(yarn_stack, "apps", json.dumps(evil)) in {400, 401, 403}
    assert "evil" not in str(manager(yarn_stack, "apps"))


def test_a_job_is_not_killed_over_http(yarn_stack: Stack, trained_on_yarn: Said, tmp_path: Path) -> None:
    with long_job(yarn_stack, tmp_path):
        (app,) = manager(yarn_stack, "apps?states=RUNNING")["apps"]["app"]
        assert post(yarn_stack, f"apps/{app['id']}/state", '{"state":"KILLED"}', "PUT") in {401, 403}
        (after,) = manager(yarn_stack, "apps?states=RUNNING")["apps"]["app"]
        assert after["id"] == app["id"]
        assert yarn_stack.fab("kill", app["name"]).code == 0


def test_only_the_clusters_nodes_and_the_jobs_user_call_yarn(
    yarn_stack: Stack, trained_on_yarn: Said
) -> None:
    def listing(name: str) -> str:
        command = f"env HADOOP_USER_NAME={name} /opt/hadoop/bin/yarn application -list"
        return yarn_stack.on("w1", f"runuser -u spark -- {command} 2>&1")

    assert "Total number of applications" in listing("spark")
    assert "AuthorizationException" in listing("mallory")


# ---- script actions, as HDInsight runs them


def action(name: str, *lines: str, **rest: object) -> ScriptAction:
    text = "\n".join(["#!/bin/sh", *lines, ""])
    return ScriptAction(name, text, **rest)  # type: ignore[arg-type]


def test_a_script_runs_as_root_on_the_named_roles_in_parallel(yarn_stack: Stack, console: Console) -> None:
    slow = action(
        "who", 'mkdir -p /run/who; echo "$(id -un) $1" >/run/who/am-i; sleep 3', parameters="one 'two three'"
    )
    done = script_actions.run(yarn_stack.cluster(), slow, console)
    assert [(host.host, host.exit_code) for host in done.hosts] == [(node, 0) for node in NODES]
    for node in NODES:
        assert yarn_stack.on(node, "cat /run/who/am-i") == "root one\n"
    only = action("workers-only", "touch /run/only", roles=("workernode",), persist=False)
    script_actions.run(yarn_stack.cluster(), only, console)
    assert yarn_stack.on("head", "ls /run/only 2>/dev/null") == ""
    assert yarn_stack.on("w1", "ls /run/only").strip() == "/run/only"


def test_a_second_run_does_nothing_and_says_so(yarn_stack: Stack, console: Console) -> None:
    counts = action("count", "echo x >>/run/count")
    cluster = yarn_stack.cluster()
    script_actions.run(cluster, counts, console)
    script_actions.run(cluster, counts, console)
    assert yarn_stack.on("w1", "cat /run/count") == "x\n"
    assert "in place on 3 nodes" in console.file.getvalue()  # type: ignore[attr-defined]


def test_a_script_that_fails_on_one_node_is_told_with_its_words(yarn_stack: Stack, console: Console) -> None:
    picky = action("picky", '[ "$(uname -n)" != w2 ] || { echo "no licence here" >&2; exit 7; }')
    with pytest.raises(ScriptActionFailed) as failed:
        script_actions.run(yarn_stack.cluster(), picky, console)
    text = str(failed.value)
    assert "succeeded on 2 of 3 hosts" in text
    assert "w2: status 7: no licence here" in text
    assert failed.value.execution is not None
    kept = next(host.log for host in failed.value.execution.hosts if host.host == "w2")
    assert "no licence here" in yarn_stack.on("w2", f"cat {kept}")
    records = script_actions.history(yarn_stack.cluster())
    assert (records[0].name, records[0].status) == ("picky", "Failed")
    assert "picky" not in [one.name for one in script_actions.persisted(yarn_stack.cluster())]


def test_a_script_is_ended_at_the_limit(yarn_stack: Stack, console: Console) -> None:
    from bootstrap.script_actions import nodes
    from bootstrap.storage import blob

    endless = action("endless", "echo working; sleep 600", roles=("headnode",))
    cluster = yarn_stack.cluster()
    with pytest.raises(ScriptActionFailed, match="ran past the limit"):
        nodes.run(cluster, endless, blob.upload(cluster, endless), console, limit=2)
    assert "sleep 600" not in yarn_stack.on("head", "ps -eo args")


def test_a_node_lost_during_an_action_is_reported_and_the_others_finish(
    yarn_stack: Stack, console: Console
) -> None:
    # The unit's own end without a status is what a reboot leaves.
    dies = action(
        "dies",
        '[ "$(uname -n)" != w1 ] || { kill -9 $(cat /proc/$PPID/stat | cut -d" " -f4) $PPID; sleep 5; }',
    )
    with pytest.raises(ScriptActionFailed) as failed:
        script_actions.run(yarn_stack.cluster(), dies, console)
    assert "w1" in str(failed.value)
    assert "succeeded on 2 of 3 hosts" in str(failed.value)


def test_a_node_that_joins_later_gets_what_persists(yarn_stack: Stack, console: Console) -> None:
    stays = action("stays", "echo here >/run/stays")
    script_actions.run(yarn_stack.cluster(), stays, console)
    assert yarn_stack.pulumi("config", "set", "workers", "3").code == 0
    assert yarn_stack.up().code == 0
    said = yarn_stack.fab("bootstrap", timeout=900)
    assert said.code == 0, said.output
    assert yarn_stack.on("w3", "cat /run/stays") == "here\n"
    assert yarn_stack.on("w3", "readlink /opt/caffe") == yarn_stack.on("w1", "readlink /opt/caffe")
    listed = yarn_stack.fab("script-actions").output
    assert "stays" in listed
    assert "1 completed" in listed


# ---- refusals


def test_a_wrong_account_key_is_reported_in_one_line(yarn_stack: Stack, trained_on_yarn: Said) -> None:
    file = "/etc/hadoop/conf/wasb-key.xml"
    yarn_stack.on("head", f"cp -p {file} /root/key.xml; sed -i 's#<value>...#<value>AAA#' {file}")
    try:
        from bootstrap.errors import ServiceDown
        from bootstrap.ssh.remote import connect
        from bootstrap.storage.hadoop import SharedStorage

        cluster = yarn_stack.cluster()
        with connect(cluster, cluster.head) as head, pytest.raises(ServiceDown, match="key"):
            SharedStorage(head, cluster.shared_storage).exists("/data")
    finally:
        yarn_stack.on("head", f"cp -p /root/key.xml {file}")


def test_an_executor_above_the_largest_container_is_refused(
    yarn_stack: Stack, trained_on_yarn: Said, tmp_path: Path
) -> None:
    spec = _spec(tmp_path, memory="4 GiB")
    assert_refused(
        yarn_stack.fab("submit-mnist", "--spec", str(spec)), "memory: 4096 MiB", "largest container"
    )


def _spec(folder: Path, **changes: object) -> Path:
    """MNIST's specification with other values."""
    import shutil

    import yaml

    shutil.copytree(ROOT / "jobs" / "specs", folder / "specs")
    spec = folder / "specs" / "mnist.yaml"
    spec.write_text(yaml.safe_dump({**yaml.safe_load(spec.read_text()), **changes}))
    return spec

"""Receipts with what a cluster's document, its cloud and earlier results tell."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bootstrap.cluster import S3, AutoScalingGroup, Cluster, ClusterDocument, NodePrice, Part, Prices
from bootstrap.inventory.account import Account
from bootstrap.join.on_node.account import new
from jobs.job import JobPlace, SubmittedJob
from jobs.report.history import History
from jobs.run import billing
from jobs.trainer import contract
from jobs.trainer.contract import stamped
from tests.cloud.aws_account import REGION, answers, aws_account, read_once
from tests.jobs.specs import mnist_spec

__all__ = ["aws_account", "read_once"]

BEGIN = datetime(2026, 11, 30, 9, 0, tzinfo=timezone.utc).timestamp()
HOUR = 3600.0
PRICES = Prices(
    nodes=(
        NodePrice(role="head", type="m6i.xlarge", low=Decimal("0.2"), high=Decimal("0.2")),
        NodePrice(role="worker", type="g4dn.xlarge", market="spot", low=Decimal("0.3"), high=Decimal("0.4")),
        NodePrice(role="worker", type="g5.xlarge", market="spot", low=Decimal(1), high=Decimal(1)),
    ),
    fixed=(Part(what="NAT gateway", low=Decimal("0.05"), high=Decimal("0.05")),),
    source="a table of 2026-11-24",
)
FREE = Prices(
    nodes=(
        NodePrice(role="head", type="this machine", low=Decimal(0), high=Decimal(0)),
        NodePrice(role="worker", type="this machine", low=Decimal(0), high=Decimal(0)),
    ),
    source="this machine",
)
PLACES = {"0": {"host": "ip-10-40-1-2", "container": ""}}
HISTORY = History(
    [
        stamped(contract.Phase("start"), BEGIN + 1),
        stamped(contract.Executors("app-1", PLACES), BEGIN + 60),
        stamped(contract.Done(10.0), BEGIN + HOUR),
    ]
)


@pytest.fixture
def on_aws(cluster_document: dict[str, object]) -> ClusterDocument:
    head = {"name": "head", "address": "10.9.8.10", "instance": "i-head"}
    group = AutoScalingGroup(name="caffe-spark-x-workers", region=REGION, desired_capacity=1)
    storage = S3(uri="s3a://bucket", region=REGION)
    return ClusterDocument.model_validate(
        {**cluster_document, "head": head, "members": group, "storage": storage, "prices": PRICES}
    )


def job(name: str = "mnist-20261130-090000", **changes: Any) -> SubmittedJob:
    place = JobPlace(name, f"/jobs/{name}", f"hdfs://head/jobs/{name}")
    return SubmittedJob(mnist_spec(**changes), "key", place, "standalone", submitted=BEGIN)


def test_on_aws_the_cloud_tells_types_and_the_price_of_each_moment(
    on_aws: ClusterDocument, aws_account: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = {
        "InstanceId": "i-1",
        "InstanceType": "g4dn.xlarge",
        "InstanceLifecycle": "spot",
        "LaunchTime": datetime.fromtimestamp(BEGIN - 600, timezone.utc),
        "Placement": {"AvailabilityZone": "eu-west-1a"},
        "PrivateIpAddress": "10.40.1.2",
        "State": {"Name": "running"},
    }
    earlier = {
        **worker,
        "InstanceId": "i-0",
        "InstanceType": "g5.xlarge",
        "PrivateIpAddress": "10.40.1.9",
        "LaunchTime": datetime.fromtimestamp(BEGIN + 9 * HOUR, timezone.utc),
    }
    asked: list[str] = []

    def answer(_region: str, operation: str, given: dict[str, Any]) -> dict[str, Any] | None:
        if operation == "DescribeInstances":
            return {"Reservations": [{"Instances": [worker, earlier]}]}
        asked.extend(given["InstanceTypes"])
        changes = {BEGIN - 7200: "0.20", BEGIN + 1800: "0.60"}
        return {
            "SpotPriceHistory": [
                {"SpotPrice": usd, "Timestamp": datetime.fromtimestamp(at, timezone.utc)}
                for at, usd in changes.items()
            ]
        }

    answers(monkeypatch, answer)
    found = billing.of_job(on_aws, job(), HISTORY, outcome="done", results=tmp_path)
    assert [(line.what, line.cost.high) for line in found.lines] == [
        ("head, m6i.xlarge on demand", Decimal("0.2")),
        ("worker, g4dn.xlarge on spot", Decimal("0.4")),
        ("NAT gateway", Decimal("0.05")),
    ]
    # Of a machine that came hours after the job, nobody asks the price.
    assert (asked, found.notes) == (["g4dn.xlarge"], ())


@pytest.mark.parametrize(
    ("fell_back", "returned", "told"),
    [
        (
            BEGIN + 600,
            0.0,
            "from 2026-11-30 09:10 UTC on AWS had too little spot capacity: missing workers came",
        ),
        (BEGIN - 600, BEGIN + 600, "from 2026-11-30 08:50 UTC to 2026-11-30 09:10 UTC AWS had too little"),
        (BEGIN - 1200, BEGIN - 600, ""),
        (BEGIN + 2 * HOUR, 0.0, ""),
        (0.0, 0.0, ""),
    ],
)
def test_workers_that_came_on_demand_for_want_of_spot_are_billed_and_told_as_that(
    fell_back: float,
    returned: float,
    told: str,
    on_aws: ClusterDocument,
    aws_account: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker = {
        "InstanceId": "i-1",
        "InstanceType": "g4dn.xlarge",
        "LaunchTime": datetime.fromtimestamp(BEGIN - 600, timezone.utc),
        "Placement": {"AvailabilityZone": "eu-west-1a"},
        "PrivateIpAddress": "10.40.1.2",
        "State": {"Name": "running"},
    }
    answers(monkeypatch, lambda *_: {"Reservations": [{"Instances": [worker]}]})
    kept = {**new(BEGIN), "fell_back": fell_back, "returned": returned}
    monkeypatch.setattr(billing, "account", lambda *_: Account.model_validate(kept))
    dear = NodePrice(role="worker", type="g4dn.xlarge", low=Decimal(2), high=Decimal(2))
    group = on_aws.members.model_copy(update={"fallback_seconds": 600})
    prices = PRICES.model_copy(update={"nodes": (*PRICES.nodes, dear)})
    stack = on_aws.model_copy(update={"members": group, "prices": prices})
    found = billing.of_job(stack, job(), HISTORY, outcome="done", results=tmp_path)
    assert ("worker, g4dn.xlarge on demand", Decimal(2)) in [
        (line.what, line.cost.high) for line in found.lines
    ]
    assert bool(found.notes) == bool(told)
    assert all(note.startswith(told) and note.endswith("(fallbackAfter)") for note in found.notes)


def test_where_aws_cannot_be_asked_the_stacks_prices_count_and_the_receipt_says_so(
    on_aws: ClusterDocument, tmp_path: Path
) -> None:
    found = billing.of_job(on_aws, job(), HISTORY, outcome="done", results=tmp_path)
    assert (found.cost.low, found.cost.high) == (Decimal("0.55"), Decimal("1.25"))
    assert "AWS was not asked (there are no credentials" in found.notes[0]
    assert "type and market of ip-10-40-1-2 are not known" in found.notes[1]


def test_a_stack_without_prices_has_an_unknown_cost_never_none(cluster: Cluster, tmp_path: Path) -> None:
    found = billing.of_job(cluster, job(), HISTORY, outcome="done", results=tmp_path)
    assert found.cost.text == "unknown"
    assert found.notes[0] == "the stack has no prices: `pulumi up --stack dev` adds them"


def test_on_this_machine_a_job_costs_nothing_and_takes_two_lines(cluster: Cluster, tmp_path: Path) -> None:
    local = cluster.model_copy(update={"prices": FREE})
    found = billing.of_job(local, job(), HISTORY, outcome="done", results=tmp_path)
    out = io.StringIO()
    billing.show(Console(file=out, width=200), found)
    assert out.getvalue().splitlines() == [
        "cost     0.00 USD (prices: this machine)",
        "time     wall 3,600.0 s, lost 0.0 s, waiting 0.0 s, interruptions 0 (0 announced)",
    ]


def test_a_record_without_its_time_begins_with_its_first_event(cluster: Cluster, tmp_path: Path) -> None:
    old = SubmittedJob(mnist_spec(), "key", job().place)
    found = billing.of_job(cluster, old, HISTORY, outcome="done", results=tmp_path)
    assert (found.begin, found.wall_seconds) == (BEGIN + 1, HOUR - 1)


def test_a_submission_by_a_clock_that_is_ahead_does_not_make_the_job_free(
    cluster: Cluster, tmp_path: Path
) -> None:
    priced = cluster.model_copy(update={"prices": PRICES})
    ahead = SubmittedJob(mnist_spec(), "key", job().place, submitted=BEGIN + 2 * HOUR)
    found = billing.of_job(priced, ahead, HISTORY, outcome="done", results=tmp_path)
    assert (found.begin, found.wall_seconds) == (BEGIN + 1, HOUR - 1)
    assert found.cost.high > 1
    assert any("clock" in note for note in found.notes)


def test_an_end_by_a_clock_that_is_behind_is_not_before_the_last_event(
    cluster: Cluster, tmp_path: Path
) -> None:
    found = billing.of_job(cluster, job(), HISTORY, outcome="killed", results=tmp_path, end=BEGIN + 60)
    assert found.wall_seconds == HOUR


def test_a_job_that_did_not_succeed_leaves_its_receipt_among_its_results(
    cluster: Cluster, tmp_path: Path
) -> None:
    local = cluster.model_copy(update={"prices": FREE})
    end = BEGIN + 2 * HOUR
    lines = billing.unsuccessful(local, job(), HISTORY, outcome="killed", results=tmp_path, end=end)
    file = tmp_path / job().id / "receipt.json"
    assert lines[-1] == f"receipt  {file}"
    written = json.loads(file.read_text())
    assert (written["outcome"], written["wall_seconds"]) == ("killed", 7200.0)


def test_a_job_killed_while_it_scores_again_did_not_wait_since_the_loss(
    cluster: Cluster, tmp_path: Path
) -> None:
    events = [
        stamped(contract.Executors("app-1", PLACES), BEGIN + 60),
        stamped(contract.Phase("score"), BEGIN + 100),
        stamped(contract.WorkersLost(100, ["ip-10-40-1-2"]), BEGIN + 130),
        stamped(contract.Executors("app-1", PLACES), BEGIN + 140),
    ]

    class Told:
        document = cluster.model_copy(update={"prices": FREE})

        def events(self, _job: SubmittedJob, kinds: tuple[type, ...], say: Callable[[str], None]) -> None:
            for event in events:
                if isinstance(event, kinds):
                    say(contract.dump(event))

    billing.killed(Told(), job(), tmp_path, ran=False)  # type: ignore[arg-type]  # all that is asked
    written = json.loads((tmp_path / job().id / "receipt.json").read_text())
    assert (written["waiting_seconds"], written["lost_seconds"]) == (0.0, 30.0)


# ---- estimates


def ended(results: Path, name: str, **changes: Any) -> None:
    receipt = {
        "like": billing.likeness(mnist_spec()),
        "begin": BEGIN - HOUR,
        "wall_seconds": 7200.0,
        "nodes": [{"role": "head", "hours": 2.0}, {"role": "worker", "hours": 3.0}],
        **changes,
    }
    (results / name).mkdir(parents=True)
    (results / name / "summary.json").write_text(json.dumps({"job": name, "receipt": receipt}))


def test_the_estimate_is_by_the_newest_job_like_it(tmp_path: Path) -> None:
    ended(tmp_path, "mnist-20261130-070000", begin=BEGIN - 2 * HOUR, wall_seconds=1.0)
    ended(tmp_path, "mnist-20261130-080000")
    found = billing.estimate(PRICES, mnist_spec(), tmp_path)
    assert found is not None
    # 2 h of head and NAT gateway, 3 h of a worker
    assert (found.cost.low, found.cost.high) == (Decimal("1.4"), Decimal("3.5"))
    assert (found.basis, found.seconds) == ("mnist-20261130-080000", 7200.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"like": "another"},
        {"begin": BEGIN + 1},
        {"wall_seconds": "soon"},
        {"nodes": None},
    ],
)
def test_other_jobs_are_no_estimate(changes: dict[str, Any], tmp_path: Path) -> None:
    ended(tmp_path, "mnist-20261130-080000", **changes)
    assert billing.estimate(PRICES, mnist_spec(), tmp_path, before=BEGIN) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"max_iter": 50},
        {"executors": 1},
        {"name": "mnist-large"},
        {"test": False},
        {"snapshot": "hdfs:///s.solverstate", "weights": "hdfs:///w.caffemodel"},
    ],
)
def test_a_job_with_other_work_has_no_estimate(changes: dict[str, Any], tmp_path: Path) -> None:
    ended(tmp_path, "mnist-20261130-080000")
    assert billing.estimate(PRICES, mnist_spec(**changes), tmp_path) is None


def test_a_job_that_resumed_tells_nothing_about_another_that_does(tmp_path: Path) -> None:
    spec = mnist_spec(snapshot="hdfs:///s.solverstate", weights="hdfs:///w.caffemodel")
    ended(tmp_path, "mnist-20261130-080000", like=billing.likeness(spec))
    assert billing.estimate(PRICES, spec, tmp_path) is None


def test_without_prices_there_is_no_estimate(tmp_path: Path) -> None:
    ended(tmp_path, "mnist-20261130-080000")
    assert billing.estimate(None, mnist_spec(), tmp_path) is None


def test_another_solver_is_other_work_and_a_copy_of_it_the_same(tmp_path: Path) -> None:
    solver, copy = tmp_path / "solver.prototxt", tmp_path / "copy.prototxt"
    solver.write_text("max_iter: 2000")
    copy.write_text("max_iter: 2000")
    before = billing.likeness(mnist_spec(solver=solver))
    assert billing.likeness(mnist_spec(solver=copy)) == before
    solver.write_text("max_iter: 50")
    assert billing.likeness(mnist_spec(solver=solver)) != before

"""The stack's network and what an interrupted command may leave on it."""

from __future__ import annotations

import pytest

from bootstrap.errors import StackError
from infra import tags
from infra.local.network import LeftoversProvider, NetworkProvider
from tests.infra.conftest import FakeEngine

OURS = tags.labels("dev", "/here")
PROPS = {"engine": "podman", "network": "caffe-spark-dev", "subnet": "10.1.2.0/24", "labels": OURS}
NETWORK = {"name": "caffe-spark-dev", "subnets": [{"subnet": "10.1.2.0/24"}], "labels": OURS}


def changes(engine: FakeEngine) -> list[str]:
    """Commands that change something."""
    return [call for call in engine.calls if call.startswith(("rm", "network rm", "network create"))]


def test_it_is_made_with_subnet_and_labels(engine: FakeEngine) -> None:
    assert NetworkProvider().create(dict(PROPS)).id == "caffe-spark-dev"
    last = engine.calls[-1]
    assert last.startswith("network create --subnet 10.1.2.0/24 --label=caffe-spark.project=caffe-spark")
    assert last.endswith(" caffe-spark-dev")


def test_what_an_interrupted_run_left_is_made_anew(engine: FakeEngine) -> None:
    engine.knows_networks(NETWORK)
    engine.knows_containers("caffe-spark-dev-w1")
    NetworkProvider().create(dict(PROPS))
    removed, network_removed, made = changes(engine)
    assert "caffe-spark-dev-w1" in removed
    assert network_removed == "network rm caffe-spark-dev"
    assert made.startswith("network create")


def test_somebody_elses_network_of_that_name_is_refused(engine: FakeEngine) -> None:
    engine.knows_networks({**NETWORK, "labels": tags.labels("dev", "/elsewhere")})
    with pytest.raises(StackError, match=r"belongs to stack 'dev' of /elsewhere.*podman network rm"):
        NetworkProvider().create(dict(PROPS))
    assert changes(engine) == []


def test_its_removal_by_hand_is_noticed(engine: FakeEngine) -> None:
    provider = NetworkProvider()
    assert provider.read("id", dict(PROPS)).id == ""
    assert provider.diff("id", dict(PROPS), dict(PROPS)).replaces == ["network"]
    engine.knows_networks(NETWORK)
    assert provider.read("id", dict(PROPS)).id == "id"
    assert not provider.diff("id", dict(PROPS), dict(PROPS)).changes


def test_another_subnet_is_another_network_made_after_the_old_one_went(engine: FakeEngine) -> None:
    engine.knows_networks(NETWORK)
    diff = NetworkProvider().diff("id", dict(PROPS), {**PROPS, "subnet": "10.1.3.0/24"})
    assert diff.replaces == ["subnet"]
    assert diff.delete_before_replace


def test_deleting_takes_containers_that_the_state_never_heard_of(engine: FakeEngine) -> None:
    engine.knows_networks(NETWORK)
    engine.knows_containers("caffe-spark-dev-w7")
    NetworkProvider().delete("id", dict(PROPS))
    assert any(call.startswith("rm ") and "caffe-spark-dev-w7" in call for call in engine.calls)
    assert engine.calls[-1] == "network rm caffe-spark-dev"


def test_leftovers_of_a_killed_run_go_with_the_stack(engine: FakeEngine) -> None:
    engine.knows_networks(NETWORK)
    LeftoversProvider().delete("id", dict(PROPS))
    assert engine.calls[-1] == "network rm caffe-spark-dev"


def test_leftovers_are_never_somebody_elses(engine: FakeEngine) -> None:
    engine.knows_networks({**NETWORK, "labels": {}})
    LeftoversProvider().delete("id", dict(PROPS))
    assert changes(engine) == []

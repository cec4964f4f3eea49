"""Fields of nets with Caffe itself: what a solver's step does of them; skipped where Caffe does not run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.trainer.artefact import Caffe

SOLVER = """
net: "net.prototxt" base_lr: 0.5 lr_policy: "fixed" max_iter: 4 snapshot_prefix: "s" random_seed: 3
{solver}
"""
NET = """
name: "tiny" {net}
layer {{
  name: "data" type: "MemoryData" top: "data" top: "label" source_class: "com.yahoo.ml.caffe.LMDB"
  memory_data_param {{ source: "file:/none" batch_size: 2 channels: 1 height: 2 width: 2 }}
  include {{ phase: TRAIN }} {data}
}}
layer {{
  name: "data" type: "MemoryData" top: "data" top: "label" source_class: "com.yahoo.ml.caffe.LMDB"
  memory_data_param {{ source: "file:/none" batch_size: 2 channels: 1 height: 2 width: 2 }}
  include {{ phase: TEST }}
}}
layer {{
  name: "ip1" type: "InnerProduct" bottom: "data" top: "ip1" {ip1}
  inner_product_param {{ num_output: 3 weight_filler {{ type: "xavier" }} }}
}}
layer {{
  name: "drop" type: "Dropout" bottom: "ip1" top: "drop" dropout_param {{ dropout_ratio: 0.5 }} {drop}
}}
layer {{
  name: "ip2" type: "InnerProduct" bottom: "drop" top: "ip2" {ip2}
  inner_product_param {{ num_output: 2 weight_filler {{ type: "xavier" }} }}
}}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "loss" {loss} }}
layer {{
  name: "accuracy" type: "Accuracy" bottom: "ip2" bottom: "label" top: "accuracy"
  include {{ phase: TEST stage: "accuracy" }}
}}
"""
STEP = """
import json, sys
from pathlib import Path
import lmdb, numpy as np
from jobs.trainer.caffe import native
from jobs.trainer.caffe.feed import Feed
from jobs.trainer.caffe.prototxt import load
from jobs.trainer.sources.lmdb import Lmdb
from jobs.trainer.sources.shards import Request

folder = Path(sys.argv[1])
trainer = native.Trainer(load(folder / "solver.prototxt", native.protos()), 0, folder)
net = trainer.solver.net
datum = native.protos().Datum
with lmdb.open(str(folder / "lmdb"), map_size=1 << 20) as env, env.begin(write=True) as transaction:
    for label in (0, 1):
        pixels = bytes(range(1 + 4 * label, 5 + 4 * label))
        value = datum(channels=1, height=2, width=2, label=label, data=pixels).SerializeToString()
        transaction.put(b"%d" % label, value)
before = {name: [np.array(blob.data) for blob in blobs] for name, blobs in net.params.items()}
source, job = Lmdb(folder / "lmdb", datum), trainer._job
feed = Feed(job.train, source)
feed.ask([Request(0, 2, 1)] * 4)
trainer.start(feed)
loss = trainer.step(3)
scores, totals = [], []
for number, test in enumerate(job.tests):
    scorer, own = trainer.validator(number), Feed(test.data, source)
    own.ask([Request(0, 2, 1)])
    _, values = scorer.run(own, scorer.outputs)
    own.close()
    scores.append({name: value[0].tolist() for name, value in values.items()})
    totals.append(scorer.loss())
print(json.dumps({
    "loss": loss,
    "plain": float(net.blobs["loss"].data),
    "data": float(np.abs(net.blobs["data"].diff).sum()),
    "ip1": np.array(before["ip1"][0]).ravel().tolist(),
    "moved": {name: bool((net.params[name][0].data != before[name][0]).any()) for name in before},
    "dropped": bool((net.blobs["drop"].data != net.blobs["ip1"].data).any()),
    "scores": scores,
    "totals": totals,
}))
feed.close()
"""


PROBE = """
import sys
from pathlib import Path
from jobs.trainer.caffe import native
from jobs.trainer.caffe.probe import Probe
from jobs.trainer.caffe.prototxt import load
from jobs.trainer.errors import Refused

folder = Path(sys.argv[1])
try:
    smaller = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    found = Probe(load(folder / "solver.prototxt", native.protos()), folder, None, smaller).result()
    print(found.fixed if smaller else (found.outputs, [labels[1].classes for labels in found.labels]))
except Refused as error:
    print(error)
"""


def write(folder: Path, **parts: str) -> None:
    given = {**dict.fromkeys(("solver", "net", "data", "ip1", "drop", "ip2", "loss"), ""), **parts}
    (folder / "solver.prototxt").write_text(SOLVER.format(**given))
    (folder / "net.prototxt").write_text(NET.format(**given))


@pytest.fixture
def step(caffe: Caffe, tmp_path: Path) -> Any:
    """Return the figures of one step of a tiny net with `parts` in their places."""

    def run(**parts: str) -> Any:
        write(tmp_path, **parts)
        return json.loads(caffe.result(STEP, str(tmp_path)))

    return run


def test_a_plain_step_moves_the_weights_and_not_the_data(step: Any) -> None:
    found = step()

    assert found["moved"] == {"ip1": True, "ip2": True}
    assert (found["data"], found["dropped"]) == (0, True)
    assert found["loss"] == pytest.approx(found["plain"])


def test_force_backward_computes_the_gradient_of_the_data(step: Any) -> None:
    assert step(net="force_backward: true")["data"] > 0


def test_propagate_down_stops_the_gradient_below(step: Any) -> None:
    assert step(ip2="propagate_down: false")["moved"] == {"ip1": False, "ip2": True}


def test_a_learning_rate_of_zero_keeps_a_layer(step: Any) -> None:
    assert step(ip1="param { lr_mult: 0 } param { lr_mult: 0 }")["moved"] == {"ip1": False, "ip2": True}


def test_a_layers_own_phase_goes_before_the_nets(step: Any) -> None:
    assert not step(drop="phase: TEST")["dropped"]


def test_the_loss_weight_counts_in_the_loss(step: Any) -> None:
    found = step(loss="loss_weight: 3")

    assert found["loss"] == pytest.approx(3 * found["plain"])


def test_blobs_in_a_prototxt_are_the_weights_to_start_from(step: Any) -> None:
    values = " ".join(f"data: {value}" for value in range(12))
    bias = "blobs { shape { dim: 3 } data: 0 data: 0 data: 0 }"

    found = step(ip1=f"blobs {{ shape {{ dim: 3 dim: 4 }} {values} }} {bias}")

    assert found["ip1"] == list(range(12))


def test_debug_info_changes_nothing(step: Any) -> None:
    assert step(net="debug_info: true") == step()


def test_each_test_net_has_the_layers_of_its_state_and_the_weights_of_training(step: Any) -> None:
    found = step(
        solver='test_iter: 1 test_iter: 1 test_interval: 1 test_state {} test_state { stage: "accuracy" }'
    )

    first, second = found["scores"]
    assert (sorted(first), sorted(second)) == (["loss"], ["accuracy", "loss"])
    assert first["loss"] == second["loss"]


def test_the_loss_of_a_batch_counts_each_top_with_its_weight(step: Any) -> None:
    found = step(loss="loss_weight: 3")

    assert found["totals"][0] == pytest.approx(3 * found["scores"][0]["loss"][0])


def test_the_loss_of_a_batch_is_that_of_its_layer_also_where_another_one_changes_the_top(
    caffe: Caffe, tmp_path: Path
) -> None:
    write(tmp_path)
    twice = 'layer { name: "twice" type: "Power" bottom: "loss" top: "loss" power_param { scale: 2 } }'
    net = tmp_path / "net.prototxt"
    net.write_text(net.read_text() + twice)

    found = json.loads(caffe.result(STEP, str(tmp_path)))

    assert found["totals"][0] == pytest.approx(found["scores"][0]["loss"][0] / 2)


def test_accuracies_by_class_are_the_whole_batchs_though_they_are_as_many_as_samples(
    caffe: Caffe, tmp_path: Path
) -> None:
    write(tmp_path, solver='test_iter: 1 test_interval: 1 test_state { stage: "accuracy" }')
    net = tmp_path / "net.prototxt"
    net.write_text(net.read_text().replace('top: "accuracy"', 'top: "accuracy" top: "by_class"'))

    (scores,) = json.loads(caffe.result(STEP, str(tmp_path)))["scores"]

    assert len(scores["by_class"]) == 2
    assert sum(scores["by_class"]) / 2 == pytest.approx(scores["accuracy"][0])


def test_the_probe_builds_every_test_net(caffe: Caffe, tmp_path: Path) -> None:
    write(tmp_path, solver="test_iter: 1 test_iter: 1 test_interval: 1")

    assert caffe.result(PROBE, str(tmp_path)) == "(('loss',), [2, 2, 2])"


def test_layers_of_one_name_are_refused_where_both_have_weights(caffe: Caffe, tmp_path: Path) -> None:
    write(tmp_path)
    net = tmp_path / "net.prototxt"
    text = net.read_text()

    net.write_text(text.replace('name: "ip2"', 'name: "ip1"'))
    assert "several layers with weights have one name (ip1)" in caffe.result(PROBE, str(tmp_path))
    net.write_text(text.replace('name: "drop"', 'name: "ip1"'))
    assert caffe.result(PROBE, str(tmp_path)) == "(('loss',), [2, 2])"


@pytest.mark.parametrize(
    ("dims", "fixed"),
    [
        ("dim: 0 dim: -1", ""),
        ("dim: -1 dim: 3", ""),
        ("dim: 2 dim: 3", "output count must match input count"),
        ("dim: 2 dim: -1", "must be divisible"),
        ("dim: 6", "output count must match input count"),
    ],
)
def test_the_probe_tells_a_net_that_takes_its_own_batch_alone(
    caffe: Caffe, tmp_path: Path, dims: str, fixed: str
) -> None:
    write(tmp_path)
    net = tmp_path / "net.prototxt"
    shape = f'type: "Reshape" bottom: "ip1" top: "shaped" reshape_param {{ shape {{ {dims} }} }}'
    net.write_text(net.read_text() + f'layer {{ name: "shaped" {shape} }}')

    said = caffe.result(PROBE, str(tmp_path), "1")

    assert fixed in said if fixed else said == ""


def test_a_row_of_half_a_sample_is_told_though_caffe_takes_it(caffe: Caffe, tmp_path: Path) -> None:
    write(tmp_path)
    net = tmp_path / "net.prototxt"
    shape = 'type: "Reshape" bottom: "ip2" top: "shaped" reshape_param { shape { dim: 2 dim: -1 } }'
    net.write_text(net.read_text() + f'layer {{ name: "shaped" {shape} }}')

    assert caffe.result(PROBE, str(tmp_path), "1") == 'its blob "shaped" becomes 2x1'

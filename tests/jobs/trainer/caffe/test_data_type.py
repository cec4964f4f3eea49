"""Nets with Caffe's own type Data: accepted, and the same as their twins with MemoryData."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format

from jobs.trainer.caffe.datalayer import TOLD
from jobs.trainer.caffe.prototxt import TrainingJob, load, with_shapes
from jobs.trainer.errors import Refused
from tests.jobs.trainer.artefact import Caffe
from tests.jobs.trainer.caffe.test_exact import DATABASE, RUN
from tests.jobs.trainer.caffe.test_feed import GREY_PNG

SOLVER = """
net: "net.prototxt" base_lr: 0.01 lr_policy: "fixed" momentum: 0.9 max_iter: 6 snapshot_prefix: "s"
random_seed: 7 display: 0 test_iter: 1 test_interval: 1 solver_mode: CPU
"""
NET = """
name: "small"
layer {{
  name: "data" {train} transform_param {{ scale: 0.00390625 {transform} }} include {{ phase: TRAIN }}
}}
layer {{
  name: "data" {test} transform_param {{ scale: 0.00390625 {transform} }} include {{ phase: TEST }}
}}
layer {{
  name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param {{ num_output: 4 weight_filler {{ type: "xavier" }} }}
}}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }}
"""
TOPS = 'top: "data" top: "label"'
DATA = 'type: "Data" {tops} data_param {{ source: "{source}" batch_size: {batch} backend: LMDB {more} }}'
MEMORY = """
type: "MemoryData" {tops} source_class: "com.yahoo.ml.caffe.LMDB"
memory_data_param {{ source: "{source}" batch_size: {batch} channels: {c} height: {h} width: {w} }}
"""


def write(folder: Path, layer: str, **given: Any) -> Path:
    """Write a solver and its net, both of whose data layers are of the kind `layer`; return the solver."""
    filled = {"source": "examples/lmdb", "more": "", "transform": "", "tops": TOPS, **given}
    layers = {phase: layer.format(batch=batch, **filled) for phase, batch in (("train", 5), ("test", 2))}
    folder.mkdir(exist_ok=True)
    (folder / "net.prototxt").write_text(NET.format(**layers, **filled))
    (folder / "solver-1.prototxt").write_text(SOLVER)
    return folder / "solver-1.prototxt"


def loaded(folder: Path, pb: Any, layer: str = DATA, **given: Any) -> TrainingJob:
    return load(write(folder, layer, **given), pb)


def test_the_first_records_tell_the_shapes_of_the_inputs(tmp_path: Path, pb: Any) -> None:
    job = loaded(tmp_path, pb)
    assert (job.train.shape, job.train.uri, job.train.batch) == (TOLD, "examples/lmdb", 5)

    read = with_shapes(job, {"TRAIN": (3, 8, 9), "TEST": (3, 8, 9)}, pb)

    assert read == loaded(tmp_path, pb, MEMORY, c=3, h=8, w=9)


def test_inputs_have_the_size_of_the_crop(tmp_path: Path, pb: Any) -> None:
    crop = {"transform": "crop_size: 6 mirror: true"}

    read = with_shapes(loaded(tmp_path, pb, **crop), {"TRAIN": (3, 8, 9), "TEST": (3, 7, 7)}, pb)

    assert read == loaded(tmp_path, pb, MEMORY, c=3, h=6, w=6, **crop)


def test_a_net_whose_source_is_not_read_keeps_no_shape(tmp_path: Path, pb: Any) -> None:
    read = with_shapes(loaded(tmp_path, pb), {"TEST": (1, 2, 2)}, pb)

    assert (read.train.shape, read.tests[0].data.shape) == (TOLD, (1, 2, 2))


def test_each_of_several_test_nets_has_the_shape_of_its_own_records(tmp_path: Path, pb: Any) -> None:
    solver = write(tmp_path, DATA)
    solver.write_text(solver.read_text().replace("test_iter: 1", "test_iter: 1 test_iter: 1"))

    read = with_shapes(load(solver, pb), {"TEST#0": (1, 2, 2), "TEST#1": (3, 4, 4)}, pb)

    assert [test.data.shape for test in read.tests] == [(1, 2, 2), (3, 4, 4)]
    inputs = [text_format.Parse(test.net, pb.NetParameter()).layer[0].input_param for test in read.tests]
    assert [list(one.shape[0].dim) for one in inputs] == [[2, 1, 2, 2], [2, 3, 4, 4]]


def test_a_shape_of_the_prototxt_is_not_changed_by_records(tmp_path: Path, pb: Any) -> None:
    job = loaded(tmp_path, pb, MEMORY, c=3, h=6, w=6)

    assert with_shapes(job, {"TRAIN": (1, 2, 2)}, pb) == job


def test_labels_that_the_layer_does_not_give_are_no_output_of_the_net(tmp_path: Path, pb: Any) -> None:
    job = loaded(tmp_path, pb, tops='top: "data"')
    layers = text_format.Parse(job.train_net, pb.NetParameter()).layer

    assert job.train.tops == ("data", "data_label")
    assert list(layers[0].top) == ["data", "data_label"]
    assert (layers[-1].type, list(layers[-1].bottom), list(layers[-1].top)) == ("Silence", ["data_label"], [])


def test_the_environment_sets_source_and_batch(tmp_path: Path, pb: Any) -> None:
    over = {"batch": "16", "train_source": "s3a://b/train", "test_source": "s3a://b/test"}

    job = load(write(tmp_path, DATA), pb, over)

    assert (job.train.batch, job.train.uri, job.tests[0].data.uri) == (16, "s3a://b/train", "s3a://b/test")


def test_reading_ahead_needs_no_setting_and_colour_may_be_forced(tmp_path: Path, pb: Any) -> None:
    plain = loaded(tmp_path, pb)
    more = loaded(tmp_path, pb, more="prefetch: 9 force_encoded_color: true")

    assert more.train_net == plain.train_net
    assert (plain.train.transform.force_color, more.train.transform.force_color) == (False, True)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('type: "Data"', 'type: "Data" source_class: "org.example.Source"', "type Data reads an LMDB alone"),
        ("backend: LMDB", "backend: LMDB rand_skip: 3", "rand_skip of TRAIN layer"),
        ("backend: LMDB", "backend: LEVELDB", "only LMDB is read. Convert the data again with -backend lmdb"),
        ("backend: LMDB", "", "Add `backend: LMDB` where the source is one"),
        (TOPS, f'{TOPS} top: "more"', "it has 3 tops"),
    ],
)
def test_what_a_data_layer_cannot_have_is_refused(
    tmp_path: Path, pb: Any, old: str, new: str, words: str
) -> None:
    solver = write(tmp_path, DATA)
    net = tmp_path / "net.prototxt"
    net.write_text(net.read_text().replace(old, new, 1))

    with pytest.raises(Refused) as refused:
        load(solver, pb)

    assert words in str(refused.value)
    assert "faults" not in str(refused.value)


def test_leveldb_is_refused_beside_other_faults(tmp_path: Path, pb: Any) -> None:
    solver = write(tmp_path, DATA.replace("backend: LMDB", ""), source="")

    with pytest.raises(Refused) as refused:
        load(solver, pb)

    said = str(refused.value)
    assert said.count("has no backend") == said.count("it has no source") == 2, "of both phases"


def test_a_net_of_dummy_data_is_refused_by_its_type(tmp_path: Path, pb: Any) -> None:
    with pytest.raises(Refused, match=r"not those of DummyData\. Write its records to an LMDB"):
        loaded(tmp_path, pb, 'type: "DummyData" {tops}')


DISTRIBUTED = """
from contextlib import nullcontext
from types import SimpleNamespace
from jobs.trainer import preparation
from jobs.trainer.caffe import native, prototxt
from jobs.trainer.caffe.probe import Probe
from jobs.trainer.conversion import Conversions
from jobs.trainer.running import RunningJob

class Told(list):
    add = list.append

nodes = SimpleNamespace(add=lambda uri, folder: uri)

def distributed(path, pb, folder):
    running = object.__new__(RunningJob)
    running.job, running.datum, running.folder = prototxt.load(path, pb), pb.Datum, folder
    running.size = running.ranks = 1
    running.options = SimpleNamespace(train=True, test=False, scores=False, columns=())
    running.journal = Told()
    running.executors = SimpleNamespace(launching=lambda _: nullcontext())
    running.data = Conversions(None, None, nodes, folder, running.journal, pb.Datum)
    preparation._checked(running, Probe(running.job, folder))
    told, _ = preparation._distribute_sources(running)
    if told:
        preparation._checked(running, Probe(running.job, folder))
    return running

import sys
from pathlib import Path
probed = Path(sys.argv[2]) / "probed"
probed.mkdir(parents=True)
load = lambda path, pb: distributed(path, pb, probed).job
"""
ON_THE_CLUSTER = DISTRIBUTED + RUN.replace("from jobs.trainer.caffe.prototxt import load\n", "").replace(
    'tests=("",)', "tests=tuple(test.data.uri for test in job.tests)"
)
GREYS = f"""
import sys
import lmdb
from jobs.trainer.caffe import native
with lmdb.open(sys.argv[1], map_size=1 << 24) as env, env.begin(write=True) as transaction:
    for number in range(9):
        one = native.protos().Datum(label=number % 4, encoded=True, data=bytes.fromhex("{GREY_PNG}"))
        transaction.put(b"%d" % number, one.SerializeToString())
print("made")
"""


@pytest.mark.parametrize(
    ("database", "shape", "transform"),
    [
        (DATABASE, (1, 8, 8), ""),
        (DATABASE, (1, 6, 6), "crop_size: 6 mirror: true mean_value: 7"),
        (GREYS, (1, 2, 2), ""),
        (GREYS, (3, 2, 2), "force_color: true"),
    ],
    ids=["raw", "cropped", "encoded", "encoded, forced to colour"],
)
def test_a_net_trains_to_the_weights_of_its_twin(
    caffe: Caffe, tmp_path: Path, database: str, shape: tuple[int, int, int], transform: str
) -> None:
    caffe.result(database, str(tmp_path / "lmdb"))
    given = {"source": f"file:{tmp_path}/lmdb", "transform": transform}
    channels, height, width = shape
    write(tmp_path / "data", DATA, **given)
    write(tmp_path / "memory", MEMORY, **given, c=channels, h=height, w=width)

    models = [
        json.loads(caffe.result(ON_THE_CLUSTER, str(tmp_path / kind), str(tmp_path / kind / "out"), ""))
        for kind in ("data", "memory")
    ]

    assert models[0] == models[1]


def test_an_autoencoder_trains_from_a_layer_without_labels(caffe: Caffe, tmp_path: Path) -> None:
    caffe.result(DATABASE, str(tmp_path / "lmdb"))
    write(tmp_path, DATA, source=f"file:{tmp_path}/lmdb", tops='top: "data"')
    net = tmp_path / "net.prototxt"
    loss = 'type: "EuclideanLoss" bottom: "ip" bottom: "data"'
    text = net.read_text().replace('type: "SoftmaxWithLoss" bottom: "ip" bottom: "label"', loss)
    net.write_text(text.replace("num_output: 4", "num_output: 64"))

    assert json.loads(caffe.result(ON_THE_CLUSTER, str(tmp_path), str(tmp_path / "out"), ""))["m.caffemodel"]


def test_the_shape_is_that_of_caffes_own_layer(caffe: Caffe, tmp_path: Path) -> None:
    """Of encoded records, whose sizes only their images have."""
    program = """
import sys
from pathlib import Path
from jobs.trainer.caffe import native
from jobs.trainer.caffe.feed import record_shape
from jobs.trainer.caffe.prototxt import load
from jobs.trainer.sources.lmdb import Lmdb

folder = Path(sys.argv[1])
caffe, pb = native.load(), native.protos()
own = caffe.Net(str(folder / "net.prototxt"), caffe.TRAIN).blobs["data"].shape
layer = load(folder / "solver-1.prototxt", pb).train
print(list(own)[1:], list(record_shape(layer, Lmdb(folder / "lmdb", pb.Datum))))
"""
    caffe.result(GREYS, str(tmp_path / "lmdb"))
    write(tmp_path, DATA, source=str(tmp_path / "lmdb"), transform="force_color: true")

    assert caffe.result(program, str(tmp_path)) == "[3, 2, 2] [3, 2, 2]"


def test_a_net_without_a_shape_is_not_built(caffe: Caffe, tmp_path: Path) -> None:
    """That of TRAIN, whose source scoring does not read."""
    program = """
import sys
from pathlib import Path
from jobs.trainer.caffe import native
from jobs.trainer.caffe.probe import Probe
from jobs.trainer.caffe.prototxt import load, with_shapes

folder, pb = Path(sys.argv[1]), native.protos()
job = load(folder / "solver-1.prototxt", pb)
before = Probe(job, folder).result()
after = Probe(with_shapes(job, {"TEST": (1, 2, 2)}, pb), folder).result()
labels = [[top.classes for top in tops] for tops in after.labels]
print(before.blobs, after.blobs["data"], after.outputs, labels)
"""
    write(tmp_path, DATA)

    assert caffe.result(program, str(tmp_path)) == "{} (2, 1, 2, 2) ('loss',) [[], [0, 4]]"

"""Nets with a CoSData layer, trained and scored by Caffe itself from the rows of a frame."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.trainer.artefact import Caffe
from tests.jobs.trainer.caffe.test_data_type import DISTRIBUTED
from tests.jobs.trainer.caffe.test_exact import RUN
from tests.jobs.trainer.caffe.test_feed import GREY_PNG

SOLVER = """
net: "net.prototxt" base_lr: 0.01 lr_policy: "fixed" momentum: 0.9 max_iter: 6 snapshot: 2
snapshot_prefix: "s" random_seed: 7 display: 0 test_iter: 2 test_interval: 2 solver_mode: CPU
"""
COLUMNS = """
layer {{
  name: "data" type: "CoSData" top: "data" top: "label" include {{ phase: {phase} }}
  source_class: "com.yahoo.ml.caffe.DataFrameSource"
  cos_data_param {{
    source: "file:/{phase}" batch_size: {batch}
    top {{
      name: "pixels" type: RAW_IMAGE channels: 3 height: 8 width: 8 out_height: 6 out_width: 6
      transform_param {{ {transform} }}
    }}
    top {{ name: "class" type: STRING sample_num_axes: 0 }}
  }}
}}
"""
MEMORY = """
layer {{
  name: "data" type: "MemoryData" top: "data" top: "label" include {{ phase: {phase} }}
  source_class: "com.yahoo.ml.caffe.ImageDataFrame" transform_param {{ {transform} }}
  memory_data_param {{
    source: "file:/{phase}" batch_size: {batch} channels: 3 height: 6 width: 6
    dataframe_column_select: "id" dataframe_column_select: "class as label"
    dataframe_column_select: "pixels as data" dataframe_column_select: "3 as channels"
    dataframe_column_select: "8 as height" dataframe_column_select: "8 as width"
  }}
}}
"""
REST = """
layer { name: "drop" type: "Dropout" bottom: "data" top: "dropped" }
layer {
  name: "ip" type: "InnerProduct" bottom: "dropped" top: "ip"
  inner_product_param { num_output: 4 weight_filler { type: "xavier" } }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""
CAPTIONS = """
layer {{
  name: "data" type: "CoSData" top: "data" top: "cont" top: "input" top: "target"
  source_class: "com.yahoo.ml.caffe.DataFrameSource" include {{ phase: {phase} }}
  cos_data_param {{
    source: "file:/{phase}" batch_size: {batch}
    top {{ name: "image" type: ENCODED_IMAGE_WITH_DIM channels: 1 height: 2 width: 2
      transform_param {{ scale: 0.01 }} }}
    top {{ name: "cont" type: INT_ARRAY channels: 3 sample_num_axes: 1 transpose: true }}
    top {{ name: "input" type: INT_ARRAY channels: 3 sample_num_axes: 1 transpose: true }}
    top {{ name: "target" type: INT_ARRAY channels: 3 sample_num_axes: 1 transpose: true }}
  }}
}}
"""
LSTM = """
layer {
  name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
  inner_product_param { num_output: 5 weight_filler { type: "xavier" } }
}
layer {
  name: "embedding" type: "Embed" bottom: "input" top: "embedded"
  embed_param { bias_term: false input_dim: 7 num_output: 4 weight_filler { type: "uniform" min: -1 max: 1 } }
}
layer {
  name: "lstm" type: "LSTM" bottom: "embedded" bottom: "cont" bottom: "fc" top: "lstm"
  recurrent_param { num_output: 6 weight_filler { type: "uniform" min: -1 max: 1 } }
}
layer {
  name: "predict" type: "InnerProduct" bottom: "lstm" top: "predict"
  inner_product_param { num_output: 7 axis: 2 weight_filler { type: "xavier" } }
}
layer {
  name: "loss" type: "SoftmaxWithLoss" bottom: "predict" bottom: "target" top: "loss"
  loss_param { ignore_label: -1 } softmax_param { axis: 2 }
}
"""
CONVERTED = (
    DISTRIBUTED
    + f"""
from jobs.trainer.sources import reading

PNG = bytes.fromhex("{GREY_PNG}")

class Nodes:
    def add_database(self, file):
        return "file:" + str(file.parent)

    def add_databases(self, files):
        folder = files[0].parent.with_name(files[0].parent.name + "-columns")
        folder.mkdir()
        for number, file in enumerate(files):
            (folder / str(number)).symlink_to(file.parent)
        return "file:" + str(folder)

def load(path, pb):
    running = distributed(path, pb, probed)
    tests = [running.data.name(test.data) for test in running.job.tests]
    return prototxt.with_sources(running.job, running.data.name(running.job.train), tests)

nodes = Nodes()
reading.rows = lambda spark, uri, how: (NAMES, iter(ROWS))
"""
)
"""Sources as the driver distributes them, of the rows ROWS with the columns NAMES."""
PIXELS = """
import random
random.seed(3)
NAMES = ["class", "id", "pixels"]
ROWS = []
for number in range(41):
    pixels = bytes(random.randrange(256) for _ in range(192))
    ROWS.append((str(pixels[0] % 4), "r%d" % number, pixels))
"""
WORDS = """
NAMES = ["id", "image", "cont", "input", "target"]
ROWS = [
    ("r%d" % number, {"height": 2, "width": 2, "image": PNG}, [0, 1, 1],
     [number % 7, 2, 3], [2, number % 7, -1])
    for number in range(11)
]
"""
TRAIN = RUN.replace("from jobs.trainer.caffe.prototxt import load\n", "").replace(
    'tests=("",)', "tests=tuple(test.data.uri for test in job.tests)"
)
SCORE = """
import json
from jobs.trainer.ranks import score
path = Path(sys.argv[1])
job = load(path / "solver-1.prototxt", native.protos())
columns = tuple(sys.argv[3].split(","))
net = native.load().Net(job_net(job), native.load().TEST)
model = path / "scored.caffemodel"
net.save(str(model))
plan = score.ScorePlan(job, 1, None, job.tests[0].data.uri, "file:{}".format(model), columns, ())
rows = []
for ids, values in score._batches(plan, 0):
    rows += zip(ids, *(values[name].tolist() for name in columns))
print(json.dumps(rows))
"""
PROBED = """
import sys, tempfile
from contextlib import closing
from pathlib import Path
from jobs.trainer import checks, cli
from jobs.trainer.caffe import native
from jobs.trainer.caffe.probe import Probe
from jobs.trainer.caffe.prototxt import load
from jobs.trainer.errors import Refused

options = cli.parse(["-conf", "s", "-model", "m", *sys.argv[2].split()])
job = load(Path(sys.argv[1]) / "solver-1.prototxt", native.protos())
with tempfile.TemporaryDirectory() as folder:
    try:
        with closing(Probe(job, Path(folder), checks.evaluated(options, job))) as probe:
            checks.nets(options, job, probe.result())
        print("passed")
    except Refused as error:
        print(error)
"""
NET_FILE = """
def job_net(job):
    file = Path(sys.argv[2]) / "scored.prototxt"
    file.write_text(job.tests[0].net)
    return str(file)
"""


def write(folder: Path, layer: str, rest: str = REST, **given: Any) -> Path:
    filled = {"transform": "crop_size: 6 mirror: true scale: 0.004", **given}
    phases = (("TRAIN", 5), ("TEST", 2))
    layers = [layer.format(phase=phase, batch=batch, **filled) for phase, batch in phases]
    folder.mkdir(exist_ok=True)
    (folder / "net.prototxt").write_text("".join([*layers, rest]))
    (folder / "solver-1.prototxt").write_text(SOLVER)
    return folder


def trained(caffe: Caffe, folder: Path, rows: str, out: str = "out", snapshot: str = "") -> dict[str, str]:
    found: dict[str, str] = json.loads(
        caffe.result(CONVERTED + rows + TRAIN, str(folder), str(folder / out), snapshot)
    )
    return found


def test_a_net_trains_to_the_weights_of_its_twin_with_images_and_labels(caffe: Caffe, tmp_path: Path) -> None:
    folders = [write(tmp_path / "columns", COLUMNS), write(tmp_path / "memory", MEMORY)]
    # The twin's frame as its dataframe_column_select makes it.
    twin = (
        PIXELS
        + """
NAMES = ["label", "id", "data", "channels", "height", "width"]
ROWS = [(*row, 3, 8, 8) for row in ROWS]
"""
    )

    models = [trained(caffe, folders[0], PIXELS), trained(caffe, folders[1], twin)]

    assert models[0] == models[1]
    assert len(models[0]) > 3


def test_a_run_that_is_resumed_ends_with_the_bits_of_one_that_ran_through(
    caffe: Caffe, tmp_path: Path
) -> None:
    folder = write(tmp_path / "columns", COLUMNS)
    through = trained(caffe, folder, PIXELS)

    resumed = trained(caffe, folder, PIXELS, "resumed", str(folder / "out/s_iter_2"))

    assert resumed["m.caffemodel"] == through["m.caffemodel"]


def test_captions_train_an_lstm_over_time(caffe: Caffe, tmp_path: Path) -> None:
    folder = write(tmp_path / "captions", CAPTIONS, LSTM)

    assert trained(caffe, folder, WORDS)["m.caffemodel"]


def test_each_sample_is_scored_with_its_own_values_also_in_a_last_small_batch(
    caffe: Caffe, tmp_path: Path
) -> None:
    folder = write(tmp_path / "captions", CAPTIONS, LSTM)
    program = CONVERTED + WORDS + NET_FILE + SCORE

    rows = json.loads(
        caffe.result(program, str(folder), str(folder / "out"), "input,target,data,predict,loss")
    )

    assert [row[0] for row in rows] == [f"r{number}" for number in range(11)]
    assert [row[1] for row in rows] == [[number % 7, 2, 3] for number in range(11)]
    assert [row[2] for row in rows] == [[2, number % 7, -1] for number in range(11)]
    assert rows[0][3] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    # All samples have one image and one second word, and no memory of others.
    predicted = [row[4] for row in rows]
    assert [len(one) for one in predicted] == [21] * 11
    assert predicted[0] != predicted[1]
    assert [len(row[5]) for row in rows] == [1] * 11


def test_values_of_a_blob_that_merges_time_and_batch_are_refused(caffe: Caffe, tmp_path: Path) -> None:
    merged = """
        layer { name: "merged" type: "Reshape" bottom: "predict" top: "merged"
          reshape_param { shape { dim: -1 dim: 7 } } }
    """
    folder = write(tmp_path / "captions", CAPTIONS, LSTM + merged)

    said = caffe.result(PROBED, str(folder), "-features merged")

    assert said.startswith("-features or -label: merged: its shape 6x7 has no axis of the batch")


def test_an_output_that_merges_time_and_batch_is_refused_before_training(
    caffe: Caffe, tmp_path: Path
) -> None:
    merged = """
        layer { name: "merged" type: "Reshape" bottom: "predict" top: "merged" include { phase: TEST }
          reshape_param { shape { dim: -1 dim: 7 } } }
    """
    folder = write(tmp_path / "captions", CAPTIONS, LSTM + merged)

    for line in ("-train", "-train -test", "-test"):
        said = caffe.result(PROBED, str(folder), line)
        assert said.startswith("the TEST net's output merged: its shape 6x7 has no axis of the batch")
    assert caffe.result(PROBED, str(folder), "-features predict") == "passed"


def test_a_net_of_captions_with_a_fixed_batch_is_refused_where_ranks_would_abort(
    caffe: Caffe, tmp_path: Path
) -> None:
    fixed = """
        layer { name: "fixed" type: "Reshape" bottom: "predict" top: "fixed" include { phase: TEST }
          reshape_param { shape { dim: 3 dim: 2 dim: 7 } } }
    """
    folder = write(tmp_path / "captions", CAPTIONS, LSTM + fixed)

    said = caffe.result(PROBED, str(folder), "-train")

    assert said.startswith("the TEST net: it takes batches of 2 samples alone")
    assert "output count must match input count" in said
    unvalidated = folder / "solver-1.prototxt"
    unvalidated.write_text(SOLVER.replace("test_iter: 2 test_interval: 2", ""))
    assert caffe.result(PROBED, str(folder), "-train") == "passed"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (
            "[0, 1, 1], [7, 0, 0], [0, 0, 0]",
            'column "input", of the TRAIN source: its label is 7, and the net',
        ),
        (
            "[0, 1, 1], [0, 0, 0], [0, -2, 0]",
            'column "target", of the TRAIN source: its label is -2, and the',
        ),
        ("[0, 1, 1], [0, 0], [-1]", ""),
    ],
)
def test_words_beyond_the_vocabulary_are_named_with_their_record(
    caffe: Caffe, tmp_path: Path, row: str, words: str
) -> None:
    folder = write(tmp_path / "captions", CAPTIONS, LSTM)
    bad = WORDS + f'\nROWS.append(("bad", {{"image": PNG, "height": 2, "width": 2}}, {row}))\n'

    done = caffe.run(CONVERTED + bad + TRAIN, str(folder), str(folder / "out"), "")

    if not words:
        assert done.returncode == 0, done.stderr
        return
    assert f"record 0000000011/bad, {words}" in done.stderr.splitlines()[-1]


def test_columns_stay_side_by_side_whatever_rank_reads_them(caffe: Caffe, tmp_path: Path) -> None:
    program = """
import json
import numpy as np
from jobs.trainer.caffe.feed import Feed
from jobs.trainer.sources.registry import open_source
from jobs.trainer.sources.shards import Request
job = load(Path(sys.argv[1]) / "solver-1.prototxt", native.protos())
layer = job.train
feed = Feed(layer, open_source(layer.source_class, Path(layer.uri[5:]), native.protos().Datum))
feed.ask([Request(1, 3, 2), Request(6, 3, 2)])
found = []
for _ in range(2):
    arrays = [np.zeros(dims, np.float32) for dims in layer.dims(3).values()]
    ids = feed.take(*arrays)
    found.append([ids, arrays[2].tolist(), arrays[3].tolist()])
feed.close()
print(json.dumps(found))
"""
    folder = write(tmp_path / "captions", CAPTIONS, LSTM)

    found = json.loads(caffe.result(CONVERTED + WORDS + program, str(folder), str(folder / "out")))

    for (ids, inputs, targets), records in zip(found, ([1, 3, 5], [6, 8, 10]), strict=True):
        assert ids == [f"{number:010d}/r{number}" for number in records]
        assert inputs == [[number % 7 for number in records], [2, 2, 2], [3, 3, 3]], "time by time"
        assert targets == [[2, 2, 2], [number % 7 for number in records], [-1, -1, -1]]

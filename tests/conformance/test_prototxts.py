"""Table of published prototxts, over two tiny trees."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from jobs.trainer.caffe.prototxt import load
from jobs.trainer.errors import Refusals, Refused
from jobs.trainer.sources.lmdb import Lmdb
from jobs.trainer.sources.parallel import ParallelLmdbs
from tests.conformance import port, prototxts
from tests.conformance.given import net_of, read, solver_of
from tests.conformance.trial import Trial, judge, ported, words
from tests.jobs.trainer.artefact import Caffe

IP = """
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
"""
LOSS = IP + 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }'
FIRST = {
    "examples/mnist/solver.prototxt": """
        net: "examples/mnist/net.prototxt" base_lr: 0.01 lr_policy: "fixed" max_iter: 9 display: 1
        test_iter: 100 test_interval: 500 weights: "m.caffemodel"
    """,
    "examples/mnist/net.prototxt": """
        layer { name: "data" type: "Data" top: "data" top: "label" transform_param { mean_file: "m" }
          data_param { source: "mnist_lmdb" batch_size: 3 backend: LMDB } }
    """
    + LOSS,
    "models/deploy.prototxt": 'layer { type: "Input" top: "data" input_param { shape { dim: 1 dim: 4 } } }'
    + IP,
    "models/broken.prototxt": "layer {",
    "models/dummy.prototxt": """
        layer { type: "DummyData" top: "data" top: "label"
          dummy_data_param { shape { dim: 1 dim: 4 } shape { dim: 1 } } }
    """
    + LOSS,
}
SECOND = {
    "data/images.prototxt": """
        layer { name: "data" type: "ImageData" top: "data" top: "label"
          image_data_param { source: "list" batch_size: 50 new_height: 40 new_width: 40 } }
    """
    + LOSS,
    "data/cos.prototxt": """
        layer { name: "data" type: "CoSData" top: "data" top: "label"
          source_class: "com.yahoo.ml.caffe.DataFrameSource" cos_data_param { source: "s" batch_size: 4
            top { name: "data" type: RAW_IMAGE channels: 1 height: 6 width: 6 transform_param { crop_size: 4 }
              out_height: 4 out_width: 4 out_channels: 1 }
            top { name: "label" channels: 1 height: 1 width: 1 } } }
    """
    + LOSS,
    "data/several.prototxt": """
        layer { name: "data" type: "Data" top: "data" top: "label" top: "more"
          data_param { source: "mnist_lmdb" batch_size: 3 backend: LMDB } }
    """
    + LOSS,
    "data/wide.prototxt": """
        layer { name: "data" type: "MemoryData" top: "data" top: "label"
          source_class: "com.yahoo.ml.caffe.LMDB" memory_data_param { source: "s" batch_size: 2 channels: 1
          height: 3 width: 3 } }
        layer { name: "conv" type: "Convolution" bottom: "data" top: "ip"
          convolution_param { num_output: 2 kernel_size: 9 } }
        layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
    """,
}


@pytest.fixture
def trees(tmp_path: Path) -> list[Path]:
    """Return the folders of two trees."""
    for name, files in (("first", FIRST), ("second", SECOND)):
        for file, text in files.items():
            path = tmp_path / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return [tmp_path / "first", tmp_path / "second"]


def prepared(tree: Path, name: str, folder: Path, pb: Any) -> tuple[str, Path, list[str]]:
    """Return what the checks say of a file, and its port."""
    file = tree / name
    solver = solver_of(file, pb)
    given = net_of(file, pb) if solver is None else read(tree, file, solver, pb)
    judged = judge(given, folder / "as-it-is", pb)
    return (judged, *ported(given, folder, name, pb))


def test_a_net_of_an_lmdb_is_accepted_as_it_is_and_reads_random_records(
    trees: list[Path], tmp_path: Path, pb: Any
) -> None:
    judged, path, notes = prepared(trees[0], "examples/mnist/net.prototxt", tmp_path, pb)

    train = load(path, pb).train
    assert (judged, notes, train.batch) == ("accepted", [], 3)
    with closing(Lmdb(Path(train.uri[5:]), pb.Datum)) as source:
        assert (len(source), source.shape()) == (port.RECORDS, (1, 28, 28))
    mean = train.transform.mean
    assert mean is not None
    assert mean.shape == (1, 28, 28)


def test_a_solver_keeps_its_settings_for_three_steps_on_the_cpu(
    trees: list[Path], tmp_path: Path, pb: Any
) -> None:
    judged, path, notes = prepared(trees[0], "examples/mnist/solver.prototxt", tmp_path, pb)

    job = load(path, pb)
    assert (judged, notes) == ("refused: solver_mode: GPU", ["solver_mode: CPU"])
    assert (job.max_iter, job.tests[0].test_iter, job.test_interval, job.weights) == (3, 1, 500, ())
    assert job.rate.base == pytest.approx(0.01)


def test_images_are_ported_to_an_lmdb_of_their_size(trees: list[Path], tmp_path: Path, pb: Any) -> None:
    judged, path, notes = prepared(trees[1], "data/images.prototxt", tmp_path, pb)

    train = load(path, pb).train
    assert judged.startswith("refused: TRAIN layer")
    assert "not those of ImageData" in judged
    assert judged.endswith("(2 faults)")
    assert (notes, train.batch, train.shape) == (["batch 2", "ported"], 2, (3, 40, 40))


def test_what_is_no_batch_of_labelled_images_is_not_ported(
    trees: list[Path], tmp_path: Path, pb: Any
) -> None:
    with pytest.raises(port.NotPortable, match="Data with 3 tops"):
        prepared(trees[1], "data/several.prototxt", tmp_path, pb)


def test_columns_stay_columns_of_random_records(trees: list[Path], tmp_path: Path, pb: Any) -> None:
    judged, path, notes = prepared(trees[1], "data/cos.prototxt", tmp_path, pb)

    train = load(path, pb).train
    assert (judged, notes, train.batch) == ("accepted", [], 4)
    with closing(ParallelLmdbs(Path(train.uri[5:]), pb.Datum)) as source:
        assert (len(source), len(source.paths)) == (port.RECORDS, 2)


def test_a_net_is_tried_in_the_states_of_the_solver_that_names_it(tmp_path: Path, pb: Any) -> None:
    (tmp_path / "net.prototxt").write_text('name: "n"')
    states = 'test_state { stage: "a" } test_state { stage: "b" }'
    (tmp_path / "solver.prototxt").write_text(f'net: "x/net.prototxt" test_iter: 5 test_iter: 6 {states}')

    solver = net_of(tmp_path / "net.prototxt", pb).solver

    assert [list(state.stage) for state in solver.test_state] == [["a"], ["b"]]
    assert (solver.net, list(solver.test_iter)) == ("net.prototxt", [5, 6])


def test_of_several_faults_the_table_has_the_first() -> None:
    found = Refusals("x")
    found.refuse("solver-type-twice", file="a")
    found.refuse("solver-type-twice", file="b")

    with pytest.raises(Refused) as refused:
        found.end()

    assert words(refused.value) == "refused: a: it has both type and solver_type (2 faults)"


def test_every_file_of_the_trees_has_a_row(caffe: Caffe, trees: list[Path]) -> None:
    found = {trial.path: trial for tree in trees for trial in prototxts.trials(caffe, tree)}

    def cells(name: str) -> tuple[str, str, str, str]:
        trial = found.pop(name)
        return trial.kind, ", ".join(trial.layers), trial.judged, trial.ran

    assert cells("examples/mnist/net.prototxt") == ("training net", "Data LMDB", "accepted", "runs")
    assert cells("examples/mnist/solver.prototxt") == (
        *("solver", "Data LMDB", "refused: solver_mode: GPU", "runs, solver_mode: CPU"),
    )
    assert cells("models/deploy.prototxt") == ("deploy net", "", "parses", "")
    assert cells("models/broken.prototxt")[::3] == ("not read", "")
    assert cells("models/dummy.prototxt")[3] == "not run: DummyData makes its own batches"
    *_, judged, ran = cells("data/images.prototxt")
    assert "not those of ImageData" in judged
    assert ran == "runs, batch 2, ported"
    assert cells("data/cos.prototxt")[1:] == ("CoSData DataFrameSource", "accepted", "runs")
    assert cells("data/several.prototxt")[3] == "not run: Data with 3 tops"
    assert cells("data/wide.prototxt")[2] == "accepted", "Caffe finds it"
    assert found == {}


def test_a_net_that_caffe_aborts_for_fails_in_its_words(caffe: Caffe, trees: list[Path]) -> None:
    trial = prototxts.tried(caffe, trees[1], trees[1] / "data/wide.prototxt")

    assert (trial.kind, trial.judged) == ("training net", "accepted")
    assert trial.ran.startswith("refused: the net: Caffe refuses it")


def test_a_row_stays_one_row() -> None:
    trial = Trial("a.prototxt", "solver", ["Data LMDB", "ImageData"], "refused: a\n|b", "runs")

    assert prototxts.row(trial) == (
        "| `a.prototxt` | solver | Data LMDB, ImageData | refused: a \\|b | runs |"
    )


def test_the_summary_counts_kinds_and_results() -> None:
    kinds = ["solver", "solver", "deploy net"]
    found = [
        Trial("x", kind, [], "", ran) for kind, ran in zip(kinds, ["runs, ported", "runs", ""], strict=True)
    ]

    assert prototxts.summary(found) == "3 files: 1 × deploy net, 2 × solver. Three steps: 2 × runs"

"""The examples, on a Spark of one executor and compiled Caffe: where the interpreter of Caffe has pyspark."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.jobs.specs import SPECS
from tests.jobs.trainer.artefact import Caffe

PROGRAM = """
import os, sys, lmdb, numpy
from pathlib import Path
folder, name, features = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
os.chdir(folder)
from jobs.trainer.caffe import native
datum = native.protos().Datum
random = numpy.random.RandomState(0)
digits = random.randint(0, 255, (10, 28, 28))
for phase, count in (("train", 1280), ("test", 250)):
    with lmdb.open(phase + "_lmdb", map_size=1 << 26) as env, env.begin(write=True) as writing:
        for i in range(count):
            image = (digits[i % 10] + random.randint(-60, 60, (28, 28))).clip(0, 255).astype(numpy.uint8)
            record = datum(channels=1, height=28, width=28, data=image.tobytes(), label=i % 10)
            writing.put(b"%08d" % i, record.SerializeToString())
words = ["-conf", "lenet_memory_solver.prototxt", "-model", str(folder / "m.model"), "-features", features,
         "-label", "label", "-output", str(folder / "out")]
os.environ["PYSPARK_PYTHON"] = sys.executable
from pyspark.sql import SparkSession
(SparkSession.builder.master("local[1]").config("spark.task.maxFailures", "1")
 .config("spark.stage.maxConsecutiveAttempts", "1").config("spark.ui.enabled", "false")
 .config("spark.driver.host", "127.0.0.1").config("spark.pythonargs", " ".join(words)).getOrCreate())
"""
EXAMPLE = """
from jobs.api import examples, script
code = script.main([str(Path(examples.__file__).with_name(name + ".py")), *words])
print()
print(code)
"""
TRAINED_AGAIN = """
from jobs.api import CaffeOnSpark, Config, DataSource
from pyspark import SparkContext
sc = SparkContext.getOrCreate()
config = Config(sc, words[:2] + ["-model", "file:" + words[3]] + words[4:])
cos = CaffeOnSpark(sc)
train, test = (DataSource(sc).getSource(config, training) for training in (True, False))
cos.train(train)
rows = cos.features(test).collect()
lazy = cos.features(test)
cos.train(train)
print()
print(lazy.collect() == rows, cos.features(test).collect() == rows)
"""


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """Prototxts of LeNet for 40 iterations on databases of this folder."""
    net, solver = ((SPECS / f"lenet_memory_{name}.prototxt").read_text() for name in ("train_test", "solver"))
    for phase in ("train", "test"):
        net = net.replace(f"hdfs:///data/mnist/{phase}_lmdb", f"file:{tmp_path}/{phase}_lmdb")
    for old, new in (
        ("2000", "40"),
        ("test_interval: 100", "test_interval: 20"),
        ("_iter: 10\n", "_iter: 2\n"),
    ):
        assert old in solver
        solver = solver.replace(old, new)
    (tmp_path / "lenet_memory_train_test.prototxt").write_text(net)
    (tmp_path / "lenet_memory_solver.prototxt").write_text(solver)
    return tmp_path


def require_spark(caffe: Caffe) -> None:
    if caffe.run("import pyspark").returncode or not caffe.result(
        "import shutil; print(shutil.which('java'))"
    ):
        pytest.skip("the interpreter of Caffe has no pyspark, or no Java")


@pytest.mark.parametrize(
    ("name", "features", "words"),
    [
        ("logistic_regression", "ip1", "logistic regression on ip1: "),
        ("train_then_predict", "ip2", " of 250 records right; predictions: "),
    ],
)
def test_an_example_trains_and_uses_what_it_has_trained(
    caffe: Caffe, job: Path, name: str, features: str, words: str
) -> None:
    require_spark(caffe)
    done = caffe.run(PROGRAM + EXAMPLE, str(job), name, features)
    assert done.stdout.splitlines()[-1:] == ["0"], done.stdout[-2000:] + done.stderr[-2000:]
    assert words in done.stdout


def test_a_frame_that_is_computed_after_another_training_has_the_model_of_its_call(
    caffe: Caffe, job: Path
) -> None:
    require_spark(caffe)
    done = caffe.run(PROGRAM + TRAINED_AGAIN, str(job), "", "ip2")
    assert done.stdout.splitlines()[-1:] == ["True False"], done.stdout[-2000:] + done.stderr[-2000:]

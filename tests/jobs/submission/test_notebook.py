"""Script of the notebook server."""

from __future__ import annotations

import json
import shlex
import subprocess

import pytest

from bootstrap.cluster import Cluster
from bootstrap.errors import ConfigError
from jobs.api import Config
from jobs.job import JobPlace
from jobs.run.notebook import EXAMPLES, require_servable
from jobs.submission.notebook import INSTALL, notebook_script, shipped
from jobs.submission.spark_submit import paired_options
from tests.jobs.specs import mnist_spec

PLACE = JobPlace("notebook", "/var/lib/caffe-spark/notebook", "hdfs://head:9000/jobs/notebook")


def exported(script: str) -> dict[str, str]:
    """Return the variables that a script exports as plain words."""
    lines = [
        shlex.split(line) for line in script.splitlines() if line.startswith("export ") and "$" not in line
    ]
    return dict(words[1].split("=", 1) for words in lines)


def test_the_script_and_the_installation_are_valid_shell(cluster: Cluster) -> None:
    for script in (notebook_script(mnist_spec(), cluster, PLACE, ["-conf", "s"]), INSTALL):
        done = subprocess.run(["sh", "-n"], input=script, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_a_notebooks_session_has_the_settings_and_files_of_a_job(cluster: Cluster) -> None:
    words = shlex.split(
        exported(notebook_script(mnist_spec(), cluster, PLACE, ["-conf", "s"]))["PYSPARK_SUBMIT_ARGS"]
    )

    assert words[-1] == "pyspark-shell"
    assert words[words.index("--master") + 1] == "spark://head:7077"
    assert {"spark.task.maxFailures=1", "spark.task.cpus=1", "spark.pythonargs=-conf s"} <= set(words)
    assert "spark.executorEnv.CAFFE_SPARK_JOB=notebook" in words
    assert words[words.index("--files") + 1].startswith("lenet_memory_solver.prototxt,")


def test_it_listens_on_loopback_alone_behind_a_token_that_no_command_line_has(cluster: Cluster) -> None:
    script = notebook_script(mnist_spec(), cluster, PLACE, [])

    assert "--ip=127.0.0.1" in script.splitlines()[-1]
    assert "oken" not in script.splitlines()[-1]
    assert "umask 077" in script


def test_events_go_to_the_cells_and_prototxts_say_what_holds(cluster: Cluster) -> None:
    script = notebook_script(mnist_spec(max_iter=5), cluster, PLACE, [])
    assert "CAFFE_SPARK_EVENTS" not in script
    assert "CAFFE_SPARK_OVERRIDE" not in script


def test_prototxts_name_the_data_sets_where_the_stack_has_them(cluster: Cluster) -> None:
    net = shipped(mnist_spec(), cluster)["lenet_memory_train_test.prototxt"].decode()
    assert f'source: "{cluster.shared_storage.rstrip("/")}/data/mnist/train_lmdb"' in net
    assert "hdfs:///" not in net


def test_notebooks_are_refused_where_there_is_no_master_of_sparks_own(yarn_cluster: Cluster) -> None:
    with pytest.raises(ConfigError, match=r"Spark's own master.*Submit a script instead"):
        require_servable(yarn_cluster, mnist_spec())


def test_options_of_notebooks_are_pairs_without_blanks(cluster: Cluster) -> None:
    words = paired_options(mnist_spec(train=True, test=True, resize=True), PLACE)
    assert Config(None, dict(zip(words[::2], words[1::2], strict=True))).resize is True
    assert {"-train", "-test"}.isdisjoint(words)
    with pytest.raises(ConfigError, match=r"model: 'hdfs:///a b' has a blank"):
        require_servable(cluster, mnist_spec(model="hdfs:///a b"))


def test_the_example_is_a_notebook_without_outputs() -> None:
    (example,) = EXAMPLES.glob("*.ipynb")
    cells = [cell for cell in json.loads(example.read_text())["cells"] if cell["cell_type"] == "code"]
    for cell in cells:
        compile("".join(cell["source"]), example.name, "exec")
    assert not any(cell["outputs"] for cell in cells)

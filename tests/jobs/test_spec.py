"""Job specifications: validation, overrides."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from bootstrap.errors import ConfigError
from jobs.job import JobPlace
from jobs.spec import JobSpec
from jobs.spec_file import read_spec
from jobs.submission.spark_submit import paired_options
from jobs.trainer.cli import CONVERTERS, FLAGS, parse
from tests.jobs.specs import SPECS, Write, mnist_spec, writer


@pytest.fixture
def write(tmp_path: Path) -> Write:
    return writer(tmp_path)


def test_the_projects_own_specification_is_lenet_on_two_executors() -> None:
    spec = mnist_spec()

    assert (spec.executors, spec.batch, spec.max_iter, spec.data) == (2, 64, None, "mnist")
    assert spec.features == ("accuracy", "loss")
    assert spec.memory == 1024
    assert spec.solver == SPECS / "lenet_memory_solver.prototxt"


@pytest.mark.parametrize(
    ("given", "megabytes"),
    [("1 GiB", 1024), ("1.5GiB", 1536), ("2048 MiB", 2048), ("2g", 2048), ("1100m", 1100)],
)
def test_sizes_are_written_with_their_unit(write: Write, given: str, megabytes: int) -> None:
    assert read_spec(write(memory=given)).memory == megabytes


BAD = [
    ({"executor": 2}, "executor: there is no such key; valid keys: name, solver"),
    ({"executors": 0}, "executors: "),
    ({"executors": "two"}, "executors: "),
    ({"executors": ...}, "executors: Field required"),
    ({"cores": 0}, "cores: "),
    ({"cores": 2, "threads": 4}, "threads: 4 BLAS threads do not fit 2 cores"),
    ({"cores": 2, "devices": 2, "solver_mode": "CPU"}, "devices: 2, and CPU mode has a single device"),
    ({"cores": 3, "devices": 2}, "cores: 3 are not a multiple of 2 devices"),
    ({"cores": 2, "devices": 2, "threads": 2}, "threads: 2 BLAS threads of each of 2 devices do not fit"),
    ({"solver_mode": "cuda"}, "solver_mode: "),
    ({"final_validation": True, "train": False, "model": "m"}, "final_validation: it is part of training"),
    ({"memory": 2048}, "is not a valid size; write it like 1 GiB"),
    ({"memory": "2 parsecs"}, "is not a valid size"),
    ({"memory": "512 MiB"}, "memory: "),
    ({"batch": 0}, "batch: "),
    ({"max_iter": -1}, "max_iter: "),
    ({"data": "a/b"}, "data: 'a/b' is not a valid name of data"),
    ({"name": "My Job"}, "name: "),
    ({"features": ["a b"]}, "'a b' is not a valid blob name"),
    ({"features": ["a,b"]}, "'a,b' is not a valid blob name"),
    ({"features": "accuracy"}, "features: "),
    ({"features": [], "label": "label"}, "label: it adds a column to features"),
    ({"train": False, "test": False, "features": [], "label": ""}, "nothing to do"),
    ({"train": False}, "model: without training"),
    ({"snapshot": "hdfs:///a.solverstate"}, "snapshot: it needs `weights`"),
    ({"train": False, "model": "m", "weights": "w"}, "they are the start of training"),
    ({"transport": "rdma"}, "transport: "),
    ({"gradients": "float8"}, "gradients: "),
    ({"timeout": 0}, "timeout: "),
    ({"timeout": math.inf}, "timeout: "),
    ({"timeout": math.nan}, "timeout: "),
    ({"devices": 2, "cores": 1}, "cores: 1 are not a multiple of 2 devices"),
    ({"outputFormat": "csv"}, "outputFormat: "),
    ({"output_format": "json"}, "output_format: there is no such key"),
    (
        {"connection": "infiniband", "solver_mode": "CPU"},
        "connection: infiniband, and several executors need ethernet",
    ),
    ({"persistent": 3}, "persistent: "),
    ({"lmdb_partitions": 0}, "lmdb_partitions: "),
    ({"resize": "maybe"}, "resize: "),
    ({"solver": "missing.prototxt"}, "which does not exist"),
    ({"files": ["s.prototxt"]}, "two files have the same name"),
]


@pytest.mark.parametrize(("changes", "words"), BAD)
def test_what_cannot_run_is_refused_in_one_line_that_names_the_file(
    write: Write, changes: dict[str, Any], words: str
) -> None:
    path = write(**changes)

    with pytest.raises(ConfigError) as refused:
        read_spec(path)

    assert words in str(refused.value)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


ELSEWHERE = {
    "conf": "the keys are `solver` and `net`: both files travel with the job",
    "clusterSize": "the key is `executors`, which also decides the executors that Spark starts",
    **dict.fromkeys(CONVERTERS, "of the converter tools, which a job does not run"),
}
"""Options of CaffeOnSpark that are no keys, with the reason."""


def test_every_option_of_caffeonspark_is_a_key_or_has_a_reason() -> None:
    keys = set(JobSpec.model_fields)

    assert [flag for flag in FLAGS if (flag in keys) == (flag in ELSEWHERE)] == []


def test_keys_have_the_defaults_of_the_options(write: Write) -> None:
    given = read_spec(write(features=..., label=...))
    options = parse(["-train", "-conf", "s", "-model", "m"])

    assert (given.label, given.features, given.devices) == (options.label, options.features, options.devices)
    assert (given.outputFormat, given.snapshot) == (options.output_format, options.snapshot)
    assert (given.persistent, given.resize, given.lmdb_partitions) == (False, False, None)


def test_keys_that_differ_from_the_options_default_do_so_on_purpose(write: Write) -> None:
    """A job trains, tests, and is connected, unless it is told otherwise; its files are its own."""
    given = read_spec(write())

    assert (given.train, given.test, given.connection) == (True, True, "ethernet")
    assert (given.model, given.output) == ("", "")


@pytest.mark.parametrize("data", ["none", None, ...])
def test_a_job_may_name_no_data_set(write: Write, data: object) -> None:
    assert read_spec(write(data=data)).data is None


@pytest.mark.parametrize(
    ("changes", "fetched"),
    [
        ({}, True),
        ({"outputFormat": "JSON"}, True),
        ({"outputFormat": "parquet"}, False),
        ({"output": "hdfs:///o"}, False),
        ({"features": ..., "label": ...}, False),
    ],
)
def test_features_are_fetched_as_json_lines_of_the_jobs_own_folder(
    write: Write, changes: dict[str, Any], fetched: bool
) -> None:
    assert read_spec(write(**changes)).fetched is fetched


def test_one_executor_or_a_mode_of_the_prototxts_may_have_any_connection(write: Write) -> None:
    assert read_spec(write(executors=1, connection="RDMA")).connection == "rdma"
    # Several need it in CPU mode, or without NCCL, as the trainer finds out of prototxt and framework.
    assert read_spec(write(executors=2, connection="rdma")).connection == "rdma"
    assert read_spec(write(connection="Ethernet")).connection == "ethernet"


def test_the_command_line_goes_over_the_file(write: Write) -> None:
    spec = read_spec(write(memory="1.5 GiB"))

    changed = spec.with_overrides(executors=3, iterations=50)

    assert (changed.executors, changed.max_iter, changed.memory) == (3, 50, 1536)
    assert spec.with_overrides() == spec


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"executors": 0}, "--executors 0: it is not a valid number"),
        ({"iterations": 0}, "--iterations 0: it is not a valid number"),
        ({"iterations": 2**31}, "--iterations 2147483648: it is not a valid number"),
    ],
)
def test_an_impossible_value_on_the_command_line_is_refused_by_its_flag(
    write: Write, given: dict[str, int], named: str
) -> None:
    with pytest.raises(ConfigError, match=named):
        read_spec(write()).with_overrides(**given)


def test_a_specification_survives_json(write: Write) -> None:
    spec = read_spec(write(memory="3 GiB", batch=7))

    assert JobSpec.model_validate_json(spec.model_dump_json()) == spec


def test_a_script_travels_with_the_job_and_its_options_as_pairs(write: Write, tmp_path: Path) -> None:
    (tmp_path / "mine.py").touch()
    spec = read_spec(write(script="mine.py", arguments=["-x", "1"], persistent=True))

    assert tmp_path / "mine.py" in spec.shipped
    assert not spec.fetched
    words = paired_options(spec, JobPlace("a-1", "/j", "hdfs://h/j"))
    pairs = dict(zip(words[::2], words[1::2], strict=True))
    assert pairs["-persistent"] == "true"
    assert pairs["-features"] == "accuracy,loss"
    assert {"-train", "-test"}.isdisjoint(words)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"script": "missing.py"}, "missing.py, which does not exist"),
        ({"script": "s.prototxt", "train": True}, "train: a script decides itself"),
        ({"script": "s.prototxt", "test": False}, "test: a script decides itself"),
        ({"script": "s.prototxt", "onDriverLost": "restart"}, "a script would begin from its first line"),
        ({"onDriverLost": "resume"}, "onDriverLost"),
        ({"arguments": ["x"]}, "set script too"),
        ({"script": "s.prototxt", "output": "hdfs:///a b"}, r"output: '.*' has a blank"),
        ({"script": "s.prototxt", "arguments": ["a b", ""]}, "arguments: one is empty"),
        ({"script": "s.prototxt", "features": ["f"], "label": "a b"}, r"label: '.*' has a blank"),
        (
            {"script": "s.prototxt", "connection": "a b", "solver_mode": "GPU"},
            r"connection: '.*' has a blank",
        ),
    ],
)
def test_a_script_that_cannot_run_as_written_is_refused(
    write: Write, changes: dict[str, Any], why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        read_spec(write(**changes))


@pytest.mark.parametrize("name", ["logistic_regression", "train_then_predict"])
def test_the_examples_of_the_python_api_are_jobs(name: str) -> None:
    spec = read_spec(SPECS / f"{name}.yaml")
    assert spec.script is not None
    assert spec.script.name == f"{name}.py"
    compile(spec.script.read_text(), str(spec.script), "exec")

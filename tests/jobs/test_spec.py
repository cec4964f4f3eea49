"""Job specifications: reading, validation, overrides."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from bootstrap.errors import ConfigError
from jobs.job import JobPlace
from jobs.spec import JobSpec
from jobs.submission.spark_submit import paired_options
from jobs.trainer.cli import CONVERTERS, FLAGS, parse
from tests.jobs.specs import SPECS, mnist_spec

GOOD: dict[str, Any] = {
    "name": "mnist",
    "solver": "s.prototxt",
    "net": "n.prototxt",
    "executors": 2,
    "features": ["accuracy", "loss"],
    "label": "label",
}
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a specification beside the files that it names."""

    def write(**changes: Any) -> Path:
        for name in ("s.prototxt", "n.prototxt"):
            (tmp_path / name).touch()
        document = {key: value for key, value in {**GOOD, **changes}.items() if value is not ...}
        path = tmp_path / "job.yaml"
        path.write_text(yaml.safe_dump(document))
        return path

    return write


def test_the_projects_own_specification_is_lenet_on_two_executors() -> None:
    spec = mnist_spec()

    assert (spec.executors, spec.batch, spec.max_iter, spec.data) == (2, 64, None, "mnist")
    assert spec.features == ("accuracy", "loss")
    assert spec.memory == 1024
    assert spec.solver == SPECS / "lenet_memory_solver.prototxt"


def test_paths_are_relative_to_the_file(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write()
    monkeypatch.chdir("/")

    assert JobSpec.from_file(path).shipped == (tmp_path / "s.prototxt", tmp_path / "n.prototxt")


@pytest.mark.parametrize(
    ("given", "megabytes"),
    [("1 GiB", 1024), ("1.5GiB", 1536), ("2048 MiB", 2048), ("2g", 2048), ("1100m", 1100)],
)
def test_sizes_are_written_with_their_unit(write: Write, given: str, megabytes: int) -> None:
    assert JobSpec.from_file(write(memory=given)).memory == megabytes


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


NAMES = [
    ("a,b.prototxt", "it is not a valid name: use letters, digits, and . _ - after the first"),
    ("mean file.binaryproto", "it is not a valid name"),
    ("mean\tfile", "it is not a valid name"),
    ("mean#1", "it is not a valid name"),
    ("mean*", "it is not a valid name"),
    ("{a}", "it is not a valid name"),
    ("m\u00e9an", "it is not a valid name"),
    ("a%20b", "it is not a valid name"),
    ("-train", "it is not a valid name"),
    (".hidden", "it is not a valid name"),
    ("main.py", "the job has a file of that name itself"),
    ("trainer.zip", "the job has a file of that name itself"),
    ("events.jsonl", "the job has a file of that name itself"),
    ("feed", "the job has a file of that name itself"),
    ("job.json", "the job has a file of that name itself"),
    ("run.sh", "the job has a file of that name itself"),
    ("log", "the job has a file of that name itself"),
    ("status", "the job has a file of that name itself"),
    ("train_lmdb", "the job has a file of that name itself"),
    ("__spark_conf__.zip", "the job has a file of that name itself"),
    ("numpy.py", "it would hide the Python module numpy from the driver"),
    ("com.py", "it would hide the Python module com from the driver"),
    ("caffe.py", "it would hide the Python module caffe from the driver"),
    ("jobs.py", "it would hide the Python module jobs from the driver"),
    ("signal.pyc", "it would hide the Python module signal from the driver"),
    ("mnist.model", "a model or snapshot of the job has that name too"),
]


@pytest.mark.parametrize(("name", "words"), NAMES)
@pytest.mark.parametrize("key", ["solver", "net", "files"])
def test_a_file_that_cannot_travel_by_its_name_is_refused(
    write: Write, tmp_path: Path, key: str, name: str, words: str
) -> None:
    (tmp_path / name).touch()

    with pytest.raises(ConfigError) as refused:
        JobSpec.from_file(write(**{key: [name] if key == "files" else name}))

    assert f"it ships the file {name!r}: {words}" in str(refused.value)
    assert refused.value.fix == "Rename it."


def test_a_file_that_would_lie_beside_the_weights_of_that_name_is_refused(
    write: Write, tmp_path: Path
) -> None:
    for name in ("a.caffemodel", "layer.py"):
        (tmp_path / name).touch()
    weights = "hdfs:///m/b.caffemodel,hdfs:///m/a.caffemodel"

    with pytest.raises(ConfigError, match=r"'a.caffemodel': a model or snapshot of the job has that name"):
        JobSpec.from_file(write(files=["a.caffemodel"], weights=weights))

    assert JobSpec.from_file(write(files=["layer.py"], weights=weights)).files == (tmp_path / "layer.py",)


@pytest.mark.parametrize(("changes", "words"), BAD)
def test_what_cannot_run_is_refused_in_one_line_that_names_the_file(
    write: Write, changes: dict[str, Any], words: str
) -> None:
    path = write(**changes)

    with pytest.raises(ConfigError) as refused:
        JobSpec.from_file(path)

    assert words in str(refused.value)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "words"), [("a: [", "it is not valid YAML"), ("- a", "it holds no keys"), ("", "no keys")]
)
def test_a_file_that_is_no_specification_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(text)

    with pytest.raises(ConfigError, match=words):
        JobSpec.from_file(path)


TEXT = """\
name: mnist
solver: s.prototxt
net: n.prototxt
executors: 2
"""


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("executors: 3", "the key 'executors' is given twice, in lines 4 and 5"),
        ("cores: 010", "line 5: 010 may be an octal number or a decimal one; write it without leading zeros"),
        ("max_iter: 1:30", "max_iter: Input should be a valid integer"),
        ("timeout: 1:30", "timeout: Input should be a valid number"),
    ],
)
def test_a_key_twice_and_numbers_of_other_bases_are_refused(write: Write, more: str, words: str) -> None:
    path = write()
    path.write_text(TEXT + more)

    with pytest.raises(ConfigError) as refused:
        JobSpec.from_file(path)

    assert words in str(refused.value)


def test_yes_and_no_are_booleans_where_one_is_wanted_and_texts_elsewhere(write: Write) -> None:
    path = write()
    path.write_text(TEXT + "test: no\nfeatures: [on, no]\nlabel: off")

    spec = JobSpec.from_file(path)

    assert (spec.train, spec.test) == (True, False)
    assert (spec.features, spec.label) == (("on", "no"), "off")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: it cannot be read"):
        JobSpec.from_file(tmp_path / "none.yaml")


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
    given = JobSpec.from_file(write(features=..., label=...))
    options = parse(["-train", "-conf", "s", "-model", "m"])

    assert (given.label, given.features, given.devices) == (options.label, options.features, options.devices)
    assert (given.outputFormat, given.snapshot) == (options.output_format, options.snapshot)
    assert (given.persistent, given.resize, given.lmdb_partitions) == (False, False, None)


def test_keys_that_differ_from_the_options_default_do_so_on_purpose(write: Write) -> None:
    """A job trains, tests, and is connected, unless it is told otherwise; its files are its own."""
    given = JobSpec.from_file(write())

    assert (given.train, given.test, given.connection) == (True, True, "ethernet")
    assert (given.model, given.output) == ("", "")


@pytest.mark.parametrize("data", ["none", None, ...])
def test_a_job_may_name_no_data_set(write: Write, data: object) -> None:
    assert JobSpec.from_file(write(data=data)).data is None


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
    assert JobSpec.from_file(write(**changes)).fetched is fetched


def test_one_executor_or_a_mode_of_the_prototxts_may_have_any_connection(write: Write) -> None:
    assert JobSpec.from_file(write(executors=1, connection="RDMA")).connection == "rdma"
    # Several need it in CPU mode, or without NCCL, as the trainer finds out of prototxt and framework.
    assert JobSpec.from_file(write(executors=2, connection="rdma")).connection == "rdma"
    assert JobSpec.from_file(write(connection="Ethernet")).connection == "ethernet"


def test_the_command_line_goes_over_the_file(write: Write) -> None:
    spec = JobSpec.from_file(write(memory="1.5 GiB"))

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
        JobSpec.from_file(write()).with_overrides(**given)


def test_a_specification_survives_json(write: Write) -> None:
    spec = JobSpec.from_file(write(memory="3 GiB", batch=7))

    assert JobSpec.model_validate_json(spec.model_dump_json()) == spec


def test_a_script_travels_with_the_job_and_its_options_as_pairs(write: Write, tmp_path: Path) -> None:
    (tmp_path / "mine.py").touch()
    spec = JobSpec.from_file(write(script="mine.py", arguments=["-x", "1"], persistent=True))

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
        JobSpec.from_file(write(**changes))


@pytest.mark.parametrize("name", ["logistic_regression", "train_then_predict"])
def test_the_examples_of_the_python_api_are_jobs(name: str) -> None:
    spec = JobSpec.from_file(SPECS / f"{name}.yaml")
    assert spec.script is not None
    assert spec.script.name == f"{name}.py"
    compile(spec.script.read_text(), str(spec.script), "exec")

"""Files of job specifications: YAML, and the files that it names."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap.errors import ConfigError
from jobs.spec_file import read_spec
from tests.jobs.specs import Write, writer


@pytest.fixture
def write(tmp_path: Path) -> Write:
    return writer(tmp_path)


def test_paths_are_relative_to_the_file(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write()
    monkeypatch.chdir("/")

    assert read_spec(path).shipped == (tmp_path / "s.prototxt", tmp_path / "n.prototxt")


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
        read_spec(write(**{key: [name] if key == "files" else name}))

    assert f"it ships the file {name!r}: {words}" in str(refused.value)
    assert refused.value.fix == "Rename it."


def test_a_file_that_would_lie_beside_the_weights_of_that_name_is_refused(
    write: Write, tmp_path: Path
) -> None:
    for name in ("a.caffemodel", "layer.py"):
        (tmp_path / name).touch()
    weights = "hdfs:///m/b.caffemodel,hdfs:///m/a.caffemodel"

    with pytest.raises(ConfigError, match=r"'a.caffemodel': a model or snapshot of the job has that name"):
        read_spec(write(files=["a.caffemodel"], weights=weights))

    assert read_spec(write(files=["layer.py"], weights=weights)).files == (tmp_path / "layer.py",)


@pytest.mark.parametrize(
    ("text", "words"), [("a: [", "it is not valid YAML"), ("- a", "it holds no keys"), ("", "no keys")]
)
def test_a_file_that_is_no_specification_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(text)

    with pytest.raises(ConfigError, match=words):
        read_spec(path)


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
        read_spec(path)

    assert words in str(refused.value)


def test_yes_and_no_are_booleans_where_one_is_wanted_and_texts_elsewhere(write: Write) -> None:
    path = write()
    path.write_text(TEXT + "test: no\nfeatures: [on, no]\nlabel: off")

    spec = read_spec(path)

    assert (spec.train, spec.test) == (True, False)
    assert (spec.features, spec.label) == (("on", "no"), "off")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: it cannot be read"):
        read_spec(tmp_path / "none.yaml")

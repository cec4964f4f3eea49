"""Distribution to nodes over a stand-in for Spark, which reads names as Spark does."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote, urlsplit

import pytest

from jobs.trainer.errors import TrainerError
from jobs.trainer.files import storage
from jobs.trainer.files.distribution import Distribution, locate

ODD = [
    "a b",
    "a,b",
    "a#b",
    "a%20b",
    "a?b",
    "a*b",
    "[ab]",
    "{a,b}",
    "a\\b",
    "größe",
    "a'b",
    'a"b',
    "a;b",
    "$a",
]
HDFS = """#!{python}
import re, shutil, sys
from urllib.parse import unquote
_, verb, uri, target = sys.argv[1:]
assert verb == "-get"
uri = re.sub(r"\\\\(.)", lambda found: found[1], uri)
if not uri.startswith("hdfs://head/") or "missing" in uri:
    sys.exit("get: no such file")
shutil.copytree("{root}/" + uri[len("hdfs://head/"):], unquote(target))
"""


class Spark:
    """A context whose storage is `hdfs://head`, and whose nodes keep files in one folder."""

    def __init__(self, root: Path, nodes: Path) -> None:
        self.root, self.nodes = root, nodes

    def addFile(self, given: str, recursive: bool = False) -> None:
        # java.net.URI refuses these; Spark then takes the text for a local path.
        local = re.search(r'[ \\"<>{}|^`\[\]*]', given) or given.startswith("/")
        path = Path(given) if local else self.root / unquote(urlsplit(given).path).lstrip("/")
        if not path.exists():
            raise FileNotFoundError(given)
        if path.is_dir() and (local or not recursive):
            raise ValueError("addFile does not support local directories")
        target = self.nodes / path.name
        if target.exists():
            raise ValueError(f"File {target} exists and does not match contents of {given}")
        (shutil.copytree if path.is_dir() else shutil.copyfile)(path, target)


class Files:
    """Hadoop's client, which takes names as they are."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def absolute(self, uri: str) -> str:
        return uri if ":" in uri else f"hdfs://head{uri}"

    def fetch(self, uri: str, target: Path) -> None:
        shutil.copyfile(self.root / uri[len("hdfs://head/") :], target)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the storage."""
    for name in ("root", "nodes", "driver"):
        (tmp_path / name).mkdir()
    program = tmp_path / "hdfs"
    program.write_text(HDFS.format(python=sys.executable, root=tmp_path / "root"))
    program.chmod(0o755)
    monkeypatch.setattr(storage, "HDFS", str(program))
    nodes = tmp_path / "nodes"
    files = SimpleNamespace(getRootDirectory=lambda: str(nodes), get=lambda name: str(nodes / name))
    monkeypatch.setitem(sys.modules, "pyspark", SimpleNamespace(SparkFiles=files))
    return tmp_path / "root"


@pytest.fixture
def nodes(root: Path) -> Distribution:
    conf = {"spark.files": "file:/jobs/j/solver.prototxt,file:/jobs/j/mean"}
    spark = Spark(root, root.parent / "nodes")
    (spark.nodes / "mean").write_text("of --files")
    return Distribution(spark, Files(root), root.parent / "driver", conf)  # type: ignore[arg-type]


def file(root: Path, name: str, text: str = "weights") -> str:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return f"hdfs://head/{name}"


def lmdb(root: Path, name: str) -> str:
    return file(root, f"{name}/data.mdb", name).rpartition("/")[0]


@pytest.mark.parametrize("name", ["plain", "a-b_c.d", *ODD])
def test_a_file_of_any_name_arrives_from_a_folder_of_any_name(
    root: Path, nodes: Distribution, name: str
) -> None:
    for place in (name, f"m/{name}", f"{name} d/{name}", f"{name} d/plain"):
        uri = file(root, f"in/{place}", place)

        assert locate(nodes.add(uri)).read_text() == place


@pytest.mark.parametrize("name", ["plain", *ODD])
def test_a_folder_of_any_name_arrives(root: Path, nodes: Distribution, name: str) -> None:
    for place in (f"{name}/train", f"x/{name}"):
        uri = lmdb(root, place)

        name_on_nodes = nodes.add(uri, folder=True)

        assert (locate(name_on_nodes) / "data.mdb").read_text() == place
        assert nodes.add(uri) == name_on_nodes


def test_sources_of_one_base_name_arrive_both(root: Path, nodes: Distribution) -> None:
    train, test = (lmdb(root, f"{phase}/data") for phase in ("train", "test"))

    found = [locate(nodes.add(uri, folder=True)) for uri in (train, test)]

    assert [(path / "data.mdb").read_text() for path in found] == ["train/data", "test/data"]


def test_a_folder_that_was_fetched_is_not_fetched_again(root: Path, nodes: Distribution) -> None:
    names = [nodes.add(lmdb(root, f"{phase}/data"), folder=True) for phase in ("train", "test")]
    first = locate(names[1])
    shutil.rmtree(root / "test")

    assert locate(names[1]) == first
    assert (first / "data.mdb").is_file()
    assert not list((root.parent / "nodes").glob("fetching-*"))


def test_a_folder_that_was_written_again_is_fetched_again(root: Path, nodes: Distribution) -> None:
    uri = lmdb(root, "train/data")
    first = locate(nodes.add(uri, folder=True))
    (root / "train/data/data.mdb").write_text("again")
    names = [nodes.add(uri, folder=True, written=True) for _ in range(2)]

    assert (first / "data.mdb").read_text() != "again"
    assert [(locate(name) / "data.mdb").read_text() for name in names] == ["again", "again"]
    assert len({first, *map(locate, names)}) == 3


def test_a_file_with_the_name_of_one_that_was_submitted_arrives_beside_it(
    root: Path, nodes: Distribution
) -> None:
    assert locate(nodes.add(file(root, "mean"))).read_text() == "weights"
    assert (root.parent / "nodes" / "mean").read_text() == "of --files"


def test_a_model_that_this_job_has_written_arrives_anew(root: Path, nodes: Distribution) -> None:
    uri = file(root, "m", "old")
    before = nodes.add_model(uri)
    file(root, "m", "new")

    assert nodes.add_model(uri) == before
    again = nodes.add_model(uri, written=True)
    assert [locate(name).read_text() for name in (before, again)] == ["old", "new"]


def test_a_local_path_is_every_nodes_own(tmp_path: Path, nodes: Distribution) -> None:
    (tmp_path / "a b#c").mkdir()

    assert locate(nodes.add(f"file:{tmp_path}/a b#c", folder=True)) == tmp_path / "a b#c"


def test_databases_that_the_driver_has_made_arrive_each_in_a_folder_of_its_own(
    root: Path, nodes: Distribution
) -> None:
    names = []
    for text in ("train", "test"):
        made = root.parent / "driver" / text
        made.mkdir()
        (made / "data.mdb").write_text(text)
        names.append(nodes.add_database(made / "data.mdb"))

    for _ in range(2):  # ranks of one executor share the folder
        assert [(locate(name) / "data.mdb").read_text() for name in names] == ["train", "test"]


@pytest.mark.parametrize("count", [1, 12])
def test_the_databases_of_one_source_arrive_in_one_folder_by_their_numbers(
    root: Path, nodes: Distribution, count: int
) -> None:
    files = []
    for number in range(count):
        made = root.parent / "driver" / f"column-{number}"
        made.mkdir()
        files.append(made / "data.mdb")
        files[-1].write_text(str(number))

    name = nodes.add_databases(files)

    for _ in range(2):
        folder = locate(name)
        assert len(list(folder.iterdir())) == count
        for number in range(count):
            assert (folder / str(number) / "data.mdb").read_text() == str(number)


def test_a_database_that_cannot_be_distributed_is_told(root: Path, nodes: Distribution) -> None:
    (root.parent / "nodes" / "converted-2.mdb").write_text("of another")
    made = root.parent / "driver" / "made"
    made.mkdir()
    (made / "data.mdb").write_text("x")

    with pytest.raises(TrainerError, match=r"converted-\d.mdb: it cannot be distributed"):
        nodes.add_database(made / "data.mdb")


def test_a_folder_that_cannot_be_fetched_is_told(root: Path, nodes: Distribution) -> None:
    name = nodes.add("hdfs://head/missing folder", folder=True)

    with pytest.raises(TrainerError, match="missing folder: it cannot be read: get: no such file"):
        locate(name)

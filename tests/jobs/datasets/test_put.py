"""`fab data`: own data in shared storage, whole, once, and shown."""

from __future__ import annotations

import io
import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import lmdb
import pytest
from PIL import Image

from bootstrap import paths
from bootstrap.cluster import Cluster, Node
from bootstrap.console import TerminalConsole
from bootstrap.errors import ConfigError, JobError
from bootstrap.storage.hadoop import SharedStorage
from jobs.datasets import prepare, put, show, workspace
from jobs.datasets.labelled import Image as Listed
from jobs.trainer.sources import datum
from tests.bootstrap.local_node import HDFS, LocalNode
from tests.jobs.datasets.pictures import by_class, picture
from tests.jobs.specs import mnist_spec


class World:
    """A stand-in head, and the commands as an operator gives them."""

    def __init__(self, tmp_path: Path, cluster: Cluster) -> None:
        (tmp_path / "node").mkdir()
        self.node, self.cluster, self.tmp_path = LocalNode(tmp_path / "node"), cluster, tmp_path
        self.node.fake("hdfs", HDFS)
        self.dfs = self.node.folder / "state" / "dfs"
        self.out = io.StringIO()
        self.console = TerminalConsole(file=self.out, width=200)

    def put(self, path: Path, name: str = "pets", *, labels: Path | None = None, force: bool = False) -> str:
        named = str(labels) if labels else None
        return self._said(
            lambda: put.put(self.cluster, str(path), name, self.console, labels=named, force=force)
        )

    def show(self, name: str = "pets") -> str:
        return self._said(lambda: show.show(self.cluster, name, self.console, self.tmp_path / "results"))

    def listed(self) -> str:
        return self._said(lambda: self.console.print(show.table(self.cluster)))

    def ensure(self, name: str = "pets") -> str:
        spec = mnist_spec(data=name)
        return self._said(lambda: prepare.ensure_data(self.cluster, spec, self.console))

    def _said(self, action: Callable[[], object]) -> str:
        self.out.truncate(0)
        self.out.seek(0)
        action()
        return self.out.getvalue()

    def stored(self, name: str = "pets") -> list[str]:
        folder = self.dfs / "data" / name
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def world(tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path, cluster)

    @contextmanager
    def connect(_: Cluster, node: Node) -> Iterator[LocalNode]:
        yield made.node

    for module in (put, show, prepare):
        monkeypatch.setattr(module, "connect", connect)
    monkeypatch.setattr(workspace, "STAGING", str(tmp_path / "staging"))
    monkeypatch.setattr(paths, "ANY_PYTHON", sys.executable)
    monkeypatch.setattr(SharedStorage, "require_writable", lambda self: None)
    return made


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    by_class(tmp_path / "pets" / "train")
    return by_class(tmp_path / "pets" / "test", count=1).parent


def records(path: Path) -> list[tuple[str, bytes]]:
    with lmdb.open(str(path), readonly=True, lock=False) as database, database.begin() as transaction:
        return [(key.decode(), value) for key, value in transaction.cursor()]


def test_images_by_class_become_databases_that_a_job_can_name(
    world: World, pets: Path, tmp_path: Path
) -> None:
    said = world.put(pets)

    assert world.stored() == ["classes.txt", "manifest.json", "test_lmdb/data.mdb", "train_lmdb/data.mdb"]
    assert 'source: "/data/pets/train_lmdb"' in said
    assert "8 images of 2 classes" in said
    assert "train_lmdb: 6 images; classes: cat 3, dog 3" in said
    assert "test_lmdb: 2 images; classes: cat 1, dog 1" in said
    assert "train_lmdb: 6 records" in said
    assert (world.dfs / "data/pets/classes.txt").read_text() == "cat\ndog\n"
    found = records(world.dfs / "data/pets/train_lmdb")
    assert [key[:9] for key, _ in found] == [f"{number:08}_" for number in range(6)]
    for key, value in found:
        image = datum.parse(value)
        assert image.encoded
        assert image.label == ["cat", "dog"].index(key[9:].partition("/")[0])
        assert image.data == (pets / "train" / key[9:]).read_bytes()
    assert "hdfs://head:9000/data/pets is there" in world.ensure()
    assert list((tmp_path / "staging").iterdir()) == []


def test_a_put_that_is_interrupted_near_its_end_is_whole(world: World, pets: Path, tmp_path: Path) -> None:
    removal = tmp_path / "removal"
    # Ctrl-C: the command removes its working folder, and the script on the head goes on.
    world.node.fake("hdfs", HDFS.replace("-mv) ", f"-mv) sh {removal} && touch {removal}.done; "))
    with workspace.workspace(world.node, "other") as other:
        pass
    text = world.node.scripts[-1]
    removal.write_text(
        f"for work in {tmp_path}/staging/*; do\n{text.replace(other, chr(36) + 'work')}\ndone\n"
    )

    world.put(pets)

    assert Path(f"{removal}.done").exists()
    assert "manifest.json" in world.stored()
    assert "is there already, the same as" in world.put(pets)
    assert list((tmp_path / "staging").iterdir()) == []


def test_a_second_run_says_that_it_is_there(world: World, pets: Path) -> None:
    world.put(pets)
    before = (world.dfs / "data/pets/manifest.json").stat().st_mtime_ns

    assert "is there already, the same as" in world.put(pets)
    assert (world.dfs / "data/pets/manifest.json").stat().st_mtime_ns == before


def test_other_content_of_that_name_is_replaced_with_force_alone(world: World, pets: Path) -> None:
    world.put(pets)
    before = (world.dfs / "data/pets/train_lmdb/data.mdb").read_bytes()
    shutil.rmtree(pets / "train" / "dog")

    with pytest.raises(ConfigError, match=r"exists, with other content \(it was made of other files"):
        world.put(pets)
    assert (world.dfs / "data/pets/train_lmdb/data.mdb").read_bytes() == before

    world.put(pets, force=True)
    assert len(records(world.dfs / "data/pets/train_lmdb")) == 3
    assert world.ensure()


def test_a_folder_that_was_put_by_hand_is_other_content(world: World, pets: Path) -> None:
    (world.dfs / "data/pets").mkdir(parents=True)
    (world.dfs / "data/pets/by_hand").touch()

    with pytest.raises(ConfigError, match=r"exists, with other content \(without a manifest\)"):
        world.put(pets)
    assert world.stored() == ["by_hand"]


def test_what_another_command_put_there_meanwhile_stays(
    world: World, pets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = world.node.send

    def slow(*words: object, **options: object) -> object:
        (world.dfs / "data/pets").mkdir(parents=True)
        (world.dfs / "data/pets/theirs").touch()
        return send(*words, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(world.node, "send", slow)
    with pytest.raises(ConfigError, match="another command has put other content there meanwhile"):
        world.put(pets)
    assert world.stored() == ["theirs"]


def test_files_that_change_while_they_are_packed_are_refused(
    world: World, pets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = put.pack

    def changing(*words: object) -> None:
        picture(pets / "train" / "cat" / "0.png", (9, 9, 9))
        pack(*words)  # type: ignore[arg-type]

    monkeypatch.setattr(put, "pack", changing)
    with pytest.raises(ConfigError, match="have changed while they were read"):
        world.put(pets)
    assert world.stored() == []


def test_a_full_disk_of_this_machine_is_told(
    world: World, pets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(put, "pack", full)
    with pytest.raises(ConfigError, match=r"cannot be packed \(No space left on device\).*TMPDIR"):
        world.put(pets)


def test_databases_and_frames_are_stored_as_they_are(
    world: World, tmp_path: Path, database: Callable[..., Path]
) -> None:
    (tmp_path / "dbs").mkdir()
    database(5, name="dbs/train_lmdb")
    (tmp_path / "frame").mkdir()
    (tmp_path / "frame" / "part-0.parquet").write_bytes(b"PAR1 rows")

    world.put(tmp_path / "dbs", "digits")
    world.put(tmp_path / "frame", "rows")

    assert world.stored("digits") == ["manifest.json", "train_lmdb/data.mdb"]
    mdb = "train_lmdb/data.mdb"
    assert (world.dfs / "data/digits" / mdb).read_bytes() == (tmp_path / "dbs" / mdb).read_bytes()
    assert world.stored("rows") == ["manifest.json", "parquet/part-0.parquet"]
    listed = world.listed().splitlines()
    assert [line.split()[:3] for line in listed[1:]] == [["digits", "lmdb", "1"], ["rows", "parquet", "1"]]
    assert "not counted" in world.show("rows")


@pytest.mark.parametrize("name", ["mnist", "cifar10", "Pets", "../x", "a b", "", "x" * 41])
def test_a_name_that_is_taken_or_not_valid_is_refused(world: World, pets: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"Take another name\.$"):
        world.put(pets, name)
    assert world.node.scripts == []


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (shutil.rmtree, "there is no hdfs://head:9000/data/pets/manifest.json"),
        (lambda place: (place / "train_lmdb/data.mdb").write_bytes(b"x"), "train_lmdb/data.mdb is cut off"),
        (lambda place: (place / "manifest.json").write_text("{"), "manifest.json is not valid"),
        (
            lambda place: (place / "manifest.json").write_text(
                json.dumps({"inputs": {}, "files": {"../x": {"size": 1}}})
            ),
            "a file of it is not valid",
        ),
    ],
)
def test_a_job_whose_data_are_not_whole_is_refused(
    world: World, pets: Path, harm: Callable[[Path], object], words: str
) -> None:
    world.put(pets)
    harm(world.dfs / "data" / "pets")

    with pytest.raises(JobError) as refused:
        world.ensure()
    assert words in str(refused.value)
    assert "fab data put PATH pets" in str(refused.value)


def test_a_file_with_two_dots_in_its_name_can_be_used(world: World, tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "part..parquet").write_bytes(b"PAR1 PAR1")
    world.put(tmp_path / "frames", "frames")

    assert "is there" in world.ensure("frames")


def test_the_list_shows_what_has_no_valid_manifest_too(world: World, pets: Path) -> None:
    assert world.listed().split() == ["name", "kind", "files", "bytes", "put"]
    world.put(pets)
    (world.dfs / "data" / "by_hand").mkdir()
    (world.dfs / "data" / "odd").mkdir()
    (world.dfs / "data" / "odd" / "manifest.json").write_text("{")
    (world.dfs / "data" / "x._UPLOADING_1").mkdir()

    lines = [" ".join(line.split()) for line in world.listed().splitlines()[1:]]

    assert lines[0] == "by_hand no manifest"
    assert lines[1].startswith("odd manifest not valid 20")
    assert lines[2].startswith("pets images 3 ")
    assert len(lines) == 3


def test_a_set_is_shown_with_counts_classes_and_a_contact_sheet(world: World, pets: Path) -> None:
    world.put(pets)

    said = world.show()

    assert "records  train_lmdb: 6 (encoded: 6)" in said
    assert ["1", "dog", "3"] in [line.split() for line in said.splitlines()]
    with Image.open(world.tmp_path / "results/data/pets.png") as sheet:
        assert sheet.height == 2 * 68
        red, green, blue = sheet.getpixel((170, 100))
        assert (red, green < 3, blue) == (50, True, 0), "the first dog"
    assert list((world.tmp_path / "staging").iterdir()) == []


def test_raw_pixels_are_shown_with_their_shapes(
    world: World, tmp_path: Path, database: Callable[..., Path]
) -> None:
    world.put(database(25, shape=(3, 2, 3)), "digits")

    said = world.show("digits")

    assert "records  lmdb: 25 (3x2x3: 25)" in said
    assert (tmp_path / "results/data/digits.png").is_file()


@pytest.mark.parametrize("damaged", [True, False])
def test_a_database_that_is_not_as_it_was_put_is_told_in_one_line(
    world: World, database: Callable[..., Path], damaged: bool
) -> None:
    world.put(database(25), "digits")
    file = world.dfs / "data/digits/lmdb/data.mdb"
    if damaged:
        file.write_bytes(b"x" * 5000)
    else:
        file.unlink()

    with pytest.raises(JobError) as refused:
        world.show("digits")
    assert re.search(r"/data/digits: .*lmdb/data\.mdb", str(refused.value))
    assert "`fab data put PATH digits --force`" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_database_that_was_put_damaged_is_told_with_the_heads_words(
    world: World, database: Callable[..., Path]
) -> None:
    folder = database(25)
    (folder / "data.mdb").write_bytes(b"x" * 5000)
    world.put(folder, "digits")

    with pytest.raises(JobError, match="head cannot read it: "):
        world.show("digits")


def test_data_that_is_not_there_is_told_with_what_to_type(world: World) -> None:
    with pytest.raises(JobError, match="`fab data put PATH pets`"):
        world.show()


def test_a_long_name_of_an_image_leaves_room_for_its_number() -> None:
    key = put.key_of(7, Listed("é" * 400 + ".jpg", 0, Path("x")))
    assert key.startswith("00000007_é")
    assert len(key.encode()) <= 511


def test_sizes_of_images_that_differ_are_told(world: World, pets: Path) -> None:
    picture(pets / "train" / "cat" / "large.png", size=(9, 9))
    assert "images have 2 sizes (width x height: images; 6x4: 8, 9x9: 1 …)" in world.put(pets)


def test_images_without_a_line_in_a_file_of_labels_are_told(world: World, pets: Path) -> None:
    labels = world.tmp_path / "train.txt"
    labels.write_text("train/cat/0.png 0\n")
    assert "7 images have no line in the file of labels, and are left out" in world.put(pets, labels=labels)

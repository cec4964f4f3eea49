"""Sources that are converted to an LMDB, over stand-ins for Spark and its storage."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lmdb
import pytest

from jobs.trainer import conversion
from jobs.trainer.caffe.blobs import Blob, Top
from jobs.trainer.caffe.datalayer import DataLayer
from jobs.trainer.conversion import Conversions
from jobs.trainer.errors import Refused
from jobs.trainer.events.journal import Journal
from jobs.trainer.files.distribution import Distribution, locate
from jobs.trainer.sources import reading
from jobs.trainer.sources.columns import Column
from jobs.trainer.sources.frame import Reading
from jobs.trainer.sources.registry import COLUMNS, FRAME, LMDB, SEQUENCE, open_source
from jobs.trainer.sources.transform import Transform
from tests.jobs.trainer.sources.serialised import pair

LAYER = DataLayer("TRAIN", "data", SEQUENCE, "hdfs://h/s", 2, (1, 2, 3), ("data", "label"), Transform())
TOPS = tuple(
    Top(Column(name, kind, shape), Blob(name, shape, Transform()))
    for name, kind, shape in (("data", "RAW_IMAGE", (1, 2, 3)), ("label", "STRING", (1, 1, 1)))
)
FRAMES = replace(LAYER, source_class=COLUMNS, tops=("data", "label"), columns=TOPS)
ROWS = [("r0", "3", b"abcdef"), ("r1", "4", b"ghijkl")]


class World:
    """Sources with three images under pairs, and with the rows of a frame; a folder in place of the nodes."""

    def __init__(self, tmp_path: Path, pb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shown, self.pb, self.times = io.StringIO(), pb, 0
        self.pairs: list[tuple[bytes, bytes]] = [(pair(f"i{i}", str(i)), b"image") for i in range(3)]
        self.rows: list[tuple[Any, ...]] = list(ROWS)
        (tmp_path / "nodes").mkdir()
        (tmp_path / "job").mkdir()
        nodes = tmp_path / "nodes"
        monkeypatch.setattr(reading, "pairs", self._pairs)
        monkeypatch.setattr(reading, "rows", self._rows)
        names = SimpleNamespace(getRootDirectory=lambda: str(nodes), get=lambda name: str(nodes / name))
        monkeypatch.setitem(sys.modules, "pyspark", SimpleNamespace(SparkFiles=names))
        files: Any = SimpleNamespace(absolute=lambda uri: uri, listed=lambda uri: [(f"{uri}/part-0", 5)])
        spark = SimpleNamespace(addFile=lambda given, folder=False: self._copy(given, nodes, folder))
        distribution = Distribution(spark, files, tmp_path / "job", {})
        self.made = Conversions(
            SimpleNamespace(sparkContext=spark),
            files,
            distribution,
            tmp_path / "job",
            Journal(None, self.shown),
            pb.Datum,
        )

    @staticmethod
    def _copy(given: str, nodes: Path, folder: bool) -> None:
        target = nodes / Path(given).name
        assert not target.exists()
        if given.startswith("hdfs://"):
            if not folder:
                raise ValueError("Added file is a directory and recursive is not turned on")
            target.mkdir()
        else:
            target.write_bytes(Path(given).read_bytes())

    def _pairs(self, _: Any, files: list[reading.File], uri: str) -> Iterator[tuple[bytes, bytes]]:
        assert files == [reading.File(f"{uri}/part-0", 5)]
        self.times += 1
        yield from self.pairs

    def _rows(self, _: Any, __: str, how: Reading) -> tuple[list[str], Iterator[Any]]:
        self.times += 1
        return list(how.columns) or ["id", "label", "data"], iter(self.rows)

    def content(self, name: str) -> dict[str, Any]:
        with lmdb.open(str(locate(name)), readonly=True, lock=False) as env, env.begin() as transaction:
            return {bytes(k).decode(): self.pb.Datum.FromString(v) for k, v in transaction.cursor()}


@pytest.fixture
def world(tmp_path: Path, pb: Any, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, pb, monkeypatch)


def test_sequence_files_reach_the_nodes_as_an_lmdb_in_their_order(world: World, pb: Any) -> None:
    name = world.made.add("TRAIN", LAYER)

    found = world.content(name)
    assert list(found) == [f"{i:010d}/i{i}" for i in range(3)]
    assert [(one.label, one.encoded, one.data) for one in found.values()] == [
        (i, True, b"image") for i in range(3)
    ]
    assert world.shown.getvalue() == "TRAIN records converted: 3\n"


def test_rows_of_a_frame_reach_the_nodes_and_are_opened_as_any_source(world: World, pb: Any) -> None:
    layer = replace(LAYER, source_class=FRAME)

    name = world.made.add("TEST", layer)

    with closing(open_source(FRAME, locate(name), pb.Datum)) as source:
        assert len(source) == 2
        assert source.shape() == (1, 2, 3)
        assert source.ends() == ("0000000000/r0", "0000000001/r1")


def test_a_source_of_two_phases_is_converted_once_unless_the_phases_read_it_differently(world: World) -> None:
    layer = replace(LAYER, source_class=FRAME)
    names = [world.made.add(phase, layer) for phase in ("TRAIN", "TEST")]
    other = replace(layer, reading=Reading(("id", "label", "data")))
    names.append(world.made.add("TEST", other))

    assert world.times == 2
    assert len(set(names)) == 2
    assert [world.made.name(one) for one in (layer, other)] == names[1:]


def test_an_lmdb_is_not_converted(world: World, database: Callable[..., Path]) -> None:
    layer = replace(LAYER, source_class=LMDB, uri=f"file:{database(2)}")

    assert world.made.add("TRAIN", layer) == world.made.name(layer) == layer.uri
    assert world.made.decoded(layer) is layer


def test_an_lmdb_in_storage_is_a_folder_that_spark_distributes(world: World) -> None:
    name = world.made.add("TRAIN", replace(LAYER, source_class=LMDB))

    assert locate(name).is_dir()


@pytest.mark.parametrize(
    ("channels", "forced"), [(1, (False, True)), (3, (True, False)), (4, (False, False))]
)
def test_images_become_grey_or_coloured_as_the_layer_takes_them(
    world: World, channels: int, forced: tuple[bool, bool]
) -> None:
    layer = replace(LAYER, shape=(channels, 2, 3))
    world.made.add("TRAIN", layer)

    transform = world.made.decoded(layer).transform
    assert (transform.force_color, transform.force_gray) == forced


def test_what_the_layer_forces_goes_before_what_it_takes(world: World) -> None:
    layer = replace(LAYER, transform=Transform(force_color=True))
    world.made.add("TRAIN", layer)

    assert world.made.decoded(layer) == layer


def test_a_source_of_pixels_alone_is_left_as_it_is(world: World) -> None:
    # Caffe writes a line of its log for each raw record of a layer that forces colour.
    layer = replace(LAYER, source_class=FRAME)
    world.made.add("TRAIN", layer)

    assert world.made.decoded(layer) == layer


def test_image_encoded_holds_for_all_rows(world: World) -> None:
    layer = replace(LAYER, source_class=FRAME, reading=Reading(encoded=True))

    assert all(one.encoded for one in world.content(world.made.add("TRAIN", layer)).values())
    assert world.made.decoded(layer).transform.force_gray


def test_progress_is_told_while_records_are_converted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversion, "TOLD_S", -1.0)
    world.made.add("TRAIN", LAYER)

    assert world.shown.getvalue().splitlines() == [
        f"TRAIN records converted: {count}" for count in (1, 2, 3, 3)
    ]


def test_a_source_without_records_is_refused(world: World) -> None:
    world.pairs = []

    with pytest.raises(Refused, match="hdfs://h/s: it has no records"):
        world.made.add("TRAIN", LAYER)


def test_a_record_that_is_none_is_refused_by_its_position_and_id(world: World) -> None:
    world.rows.append(("r2", "three", b"mnopqr"))

    with pytest.raises(Refused, match=r"record 0000000002/r2 of hdfs://h/s: its label is 'three'"):
        world.made.add("TRAIN", replace(LAYER, source_class=FRAME))


def test_a_frame_without_the_columns_is_refused(world: World) -> None:
    layer = replace(LAYER, source_class=FRAME, reading=Reading(("id", "image as data")))

    with pytest.raises(Refused, match="it has no column label"):
        world.made.add("TRAIN", layer)


@pytest.mark.parametrize("layer", [LAYER, FRAMES], ids=["pairs", "columns"])
def test_spark_is_heard_with_the_first_record(world: World, layer: DataLayer) -> None:
    assert not world.made.heard()
    world.made.add("TRAIN", layer)
    assert world.made.heard()
    assert not world.made.heard(), "since the last look"


def test_columns_of_a_frame_reach_the_nodes_as_a_database_each_with_the_same_keys(
    world: World, pb: Any
) -> None:
    name = world.made.add("TRAIN", FRAMES)

    with closing(open_source(COLUMNS, locate(name), pb.Datum)) as source:
        assert len(source) == 2
        assert source.ends() == ("0000000000/r0", "0000000001/r1")
        paths = source.paths
    found = [world.content(f"file:{path}") for path in paths]
    assert [list(one) for one in found] == [["0000000000/r0", "0000000001/r1"]] * 2
    data, labels = (list(one.values()) for one in found)
    assert [one.data for one in data] == [b"abcdef", b"ghijkl"]
    assert [list(one.float_data) for one in labels] == [[3], [4]]
    assert world.shown.getvalue() == "TRAIN records converted: 2\n"


def test_columns_are_converted_again_only_for_other_columns(world: World) -> None:
    cropped = replace(
        FRAMES, shape=(1, 1, 1), columns=(TOPS[0]._replace(blob=Blob("x", (1, 1, 1), Transform())), TOPS[1])
    )
    names = [world.made.add(phase, layer) for phase, layer in (("TRAIN", FRAMES), ("TEST", cropped))]
    names.append(world.made.add("TEST", replace(FRAMES, columns=TOPS[1:])))

    assert world.times == 2
    assert names[0] == names[1] != names[2]
    assert world.made.decoded(FRAMES) is FRAMES
    assert world.made.name(FRAMES) == names[0]


def test_a_value_that_a_top_does_not_take_is_refused_by_its_record(world: World) -> None:
    world.rows.append(("r2", "three", b"mnopqr"))

    with pytest.raises(Refused, match=r'record 0000000002/r2 of hdfs://h/s: its column "label" is \'three\''):
        world.made.add("TRAIN", FRAMES)


def test_a_frame_without_rows_is_refused(world: World) -> None:
    world.rows = []

    with pytest.raises(Refused, match="hdfs://h/s: it has no records"):
        world.made.add("TRAIN", FRAMES)


def test_the_documented_source_of_ones_own_is_converted(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (Path(__file__).parents[3] / "docs" / "caffeonspark.md").read_text()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setitem(sys.modules, "digits_of_csv", None)
    del sys.modules["digits_of_csv"]
    (tmp_path / "digits_of_csv.py").write_text(text.partition("```python\n")[2].partition("```")[0])
    (tmp_path / "digits.csv").write_text("7,1,2,3,4,5,6\n3,9,8,7,6,5,4\n")
    layer = replace(LAYER, source_class="digits_of_csv.Digits", uri=str(tmp_path / "digits.csv"))

    found = world.content(world.made.add("TRAIN", layer))

    assert list(found) == ["0000000000/line-0", "0000000001/line-1"]
    assert [(one.label, one.data) for one in found.values()] == [
        (7, bytes(range(1, 7))),
        (3, bytes(range(9, 3, -1))),
    ]
    assert world.made.name(layer) != world.made.add("TEST", replace(layer, phase="TEST"))
    assert world.made.name(layer) != world.made.add("TRAIN", replace(layer, layer="other"))

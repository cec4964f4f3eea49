"""Kind of a user's files, by their content; what no job reads is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bootstrap.errors import ConfigError
from jobs.datasets.recognise import IMAGES, LMDB, MOST_FILES, PARQUET, SEQUENCE, Content, recognise
from tests.jobs.datasets.pictures import by_class, picture


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def frame(path: Path) -> None:
    write(path / "part-0.parquet", b"PAR1 rows")
    write(path / "_SUCCESS", b"")
    write(path / ".part-0.parquet.crc", b"crc")


def database(path: Path) -> None:
    write(path / "data.mdb", b"pages")
    write(path / "lock.mdb", b"")


def sequence(path: Path) -> None:
    write(path / "part-00000", b"SEQ\x06")


@pytest.mark.parametrize(
    ("make", "kind", "file"),
    [(database, LMDB, "data.mdb"), (frame, PARQUET, "part-0.parquet"), (sequence, SEQUENCE, "part-00000")],
)
def test_one_folder_is_stored_under_its_kind_and_several_under_their_names(
    tmp_path: Path, make: Callable[[Path], None], kind: str, file: str
) -> None:
    make(tmp_path / "one")
    for name in ("train_lmdb", "test_lmdb"):
        make(tmp_path / "several" / name)

    assert recognise(tmp_path / "one").stored == (f"{kind}/{file}",)
    several = recognise(tmp_path / "several")
    assert several.kind == kind
    assert several.stored == (f"test_lmdb/{file}", f"train_lmdb/{file}")


def test_a_single_file_is_a_frame_or_a_sequence_file(tmp_path: Path) -> None:
    assert recognise(write(tmp_path / "a.parquet", b"PAR1")).stored == ("parquet/a.parquet",)
    assert recognise(write(tmp_path / "part-0", b"SEQ\x06")).stored == ("sequence/part-0",)
    with pytest.raises(ConfigError, match="neither Parquet nor a sequence file"):
        recognise(write(tmp_path / "a.csv", b"1,2"))


def test_partitions_of_a_frame_are_part_of_it(tmp_path: Path) -> None:
    frame(tmp_path / "label=3")
    frame(tmp_path / "label=4")

    assert recognise(tmp_path).stored == (
        "parquet/label=3/part-0.parquet",
        "parquet/label=4/part-0.parquet",
    )


def records(content: Content) -> dict[str, list[tuple[str, int]]]:
    return {name: [(image.name, image.label) for image in each] for name, each in content.images.items()}


def test_images_by_class_have_labels_in_the_order_of_their_names_and_are_mixed(tmp_path: Path) -> None:
    content = recognise(by_class(tmp_path, ("dog", "cat", "elk"), 20))

    assert (content.kind, content.classes) == (IMAGES, ("cat", "dog", "elk"))
    assert content.stored == ("classes.txt", "lmdb/data.mdb")
    found = records(content)["lmdb"]
    assert sorted(found) == sorted(
        (f"{name}/{i}.png", label) for label, name in enumerate(content.classes) for i in range(20)
    )
    labels = [label for _, label in found]
    assert labels != sorted(labels)
    assert records(recognise(tmp_path)) == records(content), "the same every time"


def test_train_and_test_share_their_classes(tmp_path: Path) -> None:
    by_class(tmp_path / "train", ("cat", "dog"))
    by_class(tmp_path / "test", ("dog", "ant"), 1)

    content = recognise(tmp_path)

    assert content.classes == ("ant", "cat", "dog")
    assert content.stored == ("classes.txt", "test_lmdb/data.mdb", "train_lmdb/data.mdb")
    assert sorted(records(content)["test_lmdb"]) == [("ant/0.png", 0), ("dog/0.png", 2)]


def test_a_file_of_labels_says_which_images_in_which_order(tmp_path: Path) -> None:
    for name in ("b.jpg", "a b.jpg"):
        picture(tmp_path / "images" / name)
    write(tmp_path / "images" / "README", b"no image")
    (tmp_path / "images" / "labels.txt").write_text("b.jpg 7\n\na b.jpg\t0\n")
    other = write(tmp_path / "other", b"b.jpg 1\na b.jpg 1\n")

    assert records(recognise(tmp_path / "images")) == {"lmdb": [("b.jpg", 7), ("a b.jpg", 0)]}
    assert records(recognise(tmp_path / "images", other)) == {"lmdb": [("b.jpg", 1), ("a b.jpg", 1)]}
    other.unlink()
    assert recognise(tmp_path).stored == ("images_lmdb/data.mdb",)


@pytest.mark.parametrize(
    "line",
    ["a.jpg", "a.jpg -1", "a.jpg 1.0", "a.jpg 2147483648", "a.jpg " + "9" * 5000, "a.jpg ٣", "no.jpg 1"],
)
def test_a_line_that_labels_nothing_is_named(tmp_path: Path, line: str) -> None:
    picture(tmp_path / "a.jpg")
    (tmp_path / "labels.txt").write_text(f"a.jpg 1\n{line}\n")

    with pytest.raises(ConfigError, match=r"labels.txt, line 2: "):
        recognise(tmp_path)


def mixed(path: Path) -> None:
    database(path / "a")
    frame(path / "b")


def with_a_mean(path: Path) -> None:
    database(path / "a")
    write(path / "mean", b"x")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "there is no such file or folder"),
        (lambda path: path.mkdir(), "it holds none of these: an LMDB, images by class"),
        (lambda path: picture(path / "a.jpg"), "it holds none of these"),
        (lambda path: write(path / "cat" / "a.jpg", b"text"), "not a JPEG, PNG or BMP image"),
        (lambda path: picture(path / "cat" / "a.gif"), "not a JPEG, PNG or BMP image"),
        (lambda path: (by_class(path), picture(path / "a.jpg")), "a.jpg is in no class"),
        (lambda path: [picture(path / n / "a.jpg") for n in ("train", "test")], "without classes"),
        (mixed, "of several kinds (a: lmdb, b: parquet)"),
        (with_a_mean, "mean is beside its folders"),
        (lambda path: picture(path / "c\nd" / "a.jpg"), "is not a valid name of a class"),
        (lambda path: write(path / "a[1].parquet", b"PAR1"), "must not have"),
        (lambda path: (by_class(path / "train"), (path / "test").mkdir()), "test: it holds no images"),
        (lambda path: write(path / "labels.txt", b""), "it holds no images"),
        (lambda path: write(path / "labels.txt", b"\xff 1"), "not text in UTF-8"),
    ],
)
def test_what_no_job_reads_is_refused(tmp_path: Path, make: Callable[[Path], object], words: str) -> None:
    make(tmp_path / "data")

    with pytest.raises(ConfigError) as refused:
        recognise(tmp_path / "data")
    assert words in str(refused.value)


def test_images_that_a_file_of_labels_does_not_list_are_refused(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.png", "more/c.jpg", "d.gif"):
        picture(tmp_path / name)
    (tmp_path / "labels.txt").write_text("a.jpg 1\n")

    with pytest.raises(
        ConfigError, match=r"no line for 3 of the images below .*: b.png, d.gif, more/c.jpg\."
    ):
        recognise(tmp_path)


def test_images_that_a_file_of_labels_elsewhere_does_not_list_are_counted(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.png", "more/c.jpg"):
        picture(tmp_path / "images" / name)
    labels = write(tmp_path / "train.txt", b"a.jpg 1\n")

    content = recognise(tmp_path / "images", labels)

    assert records(content) == {"lmdb": [("a.jpg", 1)]}
    assert content.unlisted == 2


@pytest.mark.parametrize("name", ["a.jpg", "./a.jpg", "more/../a.jpg"])
def test_an_image_with_two_labels_is_refused_by_its_line(tmp_path: Path, name: str) -> None:
    picture(tmp_path / "a.jpg")
    picture(tmp_path / "more" / "b.jpg")
    (tmp_path / "labels.txt").write_text(f"a.jpg 0\nmore/b.jpg 0\n{name} 0\n{name} 1\n")

    with pytest.raises(
        ConfigError, match=r"labels.txt, line 4: .*a.jpg has the label 0 in line 1, and 1 here"
    ):
        recognise(tmp_path)


def test_a_link_to_a_folder_is_refused_by_name(tmp_path: Path) -> None:
    by_class(tmp_path / "pets")
    (tmp_path / "pets" / "cat" / "again").symlink_to(".")
    with pytest.raises(ConfigError, match=r"cat/again: it is a link to a folder"):
        recognise(tmp_path / "pets")

    (tmp_path / "pets" / "cat" / "again").unlink()
    (tmp_path / "linked").symlink_to("pets")
    assert len(records(recognise(tmp_path / "linked"))["lmdb"]) == 6, "the folder itself may be a link"
    (tmp_path / "pets" / "cat" / "1.png").unlink()
    (tmp_path / "pets" / "cat" / "1.png").symlink_to("gone.png")
    with pytest.raises(ConfigError, match=r"cat/1.png: it is a link to nothing"):
        recognise(tmp_path / "pets")


def test_folders_in_a_class_belong_to_it(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        picture(tmp_path / name / "2020" / "a.png")

    content = recognise(tmp_path)

    assert content.classes == ("cat", "dog")
    assert sorted(records(content)["lmdb"]) == [("cat/2020/a.png", 0), ("dog/2020/a.png", 1)]


@pytest.mark.parametrize(
    "name",
    [
        *["Train", "testing", "VAL", "val2017", "test1", "eval", "validation", "trainval", "dev"],
        *[
            "training_set",
            "test-images",
            "seg_train",
            "images_val",
            "train-data",
            "valid_split",
            "test_set_2",
        ],
        *["trainset", "data_test", "Images-Train2017"],
    ],
)
def test_folders_named_as_sets_are_sets(tmp_path: Path, name: str) -> None:
    by_class(tmp_path / "train")
    by_class(tmp_path / f"x_{name}", count=1)
    with pytest.raises(ConfigError, match=f"train is the name of a set, and x_{name} beside it is not"):
        recognise(tmp_path)

    (tmp_path / f"x_{name}").rename(tmp_path / name)
    assert sorted(records(recognise(tmp_path))) == sorted(["train_lmdb", f"{name}_lmdb"])


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (["train/cat/a", "eval/b"], "eval has images without classes"),
        (["Train/a", "Test/b"], "Test, Train has images without classes"),
        (["train/a", "val2017/b"], "train, val2017 has images without classes"),
        (["cat/train/a", "cat/test/a", "dog/train/a"], "test is the name of a set, in the place of a class"),
        (["train/val/a", "train/cat/a"], "val is the name of a set, in the place of a class"),
        (["train/pets/cat/a", "test/pets/dog/a"], "pets would be its only class, and holds folders alone"),
        (["pets/cat/a", "pets/dog/a"], "pets would be its only class, and holds folders alone"),
        (
            ["a/cat/1", "a/dog/1", "b/cat/1", "b/dog/1", "b/elk/1"],
            "a and b hold the same folders cat, dog, so they may be sets or classes",
        ),
        (
            ["train/a/cat/1", "train/a/dog/1", "train/b/cat/1", "train/b/dog/1"],
            "a and b hold the same folders cat, dog",
        ),
        (["dev/cat/1", "dev/dog/1", "prod/cat/1", "prod/dog/1"], "dev is the name of a set, and prod beside"),
        (["set/training_set/cat/1", "set/test_set/cat/1"], "is the name of a set, in the place of a class"),
        (["train/1", "cat/1"], "train is the name of a set, and cat beside it is not"),
        (["train/1", "test/1", "cat/1", "dog/1", "elk/1"], "test, train is the name of a set, and cat, dog"),
        (["train/cat/1", "car/1", "bus/1"], "train is the name of a set, and bus, car beside it is not"),
        (["train/1", "raw/cat/1", "made/cat/1"], "train is the name of a set, and made, raw beside it"),
        (
            ["train/val/x/1", "train/cat/1", "train/dog/1"],
            "val is the name of a set, in the place of a class",
        ),
    ],
)
def test_folders_that_are_not_clearly_classes_are_refused(
    tmp_path: Path, images: list[str], words: str
) -> None:
    for name in images:
        picture(tmp_path / f"{name}.png")
    with pytest.raises(ConfigError, match=words):
        recognise(tmp_path)


@pytest.mark.parametrize("below", ["", "train/", "test_set/"])
def test_one_class_among_several_may_have_the_name_of_a_set(tmp_path: Path, below: str) -> None:
    for name in ("bus", "car", "train"):
        picture(tmp_path / f"{below}{name}" / "1.png")

    content = recognise(tmp_path)

    assert content.classes == ("bus", "car", "train")
    assert list(content.images) == [f"{below[:-1]}_lmdb" if below else "lmdb"]


def test_folders_of_one_same_name_belong_to_their_classes(tmp_path: Path) -> None:
    for name in ("n01/images/1", "n02/images/1", "n02/more/1"):
        picture(tmp_path / f"{name}.png")
    assert recognise(tmp_path).classes == ("n01", "n02")


def test_a_class_without_images_is_refused(tmp_path: Path) -> None:
    by_class(tmp_path)
    (tmp_path / "ant").mkdir()
    with pytest.raises(ConfigError, match=r"ant: it is a folder of a class, and holds no images"):
        recognise(tmp_path)


def test_what_lies_beside_a_database_is_named(tmp_path: Path) -> None:
    database(tmp_path)
    database(tmp_path / "test")
    with pytest.raises(ConfigError, match=r"test/data.mdb is beside its data.mdb"):
        recognise(tmp_path)


def test_a_frame_of_very_many_files_is_refused(tmp_path: Path) -> None:
    for number in range(MOST_FILES + 1):
        write(tmp_path / f"{number}.parquet", b"PAR1")
    with pytest.raises(ConfigError, match="2,001 files"):
        recognise(tmp_path)


def test_the_digest_changes_with_anything_that_is_stored(tmp_path: Path) -> None:
    by_class(tmp_path)
    digests = {recognise(tmp_path).digest(), recognise(tmp_path).digest()}
    picture(tmp_path / "cat" / "0.png", (9, 9, 9))
    digests.add(recognise(tmp_path).digest())
    (tmp_path / "cat").rename(tmp_path / "hen")
    digests.add(recognise(tmp_path).digest())
    assert len(digests) == 3

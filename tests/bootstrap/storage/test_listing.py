"""Listings of shared storage, as Hadoop's client prints them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap.errors import CommandFailed
from bootstrap.storage.hadoop import SharedStorage
from bootstrap.storage.listing import Count, Entry, counted, listed
from tests.bootstrap.local_node import HDFS, LocalNode

LS = """Found 3 items
drwxr-xr-x   - spark supergroup          0 2026-11-30 09:12 hdfs://head:9000/jobs/mnist-1/features
-rw-r--r--   3 spark supergroup    1725174 2026-11-30 09:11 hdfs://head:9000/jobs/mnist-1/a b.caffemodel
-rw-r--r--   3 spark supergroup        171 2026-11-30 09:11 hdfs://head:9000/jobs/mnist-1/a_iter_5.feed.json
"""
COUNT = """\
           1            0                  0 hdfs://head:9000/jobs/mnist-1
           3           12           34567890 hdfs://head:9000/jobs/mnist-2
"""


@pytest.fixture
def node(tmp_path: Path) -> LocalNode:
    return LocalNode(tmp_path)


@pytest.fixture
def storage(node: LocalNode) -> SharedStorage:
    return SharedStorage(node, "s3a://bucket")


def test_files_and_folders_have_their_names_and_sizes(node: LocalNode, storage: SharedStorage) -> None:
    node.fake("hdfs", f"cat <<'LS'\n{LS}LS\n")

    assert listed(storage, "/jobs/mnist-1") == [
        Entry("features", True, 0),
        Entry("a b.caffemodel", False, 1725174),
        Entry("a_iter_5.feed.json", False, 171),
    ]


def test_each_folder_is_counted_with_all_that_is_in_it(node: LocalNode, storage: SharedStorage) -> None:
    node.fake("hdfs", f"cat <<'COUNT'\n{COUNT}COUNT\n")

    assert counted(storage, "/jobs") == [Count("mnist-1", 1, 0, 0), Count("mnist-2", 3, 12, 34567890)]


def test_a_folder_that_is_not_there_has_nothing(node: LocalNode, storage: SharedStorage) -> None:
    node.fake("hdfs", HDFS)

    assert listed(storage, "/jobs/mnist-9") == []
    assert counted(storage, "/jobs") == []


def test_a_refusal_is_an_error(node: LocalNode, storage: SharedStorage) -> None:
    node.fake("hdfs", "echo 'ls: quota of something' >&2; exit 1")

    with pytest.raises(CommandFailed, match="quota of something"):
        listed(storage, "/jobs")

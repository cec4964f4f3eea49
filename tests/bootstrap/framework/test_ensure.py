"""Sources of the framework: storage, else the cache, else a build; recovery from a damaged copy."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest
from rich.console import Console

from bootstrap.cluster import S3, Cluster
from bootstrap.errors import ConfigError, StackError, StepFailed
from bootstrap.framework import Framework, cache, ensure, ensure_framework, store
from bootstrap.framework import search as searching
from bootstrap.framework.key import inputs_of, key_of
from bootstrap.framework.manifest import Manifest, built_now
from bootstrap.framework.recipe import Recipe
from bootstrap.framework.search import Found, Search
from bootstrap.ssh import reconnect, remote
from bootstrap.storage.bucket import Bucket
from bootstrap.storage.hadoop import SharedStorage
from tests.at_once import at_once
from tests.bootstrap.framework.conftest import FACTS
from tests.bootstrap.local_node import HDFS, LocalNode
from tests.cloud.aws_account import REGION
from tests.signing import SIGNING_KEY

ARCHIVE = b"archive"


class World:
    """A head with storage; builds and role applications are counted, not done."""

    def __init__(self, folder: Path, recipe: Recipe, cluster: Cluster) -> None:
        self.node = LocalNode(folder)
        self.node.fake("hdfs", HDFS)
        self.cluster, self.recipe = cluster, recipe
        self.builds = 0
        self.distributions = {"w1": FACTS.distribution, "w2": FACTS.distribution}
        self.applied: list[dict[str, Any]] = []
        self.fail: Callable[[], None] = lambda: None
        self.console = Console(file=(folder / "console").open("w+"), width=300)

    @contextmanager
    def connect(self, *_: object) -> Iterator[LocalNode]:
        yield self.node

    def compile(self, head: LocalNode, recipe: Recipe, *args: Any, **_: object) -> tuple[Manifest, str]:
        _facts, key, inputs = args
        self.builds += 1
        out = self.node.folder / "out"
        out.mkdir(exist_ok=True)
        (out / "caffe.tar.gz").write_bytes(ARCHIVE)
        manifest = Manifest(
            key=key,
            sha256=hashlib.sha256(ARCHIVE).hexdigest(),
            size=7,
            unpacked=9,
            packages=["libx"],
            inputs={"recipe": inputs["recipe"], "distribution": inputs["distribution"]},
            built=built_now("head", 2, {"Compile": 1.0}),
        )
        return manifest, str(out / "caffe.tar.gz")

    def apply(self, cluster: Cluster, roles: list[str], *, given: dict[str, Any], **_: object) -> None:
        assert roles == ["caffe"]
        self.applied.append(given)
        self.fail()

    def ensure(self) -> Framework:
        return ensure_framework(self.cluster, "small", console=self.console)

    @property
    def stored(self) -> Path:
        """The artefact's folder in the stand-in for storage."""
        key = key_of(inputs_of(self.recipe, FACTS))
        return self.node.folder / "state" / "dfs" / "frameworks" / "caffe" / key

    @property
    def bucket(self) -> Bucket:
        """The bucket as the operator reaches it."""
        assert isinstance(self.cluster.storage, S3)
        return Bucket.of(self.cluster.storage)

    @property
    def said(self) -> str:
        """Output of the console."""
        self.console.file.flush()
        return (self.node.folder / "console").read_text()


@pytest.fixture
def world(
    tmp_path: Path,
    rewrite: Callable[..., Recipe],
    cluster: Cluster,
    monkeypatch: pytest.MonkeyPatch,
    aws_account: None,
) -> World:
    boto3.client("s3", region_name=REGION).create_bucket(
        Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    (tmp_path / "node").mkdir()
    # No NameNode to ask.
    away = cluster.model_copy(update={"storage": S3(uri="s3a://bucket", region=REGION)})
    world = World(tmp_path / "node", rewrite(), away)
    for module in (remote, reconnect):
        monkeypatch.setattr(module, "connect", world.connect)
    monkeypatch.setattr(ensure, "load_recipe", lambda *_: world.recipe)
    monkeypatch.setattr(ensure, "read_facts", lambda _: FACTS)
    monkeypatch.setattr(ensure, "compile_on_head", world.compile)
    monkeypatch.setattr(ensure, "apply", world.apply)
    monkeypatch.setattr(ensure, "distributions", lambda _: world.distributions)
    monkeypatch.setattr(ensure, "folder_of", lambda key: str(tmp_path / "node" / key))
    return world


def test_the_first_time_it_is_compiled_pushed_cached_and_spread(world: World) -> None:
    framework = world.ensure()
    assert (framework.origin, world.builds) == ("compiled", 1)
    assert framework.uri == f"s3a://bucket/frameworks/caffe/{framework.key}/caffe.tar.gz"
    assert (world.stored / "caffe.tar.gz").read_bytes() == ARCHIVE
    signed = (world.stored / "manifest.json").read_bytes()
    assert Manifest.from_bytes(SIGNING_KEY.unseal("framework", signed, "", ""), "x") == framework.manifest
    assert cache.find(framework.key) is not None
    assert world.applied == [
        {
            "framework_key": framework.key,
            "framework_sha256": framework.sha256,
            "framework_uri": framework.uri,
            "framework_packages": ["libx"],
            "framework_distribution": FACTS.distribution,
            "framework_test": "print('works')\n",
        }
    ]


def test_the_second_time_nothing_is_compiled(world: World) -> None:
    world.ensure()
    assert (world.ensure().origin, world.builds) == ("present", 1)


def search(world: World, monkeypatch: pytest.MonkeyPatch) -> Found | None:
    monkeypatch.setattr(searching, "read_facts", lambda *_, **__: FACTS)
    return Search(world.cluster, world.recipe, world.connect).result()


def test_what_a_search_has_found_is_spread_without_another_look(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = world.ensure()
    found = search(world, monkeypatch)
    world.node.fake("hdfs", "exit 3")

    again = ensure_framework(world.cluster, "small", console=world.console, found=found)

    assert (again.origin, again.sha256, len(world.applied)) == ("present", first.sha256, 2)


@pytest.mark.parametrize("file", ["caffe.tar.gz", "manifest.json"])
def test_a_search_leaves_what_is_missing_or_damaged_to_others_and_says_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    assert search(world, monkeypatch) is None
    world.ensure()
    said = world.said
    (world.stored / file).write_text("{}")

    assert search(world, monkeypatch) is None
    assert (world.stored / file).read_text() == "{}"
    assert world.said == said


def test_a_new_cluster_is_fed_from_the_operators_cache(world: World) -> None:
    first = world.ensure()
    for file in world.stored.iterdir():
        file.unlink()
    again = world.ensure()
    assert (again.origin, world.builds, again.sha256) == ("cache", 1, first.sha256)
    assert (world.stored / "caffe.tar.gz").read_bytes() == ARCHIVE


def test_an_operator_without_a_copy_gets_one_from_storage(world: World, own_cache: Path) -> None:
    first = world.ensure()
    own_cache.rename(own_cache.with_name("lost"))
    assert world.ensure().origin == "present"
    assert cache.find(first.key) is not None


@pytest.mark.parametrize("file", ["caffe.tar.gz", "manifest.json"])
def test_a_damaged_artefact_in_storage_is_named_and_replaced(world: World, file: str) -> None:
    framework = world.ensure()
    (world.stored / file).write_text("{}")
    assert world.ensure().origin == "cache"
    assert f"{framework.key}/{file}" in world.said
    assert (world.stored / "caffe.tar.gz").read_bytes() == ARCHIVE


def test_damaged_in_storage_and_in_the_cache_it_is_compiled_again(world: World) -> None:
    framework = world.ensure()
    (world.stored / "caffe.tar.gz").write_text("damaged")
    (cache.folder(framework.key) / "caffe.tar.gz").write_text("damaged")
    assert (world.ensure().origin, world.builds) == ("compiled", 2)


def test_an_upload_that_was_cut_off_counts_as_nothing(world: World) -> None:
    world.ensure()
    (world.stored / "manifest.json").unlink()
    assert world.ensure().origin == "cache"


def test_an_artefact_damaged_while_nodes_fetch_it_is_replaced_once(world: World) -> None:
    world.ensure()

    def damage_once() -> None:
        world.fail = lambda: None
        (world.stored / "caffe.tar.gz").write_text("damaged")
        raise StepFailed("w1", "sha256 is 1, expected 2", "Again.")

    world.fail = damage_once
    assert world.ensure().origin == "cache"
    assert len(world.applied) == 3


def test_a_node_that_fails_for_another_reason_is_the_callers(world: World) -> None:
    world.ensure()

    def fail() -> None:
        raise StepFailed("w1", "no disk", "Free some.")

    world.fail = fail
    with pytest.raises(StepFailed, match="no disk"):
        world.ensure()


def test_workers_of_another_distribution_are_named_before_anything_is_compiled(world: World) -> None:
    world.distributions["w2"] = "ubuntu-22.04"
    with pytest.raises(ConfigError, match=f"head is {FACTS.distribution}, w2 is ubuntu-22.04"):
        world.ensure()
    assert (world.builds, world.applied) == (0, [])


def current(world: World) -> dict[str, str]:
    document = world.bucket.read("cluster/framework/current.json") or b""
    found: dict[str, str] = json.loads(SIGNING_KEY.unseal("joining", document, "", ""))
    script = world.bucket.read(found["script_key"]) or b""
    assert hashlib.sha256(script).hexdigest() == found["sha256"]
    return found


def test_machines_that_join_later_find_the_framework_in_the_bucket(world: World) -> None:
    framework = world.ensure()
    assert current(world)["key"] == framework.key
    assert "workers that join from now on" in world.said


def test_what_is_published_already_is_not_written_again(world: World) -> None:
    world.ensure()
    world.ensure()
    assert world.said.count("workers that join from now on") == 1


SLOW = HDFS.replace("\ncase $verb in", "\nsleep 0.0$(($$ % 10))\ncase $verb in")
"""The stand-in for storage, with a moment before each call's effect."""


def left_on_head(world: World) -> list[str]:
    return [path.name for path in world.node.folder.glob("*/*") if path.name.startswith(("scratch", "from-"))]


def test_two_operators_who_feed_a_new_cluster_at_once_both_succeed(world: World) -> None:
    first = world.ensure()
    world.node.fake("hdfs", SLOW)
    for file in world.stored.iterdir():
        file.unlink()
    both = at_once(world.ensure, world.ensure)
    assert {framework.sha256 for framework in both} == {first.sha256}
    assert world.builds == 1
    assert (world.stored / "caffe.tar.gz").read_bytes() == ARCHIVE
    assert left_on_head(world) == []


def test_two_operators_without_a_copy_both_get_one(
    world: World, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = world.ensure()
    world.node.fake("hdfs", SLOW)
    own_cache.rename(own_cache.with_name("lost"))
    get = world.node.get

    def slow(path: str, to: Path) -> None:
        time.sleep(0.2)
        get(path, to)

    monkeypatch.setattr(world.node, "get", slow)
    both = at_once(world.ensure, world.ensure)
    assert {framework.origin for framework in both} == {"present"}
    assert cache.find(first.key) is not None
    assert left_on_head(world) == []


def test_an_artefact_that_somebody_else_has_put_meanwhile_is_the_one_that_is_spread(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one key, and with other bytes: nodes must be told the sum of those that storage has."""
    first = world.ensure()
    theirs = first.manifest.model_copy(update={"sha256": hashlib.sha256(b"theirs").hexdigest()})
    storage = SharedStorage(world.node, "s3a://bucket")
    storage.remove("/frameworks")

    @contextmanager
    def meanwhile(*arguments: Any) -> Iterator[str]:
        with scratch(*arguments) as folder:
            (world.node.folder / "theirs").write_bytes(b"theirs")
            store.push(world.node, storage, SIGNING_KEY, theirs, str(world.node.folder / "theirs"))
            yield folder

    scratch = ensure._scratch
    monkeypatch.setattr(ensure, "_scratch", meanwhile)
    assert world.ensure().sha256 == theirs.sha256
    assert (world.stored / "caffe.tar.gz").read_bytes() == b"theirs"


def test_of_two_scripts_published_at_once_each_is_whole_and_one_is_current(world: World) -> None:
    bucket = world.bucket
    for number in range(3):
        at_once(
            partial(store.publish, bucket, SIGNING_KEY, "key", f"ann {number}"),
            partial(store.publish, bucket, SIGNING_KEY, "key", f"bob {number}"),
        )
        current(world)  # its script has the sum that it names


def evil_pair(world: World) -> None:
    """An archive and a manifest that agree with each other, as a job could write them."""
    archive = b"evil"
    document = json.loads((world.stored / "manifest.json").read_text())
    manifest = json.loads(document["payload"])
    manifest |= {"sha256": hashlib.sha256(archive).hexdigest(), "packages": ["evil"]}
    (world.stored / "caffe.tar.gz").write_bytes(archive)
    (world.stored / "manifest.json").write_text(json.dumps({**document, "payload": json.dumps(manifest)}))


@pytest.mark.parametrize("cached", [True, False])
def test_an_archive_and_manifest_that_somebody_else_wrote_are_replaced_and_never_installed(
    cached: bool, world: World, own_cache: Path
) -> None:
    good = world.ensure()
    if not cached:
        own_cache.rename(own_cache.with_name("lost"))
    evil_pair(world)
    again = world.ensure()
    assert (again.sha256, again.origin) == (good.sha256, "cache" if cached else "compiled")
    assert "the stack's key has not signed it" in world.said
    assert {given["framework_sha256"] for given in world.applied} == {good.sha256}
    assert (world.stored / "caffe.tar.gz").read_bytes() == ARCHIVE
    kept = cache.find(good.key)
    assert kept is not None
    assert kept.manifest.sha256 == good.sha256


def test_a_stack_without_a_key_is_refused_before_anything_is_done(world: World) -> None:
    world.cluster = world.cluster.model_copy(update={"signing": None})
    with pytest.raises(StackError, match="no key to sign"):
        world.ensure()
    assert (world.builds, world.applied) == (0, [])


def test_what_is_too_large_for_the_way_stays_in_shared_storage(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ensure, "CACHED_MOST", 6)
    for origin in ("compiled", "present"):
        framework = world.ensure()
        assert framework.origin == origin
        assert cache.find(framework.key) is None

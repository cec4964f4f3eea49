"""Installation of the framework: from storage, the operator's cache or a build, to every node."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from rich.console import Console

from bootstrap import paths, script_actions
from bootstrap.aside import token
from bootstrap.cluster import S3, Cluster, ClusterDocument, Node
from bootstrap.console import TerminalConsole
from bootstrap.engine.execute import apply
from bootstrap.errors import CaffeSparkError, ConfigError, IntegrityError, StepFailed
from bootstrap.framework import cache, store
from bootstrap.framework.build import announcement, compile_on_head
from bootstrap.framework.key import (
    inputs_of,
    key_of,
    read_facts,
    require_same_distribution,
)
from bootstrap.framework.manifest import ARCHIVE, Manifest
from bootstrap.framework.recipe import Recipe, load_recipe, require_devices
from bootstrap.framework.search import Found
from bootstrap.framework.steps import folder_of
from bootstrap.join.user_data import framework_script
from bootstrap.script_actions import ScriptAction
from bootstrap.signing import SigningKey
from bootstrap.ssh import remote as ssh
from bootstrap.ssh.on_all import on_all
from bootstrap.ssh.reconnect import Link
from bootstrap.ssh.remote import Connect, Remote
from bootstrap.storage.hadoop import SharedStorage

Origin = Literal["present", "cache", "compiled"]

FRAMEWORK_ACTION = "caffe"
CACHED_MOST = 100 * 10**6
"""Bytes. Caffe for CPUs is 2 MB; with NVIDIA's libraries it is 700 MB, which a session through SSM would
carry for an hour, and a new stack's head compiles in less."""


@dataclass(frozen=True)
class Framework:
    """A verified artefact in shared storage: `uri` of its archive, `seconds` that it took to get it there."""

    key: str
    sha256: str
    uri: str
    manifest: Manifest
    origin: Origin
    seconds: float
    node_test: str = field(repr=False)
    """Program that shows on a node that the framework works there."""

    def variables(self) -> dict[str, Any]:
        """Return the variables of role `caffe`."""
        return {
            "framework_key": self.key,
            "framework_sha256": self.sha256,
            "framework_uri": self.uri,
            "framework_packages": self.manifest.packages,
            "framework_distribution": self.manifest.inputs["distribution"],
            "framework_test": self.node_test,
        }


def ensure_framework(
    cluster: Cluster,
    recipe: str | Recipe = "caffe-cpu",
    *,
    overrides: Mapping[str, Any] | None = None,
    console: Console | None = None,
    connect: Connect | None = None,
    found: Found | None = None,
) -> Framework:
    """Install the framework of a recipe on every node; compile at most once per key.

    HDFS has to be up (roles common, hadoop, spark). `overrides` of a recipe named are `opencv` and `source`.
    `found` is the result of a `Search` since which nothing has changed.

    Raises:
        StackError: the stack has no signing key.
        ConfigError: the recipe, an override, or the cluster's kind is refused; nothing has been done.
        Unreachable: the head does not answer.
        ServiceDown: shared storage takes no writes.
        BuildError: it did not compile.
        IntegrityError: the source's sha256 differs from the recipe's.
        ConfigError: a worker runs another distribution than the head.
        StepFailed: the installation failed on a node; the others have it.
    """
    console, connect = console or TerminalConsole(), connect or ssh.connect
    loaded = load_recipe(recipe, overrides) if isinstance(recipe, str) else recipe
    require_devices(loaded, cluster)
    signing = cluster.signing_key
    framework = _get(cluster, signing, loaded, console, connect=connect, found=found)
    try:
        _spread(cluster, framework, console, connect)
    except StepFailed:
        # The artefact may have been damaged between its check and a node's: then replace it, once.
        again = _get(cluster, signing, loaded, console, connect=connect)
        if again.origin == "present":
            raise
        framework = again
        _spread(cluster, framework, console, connect)
    if isinstance(cluster.storage, S3):
        _publish(cluster, cluster.storage, framework, console)
    return framework


def _spread(cluster: Cluster, framework: Framework, console: Console, connect: Connect) -> None:
    """Install on every node: over SSH, or as a script action that also runs on joining nodes."""
    if not cluster.takes_script_actions:
        apply(cluster, ["caffe"], given=framework.variables(), console=console, connect=connect)
        return
    tree = f"{paths.CAFFE_VERSIONS}/{framework.key}"
    probe = f'[ "$(readlink {paths.CAFFE_HOME})" = {tree} ] && [ -d {tree}/python/caffe ]'
    action = ScriptAction(FRAMEWORK_ACTION, framework_script(cluster, framework.variables()), probe=probe)
    script_actions.run(cluster, action, console)


def require_persisted(cluster: ClusterDocument) -> str:
    """Return the name of the persisted script action that installs the framework; contacts no host.

    Raises:
        ConfigError: none persists.
        StackError, ServiceDown: Azure or storage refuses, or cannot be reached.
    """
    for one in script_actions.persisted(cluster):
        if one.name == FRAMEWORK_ACTION:
            return one.uri.rpartition("/")[2].removesuffix(".sh")
    raise ConfigError(
        f"stack {cluster.stack!r}",
        "no framework has been spread on it yet",
        f"Run `fab build-headnode --stack {cluster.stack}`.",
    )


def _publish(cluster: Cluster, storage: S3, framework: Framework, console: Console) -> None:
    """Publish the installation script for machines that join without an operator."""
    # importing boto3 takes a third of a second, which clusters without a bucket do not need
    from bootstrap.storage.bucket import Bucket

    script = framework_script(cluster, framework.variables())
    if store.publish(Bucket.of(storage), cluster.signing_key, framework.key, script):
        console.print(f"Framework {framework.key}: workers that join from now on take it by themselves")


def _get(
    cluster: Cluster,
    signing: SigningKey,
    recipe: Recipe,
    console: Console,
    *,
    connect: Connect,
    found: Found | None = None,
) -> Framework:
    """Return the artefact in storage, after storing it if it is missing."""
    begun = time.monotonic()
    with Link(cluster, first=connect) as link:
        head = link.remote
        storage = SharedStorage(head, cluster.shared_storage)
        origin: Origin = "present"
        manifest: Manifest | None
        if found is not None:
            facts, inputs, key, manifest = found.facts, found.inputs, found.key, found.manifest
        else:
            facts = read_facts(head)
            inputs = inputs_of(recipe, facts)
            key = key_of(inputs)
            storage.require_writable()
            manifest = _in_storage(storage, signing, key, console)
        if manifest is None:
            require_same_distribution(facts.distribution, distributions(cluster))
            origin = "cache"
            manifest = _from_cache(head, storage, signing, key, console)
        if manifest is None:
            origin = "compiled"
            console.print(
                announcement(recipe, facts, key, cluster.head.name), soft_wrap=True, highlight=False
            )
            manifest, archive = compile_on_head(
                head,
                recipe,
                facts,
                key,
                inputs,
                console=console,
                reconnect=link.reconnect,
                stack=cluster.stack,
            )
            head = link.remote  # another one where the first was lost during the build
            _remember(head, manifest, archive)
            storage = SharedStorage(head, cluster.shared_storage)
            # Another operator who followed this build may have pushed it, and nodes may be reading it.
            manifest = store.push(head, storage, signing, manifest, archive)
        elif origin == "present" and not cache.folder(key).exists() and manifest.size <= CACHED_MOST:
            with _scratch(head, key) as folder:
                storage.fetch(store.archive(key), f"{folder}/{ARCHIVE}")
                _remember(head, manifest, f"{folder}/{ARCHIVE}")
        uri = storage.url(store.archive(key))
    seconds = time.monotonic() - begun
    console.print(_summary(manifest, origin, uri, seconds), soft_wrap=True, highlight=False)
    return Framework(key, manifest.sha256, uri, manifest, origin, round(seconds, 1), recipe.node_test)


def distributions(cluster: Cluster) -> dict[str, str]:
    """Return the distribution of each worker, e.g. `{"w1": "debian-12"}`.

    Raises:
        Unreachable: one does not answer.
    """

    def ask(node: Node) -> str:
        with ssh.connect(cluster, node) as remote:
            return remote.run('. /etc/os-release; echo "$ID-$VERSION_ID"', timeout=30).stdout.strip()

    names = [node.name for node in cluster.workers]
    return dict(zip(names, on_all(cluster.workers, ask), strict=True))


def _in_storage(storage: SharedStorage, signing: SigningKey, key: str, console: Console) -> Manifest | None:
    try:
        return store.find(storage, signing, key)
    except IntegrityError as error:
        console.print(
            f"Not valid, and replaced now: {error.given}: {error.why}", style="yellow", soft_wrap=True
        )
        storage.remove(store.folder(key))
        return None


def _from_cache(
    head: Remote, storage: SharedStorage, signing: SigningKey, key: str, console: Console
) -> Manifest | None:
    try:
        cached = cache.find(key)
    except IntegrityError as error:
        console.print(f"Damaged, and dropped: {error.given}: {error.why}", style="yellow", soft_wrap=True)
        return None
    if cached is None:
        return None
    with _scratch(head, key) as folder:
        head.put(cached.archive, f"{folder}/{ARCHIVE}")
        return store.push(head, storage, signing, cached.manifest, f"{folder}/{ARCHIVE}")


@contextmanager
def _scratch(head: Remote, key: str) -> Iterator[str]:
    """Yield a folder on the head for this run alone; remove it at the end."""
    folder = f"{folder_of(key)}/scratch-{token()}"
    try:
        yield folder
    finally:
        with suppress(CaffeSparkError):  # the head is gone: the first error is reported
            head.run(f"rm -rf {folder}", check=False)


def _remember(head: Remote, manifest: Manifest, on_head: str) -> None:
    """Keep a verified copy on the operator's machine, unless it contains CUDA's libraries."""
    if manifest.size > CACHED_MOST:
        return
    with cache.adding(manifest) as path:
        head.get(on_head, path)


def _summary(manifest: Manifest, origin: Origin, uri: str, seconds: float) -> str:
    built = manifest.built
    how = {"present": "in place", "cache": "from this machine's cache", "compiled": "compiled"}[origin]
    return (
        f"Framework {manifest.key}: {how} ({seconds:.1f} s), {manifest.size / 1e6:.1f} MB in {uri}; "
        f"built by {built.by} on {built.at:%Y-%m-%d %H:%M} UTC in {built.seconds:.0f} s"
    )

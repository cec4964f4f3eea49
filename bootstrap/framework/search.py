"""Search for a recipe's artefact in shared storage, beside work that may turn out to change nothing."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from bootstrap.cluster import Cluster
from bootstrap.errors import CaffeSparkError
from bootstrap.framework import store
from bootstrap.framework.key import HeadFacts, inputs_of, key_of, read_facts
from bootstrap.framework.manifest import Manifest
from bootstrap.framework.recipe import Recipe
from bootstrap.ssh.remote import Connect
from bootstrap.storage.hadoop import SharedStorage


@dataclass(frozen=True)
class Found:
    """A verified artefact in storage, with the facts and inputs that its key stands for."""

    facts: HeadFacts
    inputs: dict[str, Any]
    key: str
    manifest: Manifest


class Search:
    """A search that runs from the start, on a thread of its own; it changes nothing on the head.

    It has a result only where all is in place. What is missing, damaged or does not answer is the business
    of `ensure_framework`, which looks again and reports.
    """

    def __init__(self, cluster: Cluster, recipe: Recipe, connect: Connect) -> None:
        self._cluster, self._recipe, self._connect = cluster, recipe, connect
        self._found: Found | None = None
        self._thread = threading.Thread(target=self._run, name="framework-search", daemon=True)
        self._thread.start()

    def result(self) -> Found | None:
        """Wait for the search; return what it found."""
        self._thread.join()
        return self._found

    def _run(self) -> None:
        try:
            with self._connect(self._cluster, self._cluster.head) as head:
                facts = read_facts(head, update=False)
                inputs = inputs_of(self._recipe, facts)
                key = key_of(inputs)
                storage = SharedStorage(head, self._cluster.shared_storage)
                manifest = store.find(storage, self._cluster.signing_key, key)
        except CaffeSparkError:
            return
        if manifest is not None:
            self._found = Found(facts, inputs, key, manifest)

"""Start of a build while a new cluster is still being provisioned: `ensure_framework` attaches to it."""

from __future__ import annotations

from rich.console import Console

from bootstrap.cluster import Cluster
from bootstrap.engine.node_run import Early
from bootstrap.framework import cache
from bootstrap.framework.build import announcement, start
from bootstrap.framework.ensure import distributions
from bootstrap.framework.key import inputs_of, key_of, read_facts, require_same_distribution
from bootstrap.framework.recipe import Recipe
from bootstrap.ssh.remote import Remote


def early_build(cluster: Cluster, recipe: Recipe, console: Console) -> Early | None:
    """Return the work for `apply`; None where shared storage is older than the nodes, and may have Caffe.

    The work starts the build unless the operator's cache has the framework.
    """
    made_by = cluster.storage.made_by
    if made_by is None:
        return None

    def work(head: Remote) -> None:
        facts = read_facts(head)
        key = key_of(inputs_of(recipe, facts))
        if cache.folder(key).exists():
            return
        require_same_distribution(facts.distribution, distributions(cluster))
        console.print(
            f"{announcement(recipe, facts, key, head.node.name)}, beside the steps",
            soft_wrap=True,
            highlight=False,
        )
        start(head, recipe, facts, key)

    return Early(made_by, work)

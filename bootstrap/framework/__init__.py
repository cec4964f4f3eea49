"""Framework: compiled once from a recipe, kept in shared storage and a cache, installed on every node."""

from bootstrap.framework.early import early_build
from bootstrap.framework.ensure import Framework, ensure_framework, require_persisted
from bootstrap.framework.key import require_same_distribution
from bootstrap.framework.recipe import AUTO, Recipe, for_cluster, load_recipe, recipe_for, require_devices
from bootstrap.framework.search import Search

__all__ = [
    "AUTO",
    "Framework",
    "Recipe",
    "Search",
    "early_build",
    "ensure_framework",
    "for_cluster",
    "load_recipe",
    "recipe_for",
    "require_devices",
    "require_persisted",
    "require_same_distribution",
]

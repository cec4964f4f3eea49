"""The framework: compiled once from a recipe, kept in shared storage and in a cache, spread to every node."""

from bootstrap.framework.ensure import Framework, ensure_framework

__all__ = ["Framework", "ensure_framework"]

"""CaffeOnSpark's import of CaffeOnSpark."""

from jobs.api import CaffeOnSpark

__all__ = ["CaffeOnSpark"]

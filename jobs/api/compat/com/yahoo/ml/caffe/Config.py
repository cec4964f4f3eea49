"""CaffeOnSpark's import of Config."""

from jobs.api import Config

__all__ = ["Config"]

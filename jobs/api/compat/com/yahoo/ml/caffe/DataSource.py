"""CaffeOnSpark's import of DataSource."""

from jobs.api import DataSource

__all__ = ["DataSource"]

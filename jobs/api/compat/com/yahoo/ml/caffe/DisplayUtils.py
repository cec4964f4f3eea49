"""CaffeOnSpark's import of the display helpers."""

from jobs.api import show_df, show_network

__all__ = ["show_df", "show_network"]

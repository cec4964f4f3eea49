"""Python API of the trainer, with the names of CaffeOnSpark's; for programs that have a Spark context."""

from jobs.api.caffe_on_spark import CaffeOnSpark
from jobs.api.config import Config
from jobs.api.display import show_df, show_network
from jobs.api.mllib import labeled_points, with_vector
from jobs.api.source import DataSource
from jobs.trainer.errors import Refused, TrainerError

__all__ = [
    "CaffeOnSpark",
    "Config",
    "DataSource",
    "Refused",
    "TrainerError",
    "labeled_points",
    "show_df",
    "show_network",
    "with_vector",
]

"""`fab sweep`: what is left of the project in an AWS account, what it costs, and how to remove it."""

from infra.aws.sweep.run import sweep
from infra.sweep.leak import Leak, Unsearched
from infra.sweep.report import Found

__all__ = ["Found", "Leak", "Unsearched", "sweep"]

"""`fab sweep`: what is left of the project in an AWS account, what it costs, and how to remove it."""

from infra.aws.sweep.leak import Leak, Unsearched
from infra.aws.sweep.report import Found
from infra.aws.sweep.run import sweep

__all__ = ["Found", "Leak", "Unsearched", "sweep"]

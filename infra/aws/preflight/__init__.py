"""`fab preflight`: what would stop a stack on AWS, before its first resource, each with what to type."""

from infra.aws.preflight.run import check
from infra.preflight.finding import Finding

__all__ = ["Finding", "check"]

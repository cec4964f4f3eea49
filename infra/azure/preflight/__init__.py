"""`fab preflight`: what would stop a stack on Azure, before its first resource, each with what to type."""

from infra.azure.preflight.run import check

__all__ = ["check"]

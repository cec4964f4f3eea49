"""`fab sweep`: what is left of the project in Azure, what it costs, and how to remove it."""

from infra.azure.sweep.run import sweep

__all__ = ["sweep"]

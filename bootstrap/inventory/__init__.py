"""Inventory: the cluster of a stack, with its current nodes."""

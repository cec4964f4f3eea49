"""Inventory: the cluster of a stack, with the nodes of this moment."""

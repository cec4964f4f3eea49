"""Machines that join a cluster by themselves."""

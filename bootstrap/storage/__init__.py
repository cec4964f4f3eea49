"""Shared storage: HDFS and object stores through a node, blobs from the operator's machine."""

"""Shared storage: HDFS and object stores through the head, blob storage from the operator's machine."""

"""Backends: Spark's own master, YARN, and Livy behind one protocol. Part of what travels to the head."""

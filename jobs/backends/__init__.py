"""Backends: Spark's own master, YARN and Livy behind one protocol. Shipped to the head with on_head."""

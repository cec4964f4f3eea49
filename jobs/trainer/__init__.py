"""Trainer: CaffeOnSpark's command line as a Spark job, on the driver and on executors.

Python 3.8, Spark 3.3's API; dependencies: the standard library, numpy, pyspark, lmdb and pycaffe.
Reading order: `cli` → `main` → `driver` → `ranks.train` (one barrier task per executor) → `ranks.score`.
"""

"""CaffeOnSpark's command line as a Spark job: runs on the driver and on executors, and stands alone.

Python 3.8, Spark 3.3's API; nothing but the standard library, numpy, pyspark, lmdb and pycaffe.
Reading order: `cli` → `main` → `driver` → `ranks.train` (one barrier task per executor) → `ranks.score`.
"""

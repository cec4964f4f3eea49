"""CaffeOnSpark's command line as a Spark job: runs on the driver and on executors, and stands alone.

Python 3.8, Spark 3.3's API; nothing but the standard library, numpy, pyspark, lmdb and pycaffe.
Reading order: `main` (the driver) → `train` (one barrier task per executor) → `score` → `outputs`.
"""

"""Releases of Spark that a cluster may run, each with the Hadoop that goes with it."""

from __future__ import annotations

from typing import Final, Literal

SparkLine = Literal["4.3", "3.5"]
"""Value of a stack's setting `spark`; the exact versions are defaults of the roles `spark` and `hadoop`."""
NEWEST: Final[SparkLine] = "4.3"
"""Spark 4.3 on Hadoop 3.5: S3A on AWS's SDK v2, and no WASB."""
HDINSIGHT: Final[SparkLine] = "3.5"
"""Spark 3.5 on Hadoop 3.3, the line of HDInsight 5.1: the last Hadoop with WASB."""

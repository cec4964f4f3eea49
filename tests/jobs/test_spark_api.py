"""Jobs use nothing of Spark that HDInsight's Spark 3.3 lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.jobs import spark_api, spark_release

JOBS = Path(__file__).parents[2] / "jobs"
SHIPPED = sorted(
    file
    for folder in ("api", "trainer", "converters", "backends/on_head", "datasets/on_head")
    for file in (JOBS / folder).rglob("*.py")
)
"""Modules that run with the cluster's own Spark."""
EVERYTHING = sorted(JOBS.rglob("*.py"))
"""Settings are also written on the operator's machine."""


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_job_code_uses_only_what_spark_3_3_has(file: Path) -> None:
    refused = [use for use in spark_api.members(file.read_text()) if not use.fits]
    assert not refused, "put it into tests/jobs/spark_api.py with the version that brought it"


@pytest.mark.parametrize("file", EVERYTHING, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_only_settings_that_spark_3_3_knows_are_set_and_read(file: Path) -> None:
    refused = [use for use in spark_api.keys(file.read_text()) if not use.fits]
    assert not refused, "put it into tests/jobs/spark_api.py with the version that brought it"


def test_the_walk_sees_everything_that_the_tables_list() -> None:
    """A row that nothing uses is a use that the walk has lost, or one that is gone: then take it out."""
    used = {use.what for file in SHIPPED for use in spark_api.members(file.read_text())}
    named = {use.what for file in EVERYTHING for use in spark_api.keys(file.read_text())}
    assert set(spark_api.CLASSES) | set(spark_api.MEMBERS) == used
    assert set(spark_api.KEYS) | set(spark_api.PREFIXES) == named


def test_no_row_is_newer_than_spark_3_3() -> None:
    versions = {
        **spark_api.CLASSES,
        **{member: version for member, (version, _) in spark_api.MEMBERS.items()},
        **spark_api.KEYS,
        **spark_api.PREFIXES,
    }
    assert [what for what, version in versions.items() if not spark_api.Use(0, what, version).fits] == []


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("from pyspark.sql import VariantVal", "pyspark.sql.VariantVal"),
        ("import pyspark.sql.connect", "pyspark.sql.connect"),
        ("from py4j.protocol import Py4JNetworkError", "py4j.protocol.Py4JNetworkError"),
        ("def f(spark):\n    spark.addTag('x')", "SparkSession.addTag"),
        ("def f(spark_context):\n    c = spark_context\n    c.addJobTag('x')", "SparkContext.addJobTag"),
        ("def f(spark):\n    spark.sparkContext.parallelize([1]).barrier().newer()", "RDDBarrier.newer"),
        ("from pyspark import BarrierTaskContext as B\nB.get().cpus()", "BarrierTaskContext.cpus"),
        ("def f(spark):\n    a, b = 1, spark.createDataFrame([])\n    b.offset(1)", "DataFrame.offset"),
        (
            "class A:\n    def g(self):\n        self._c.newer()\n"
            "    def __init__(self, spark):\n        self._c = spark.sparkContext",
            "SparkContext.newer",
        ),
        (
            "def f(spark_context):\n    spark_context._jvm.org.apache.spark.New.it()",
            "jvm.org.apache.spark.New",
        ),
        (
            "def f():\n    s = make()\n    s.addTag('x')\n"
            "def make():\n    from pyspark.sql import SparkSession as S\n    return S.builder.getOrCreate()",
            "SparkSession.addTag",
        ),
        ("from pyspark import StorageLevel\nx = [StorageLevel.NEWER for _ in ()]", "StorageLevel.NEWER"),
    ],
)
def test_what_is_not_in_the_table_is_found_wherever_it_comes_from(source: str, what: str) -> None:
    assert [use.what for use in spark_api.members(source) if not use.fits] == [what]


@pytest.mark.parametrize(
    ("source", "key"),
    [
        ("conf = {'spark.connect.grpc.binding.port': '1'}", "spark.connect.grpc.binding.port"),
        ("key = f'spark.newer.{name}'", "spark.newer"),
        ("say('Raise spark.newer.limit.')", "spark.newer.limit"),
    ],
)
def test_a_setting_that_is_not_in_the_table_is_found(source: str, key: str) -> None:
    assert [use.what for use in spark_api.keys(source) if not use.fits] == [key]


def test_documentation_and_other_words_are_no_settings() -> None:
    source = '"""Of spark.newer.limit."""\nx = "org.apache.spark.util.Utils"\ny = "/opt/spark.old"\n'
    assert spark_api.keys(source) == []


def test_a_version_beyond_3_3_does_not_fit() -> None:
    assert not spark_api.Use(1, "SparkContext.addJobTag", "3.5").fits
    assert spark_api.Use(1, "RDD.barrier", "2.4").fits


def test_the_comparison_with_a_release_knows_where_each_class_is() -> None:
    owners = {name.partition(".")[0] for name in spark_api.MEMBERS} - {"jvm", *spark_release.OF_SCALA}
    assert owners <= {*spark_release.PYTHON, *spark_release.JAVA}

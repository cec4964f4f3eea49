"""Comparison of tables of Spark's API with a release of Spark; a program for the Python of a node.

Standard input: a JSON object of `classes`, `members` and `keys`, as in `tests.jobs.spark_api`. Argument: the
folder of pyspark. Prints, a line each, what that release lacks.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
import sys
import zipfile
from pathlib import Path

PYTHON = {
    "Accumulator": "pyspark.accumulators",
    "BarrierTaskContext": "pyspark",
    "BarrierTaskInfo": "pyspark",
    "DataFrame": "pyspark.sql",
    "DataFrameReader": "pyspark.sql",
    "DataFrameWriter": "pyspark.sql",
    "JavaGateway": "py4j.java_gateway",
    "LogisticRegression": "pyspark.ml.classification",
    "RDD": "pyspark",
    "RDDBarrier": "pyspark.rdd",
    "ResourceInformation": "pyspark.resource",
    "RuntimeConfig": "pyspark.sql.conf",
    "SparkConf": "pyspark",
    "SparkContext": "pyspark",
    "SparkFiles": "pyspark",
    "SparkSession": "pyspark.sql",
    "SparkJobInfo": "pyspark",
    "SparkStageInfo": "pyspark",
    "StatusTracker": "pyspark",
    "StorageLevel": "pyspark",
    "TaskContext": "pyspark",
    "Vectors": "pyspark.ml.linalg",
}
"""Modules of Python's classes."""
JAVA = {
    "AppStatusStore": "org/apache/spark/status/AppStatusStore",
    "ExecutorSummary": "org/apache/spark/status/api/v1/ExecutorSummary",
    "JavaSparkContext": "org/apache/spark/api/java/JavaSparkContext",
    "ScalaSparkContext": "org/apache/spark/SparkContext",
}
"""Classes of the JVM. A sequence of Scala's is not Spark's."""
OF_SCALA = ("ExecutorSummaries",)
JARS = re.compile(
    r"(spark-(core|catalyst|config|common-utils|common-utils-java|network-common|launcher|yarn)_|hadoop-client-api-)"
)


class Release:
    """A release of Spark, as its Python modules and its jars have it."""

    def __init__(self, folder: Path) -> None:
        self._jars = [
            zipfile.ZipFile(jar) for jar in sorted((folder / "jars").glob("*.jar")) if JARS.match(jar.name)
        ]
        self._texts = b"\0".join(
            jar.read(name)
            for jar in self._jars
            for name in jar.namelist()
            if name.startswith("org/apache/spark/") and name.endswith(".class")
        )

    def has_class(self, name: str) -> bool:
        """Return whether Python can import the class of that full name."""
        module, _, kind = name.rpartition(".")
        return hasattr(importlib.import_module(module), kind)

    def has_member(self, name: str) -> bool:
        """Return whether a class of Python or of the JVM has that member."""
        owner, _, member = name.rpartition(".")
        first, *inner = owner.split(".")
        if first in OF_SCALA:
            return True
        if first == "jvm":
            return self._in_jvm([*inner, member])
        if first in JAVA:
            return self._in_class(JAVA[first], member)
        kind = getattr(importlib.import_module(PYTHON[first]), first)
        for part in inner:
            kind = getattr(kind, part)
        # Attributes that `__init__` sets are not the class's.
        return hasattr(kind, member) or re.search(rf"\b{member}\b", inspect.getsource(kind)) is not None

    def has_key(self, key: str) -> bool:
        """Return whether the jars name that setting."""
        component, _, resource = key.partition(".resource.")
        if resource:
            # Spark puts these together: of the component, the resource's name, and what is said of it.
            said = resource.rpartition(".")[2]
            return component.encode() in self._texts and self._in_class(
                "org/apache/spark/resource/ResourceUtils$", said
            )
        return key.encode() in self._texts

    def _in_jvm(self, path: list[str]) -> bool:
        whole = "/".join(path)
        package = f"{whole}/"
        names = [name for jar in self._jars for name in jar.namelist()]
        if f"{whole}.class" in names or any(name.startswith(package) for name in names):
            return True
        return self._in_class("/".join(path[:-1]), path[-1])

    def _in_class(self, name: str, member: str) -> bool:
        for jar in self._jars:
            if f"{name}.class" in jar.namelist():
                return member.encode() in jar.read(f"{name}.class")
        return False


def main() -> None:
    """Print what the release lacks."""
    tables = json.load(sys.stdin)
    release = Release(Path(sys.argv[1]))
    for title, has in (
        ("classes", release.has_class),
        ("members", release.has_member),
        ("keys", release.has_key),
    ):
        for name in tables[title]:
            if not has(name):
                print(name)


if __name__ == "__main__":
    main()

"""Uses of Spark in jobs: a table of Spark 3.3's API, and a walk over source text that finds every use.

HDInsight 5.1 has Spark 3.3, and clusters of our roles 3.5 or 4.3. The versions are those of Spark's own
documentation ("versionadded", and the column "Since Version" of the configuration pages), compared on
2026-11-25 with what pyspark 3.3.4 ships: its Python source for every class and member, its jars for what goes
through the JVM and for the settings. That 3.5.9 and 4.3.0 still have all of it was compared on 2026-11-29 by
`tests.jobs.spark_release`, and is again in end-to-end tests, on the nodes' own Spark.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

NEWEST: Final = (3, 3)

CLASSES: Final = {
    "py4j.java_gateway.GatewayParameters": "1.4",
    "py4j.java_gateway.JavaGateway": "0.7",
    "py4j.protocol.Py4JError": "0.7",
    "pyspark.BarrierTaskContext": "2.4",
    "pyspark.TaskContext": "2.2",
    "pyspark.SparkConf": "0.9",
    "pyspark.SparkContext": "0.7",
    "pyspark.SparkFiles": "0.7",
    "pyspark.StorageLevel": "0.9",
    "pyspark.ml.classification.LogisticRegression": "1.3",
    "pyspark.ml.linalg.VectorUDT": "2.0",
    "pyspark.ml.linalg.Vectors": "2.0",
    "pyspark.sql.SparkSession": "2.0",
    "pyspark.sql.functions.col": "1.3",
    "pyspark.sql.functions.udf": "1.3",
    "pyspark.sql.types.ArrayType": "1.3",
    "pyspark.sql.types.FloatType": "1.3",
    "pyspark.sql.types.IntegerType": "1.3",
    "pyspark.sql.types.StringType": "1.3",
    "pyspark.sql.types.StructField": "1.3",
    "pyspark.sql.types.StructType": "1.3",
}
"""Classes that may be imported, with the version that introduced them."""

MEMBERS: Final = {
    "Accumulator.value": ("0.7", ""),
    "BarrierTaskContext.allGather": ("3.0", ""),
    "BarrierTaskContext.get": ("2.4", "BarrierTaskContext"),
    "BarrierTaskContext.getTaskInfos": ("2.4", "BarrierTaskInfo"),
    "BarrierTaskContext.partitionId": ("2.4", ""),
    "BarrierTaskInfo.address": ("2.4", ""),
    "DataFrame.coalesce": ("1.4", "DataFrame"),
    "DataFrame.columns": ("1.3", ""),
    "DataFrame.inputFiles": ("3.1", ""),
    "DataFrame.join": ("1.3", "DataFrame"),
    "DataFrame.persist": ("1.3", "DataFrame"),
    "DataFrame.rdd": ("1.3", "RDD"),
    "DataFrame.repartitionByRange": ("2.4", "DataFrame"),
    "DataFrame.schema": ("1.3", ""),
    "DataFrame.select": ("1.3", "DataFrame"),
    "DataFrame.selectExpr": ("1.3", "DataFrame"),
    "DataFrame.sortWithinPartitions": ("1.6", "DataFrame"),
    "DataFrame.toLocalIterator": ("2.0", ""),
    "DataFrame.union": ("2.0", "DataFrame"),
    "DataFrame.withColumn": ("1.3", "DataFrame"),
    "DataFrame.write": ("1.4", "DataFrameWriter"),
    "DataFrameReader.format": ("1.4", "DataFrameReader"),
    "DataFrameReader.load": ("1.4", "DataFrame"),
    "DataFrameReader.option": ("1.5", "DataFrameReader"),
    "DataFrameReader.schema": ("1.4", "DataFrameReader"),
    "DataFrameWriter.format": ("1.4", "DataFrameWriter"),
    "DataFrameWriter.mode": ("1.4", "DataFrameWriter"),
    "DataFrameWriter.save": ("1.4", ""),
    "JavaGateway.jvm": ("0.7", ""),
    "JavaGateway.new_array": ("0.7", ""),
    "LogisticRegression.fit": ("1.3", ""),
    "RDD.barrier": ("2.4", "RDDBarrier"),
    "RDD.collect": ("0.7", ""),
    "RDD.map": ("0.7", "RDD"),
    "RDD.mapPartitions": ("0.7", "RDD"),
    "RDD.mapPartitionsWithIndex": ("0.7", "RDD"),
    "RDD.saveAsSequenceFile": ("1.1", ""),
    "RDD.saveAsTextFile": ("0.7", ""),
    "RDD.toLocalIterator": ("1.1", ""),
    "RDDBarrier.mapPartitions": ("2.4", "RDD"),
    "RuntimeConfig.set": ("2.0", ""),
    "SparkConf.get": ("0.9", ""),
    "SparkConf.getAll": ("0.9", ""),
    "SparkContext._ensure_initialized": ("0.8", ""),
    "SparkContext._jsc": ("0.7", "JavaSparkContext"),
    "SparkContext._jvm": ("0.7", "jvm"),
    "SparkContext.accumulator": ("0.7", "Accumulator"),
    "SparkContext.addFile": ("0.7", ""),
    "SparkContext.addPyFile": ("0.7", ""),
    "SparkContext.applicationId": ("1.5", ""),
    "SparkContext.cancelAllJobs": ("1.1", ""),
    "SparkContext.getConf": ("2.1", "SparkConf"),
    "SparkContext.getOrCreate": ("1.4", "SparkContext"),
    "SparkContext.parallelize": ("0.7", "RDD"),
    "SparkContext.sequenceFile": ("1.3", "RDD"),
    "SparkContext.setJobGroup": ("1.0", ""),
    "SparkContext.statusTracker": ("1.4", "StatusTracker"),
    "SparkContext.textFile": ("0.7", "RDD"),
    "SparkFiles.get": ("0.7", ""),
    "SparkFiles.getRootDirectory": ("0.7", ""),
    "SparkSession.builder": ("2.0", "SparkSession.Builder"),
    "SparkSession.Builder.getOrCreate": ("2.0", "SparkSession"),
    "SparkSession.conf": ("2.0", "RuntimeConfig"),
    "SparkSession.createDataFrame": ("2.0", "DataFrame"),
    "SparkSession.read": ("2.0", "DataFrameReader"),
    "SparkSession.sparkContext": ("2.0", "SparkContext"),
    "SparkSession.stop": ("2.0", ""),
    "SparkStageInfo.numActiveTasks": ("1.4", ""),
    "ResourceInformation.addresses": ("3.0", ""),
    "SparkJobInfo.stageIds": ("1.4", ""),
    "StatusTracker.getActiveStageIds": ("1.4", ""),
    "StatusTracker.getJobIdsForGroup": ("1.4", ""),
    "StatusTracker.getJobInfo": ("1.4", "SparkJobInfo"),
    "StatusTracker.getStageInfo": ("1.4", "SparkStageInfo"),
    "StorageLevel.MEMORY_AND_DISK": ("0.9", ""),
    "TaskContext.get": ("2.2", "TaskContext"),
    "TaskContext.resources": ("3.0", "ResourceInformation"),
    # Through the JVM: Spark's Java and Scala.
    "ExecutorSummary.activeTasks": ("1.4", ""),
    "ExecutorSummary.attributes": ("3.0", ""),
    "ExecutorSummary.completedTasks": ("1.4", ""),
    "ExecutorSummary.hostPort": ("1.4", ""),
    "ExecutorSummary.id": ("1.4", ""),
    "ExecutorSummary.isActive": ("1.4", ""),
    "ExecutorSummary.maxTasks": ("2.0", ""),
    "ExecutorSummary.removeReason": ("2.2", ""),
    "ExecutorSummaries.apply": ("1.4", "ExecutorSummary"),
    "ExecutorSummaries.size": ("1.4", ""),
    "JavaSparkContext.hadoopConfiguration": ("0.9", ""),
    "JavaSparkContext.sc": ("0.7", "ScalaSparkContext"),
    "ScalaSparkContext.getExecutorMemoryStatus": ("0.7", ""),
    # Private to Spark by its Scala modifier, which no byte code has.
    "ScalaSparkContext.killAndReplaceExecutor": ("1.3", ""),
    "ScalaSparkContext.statusStore": ("2.3", "AppStatusStore"),
    "AppStatusStore.executorList": ("2.3", "ExecutorSummaries"),
    "Vectors.dense": ("2.0", ""),
    "jvm.org.apache.hadoop.fs.Path": ("0.7", ""),
    "jvm.org.apache.spark.SparkConf": ("0.9", ""),
    # SparkHadoopUtil.get().newConfiguration(…): with a SparkConf since 1.2
    "jvm.org.apache.spark.deploy": ("1.2", ""),
    "jvm.org.apache.spark.network.util.JavaUtils.timeStringAsSec": ("1.4", ""),
}
"""A member, its version, and what one gets by it: reading it, calling it, or taking one of its elements."""

KNOWN: Final = {"spark": "SparkSession", "spark_context": "SparkContext", "frame": "DataFrame", "rdd": "RDD"}
"""Parameters that are Spark's wherever they stand: nothing in the code says their types."""

RUNNING: Final = {"context": "SparkContext", "spark": "SparkSession"}
"""Attributes of a parameter `running`, a job on a running context."""

KEYS: Final = {
    "spark.barrier.sync.timeout": "2.4",
    "spark.cores.max": "0.6",
    "spark.driver.extraJavaOptions": "1.0",
    "spark.driver.host": "0.7",
    "spark.driver.memory": "1.1",
    "spark.driver.memoryOverhead": "2.3",
    "spark.dynamicAllocation.enabled": "1.2",
    "spark.dynamicAllocation.maxExecutors": "1.2",
    "spark.dynamicAllocation.minExecutors": "1.2",
    "spark.executor.cores": "1.0",
    "spark.executor.extraJavaOptions": "1.0",
    "spark.executor.heartbeat.maxFailures": "1.6",
    "spark.executor.heartbeatInterval": "1.1",
    "spark.executor.instances": "1.0",
    "spark.executor.memory": "0.7",
    "spark.executor.memoryOverhead": "2.3",
    "spark.executor.resource.gpu.amount": "3.0",
    "spark.files": "1.0",
    "spark.master": "0.9",
    "spark.python.worker.faulthandler.enabled": "3.2",
    "spark.python.worker.reuse": "1.2",
    "spark.network.timeoutInterval": "1.3",
    "spark.scheduler.barrier.maxConcurrentTasksCheck.maxFailures": "2.4",
    "spark.scheduler.maxRegisteredResourcesWaitingTime": "1.1",
    "spark.scheduler.minRegisteredResourcesRatio": "1.1",
    "spark.speculation": "0.6",
    "spark.sql.files.maxPartitionBytes": "2.0",
    "spark.stage.maxConsecutiveAttempts": "2.2",
    "spark.storage.blockManagerHeartbeatTimeoutMs": "0.7",
    "spark.submit.pyFiles": "1.0",
    "spark.task.cpus": "0.5",
    "spark.task.maxFailures": "0.8",
    "spark.task.resource.gpu.amount": "3.0",
    "spark.yarn.dist.files": "1.0",
    "spark.yarn.dist.pyFiles": "2.2",
    # Since 3.5 another name of spark.executor.maxNumFailures.
    "spark.yarn.max.executor.failures": "1.0",
    "spark.yarn.maxAppAttempts": "1.3",
    "spark.yarn.report.interval": "0.9",
    "spark.yarn.scheduler.heartbeat.interval-ms": "0.8",
    "spark.yarn.scheduler.initial-allocation.interval": "1.4",
    "spark.yarn.submit.waitAppCompletion": "1.4",
    "spark.yarn.tags": "1.5",
}

PREFIXES: Final = {
    "spark.caffespark.": "0.0",  # ours
    "spark.pythonargs": "0.0",  # CaffeOnSpark's
    "spark.executorEnv.": "0.9",
    "spark.hadoop.": "1.3",
    "spark.yarn.appMasterEnv.": "1.1",
}
"""Prefixes of names that are not Spark's."""

_KEY = re.compile(r"(?<![\w./-])spark\.[a-z][A-Za-z0-9_.-]*")


class Use(NamedTuple):
    """A use of Spark at a line; `version` is None where the table has no such thing."""

    line: int
    what: str
    version: str | None

    @property
    def fits(self) -> bool:
        """Return whether Spark 3.3 has it."""
        return self.version is not None and tuple(map(int, self.version.split("."))) <= NEWEST


def keys(source: str) -> list[Use]:
    """Every `spark.…` setting that is named in a text of the module; documentation is left out."""
    tree = ast.parse(source)
    documentation = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and _text(node.value)
    }
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.expr) or id(node) in documentation:
            continue
        for match in _KEY.findall(_text(node)):
            key = match if match in PREFIXES else match.rstrip(".")
            begun = next((prefix for prefix in PREFIXES if key.startswith(prefix)), None)
            found.append(Use(node.lineno, begun or key, PREFIXES[begun] if begun else KEYS.get(key)))
    return found


def _text(node: ast.AST) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def members(source: str) -> list[Use]:
    """Every import of pyspark's, and every member of a value that is known to be Spark's."""
    return sorted(set(_Walk(ast.parse(source)).found))


class _Walk:
    """Follows Spark's values through names, attributes of self, calls, elements and loops of one module."""

    def __init__(self, tree: ast.Module) -> None:
        self.found: list[Use] = []
        self._attributes: dict[str, str] = {}
        self._returned: dict[str, str] = {}
        # Again: a function may stand before the one that sets, or gives, what it reads.
        for _ in range(3):
            self._scope(tree, {})

    def _scope(self, scope: ast.AST, outer: dict[str, str]) -> None:
        names = dict(outer)
        if isinstance(scope, ast.FunctionDef):
            names |= {a.arg: KNOWN[a.arg] for a in scope.args.args if a.arg in KNOWN}
        for node in _inside(scope):
            if isinstance(node, ast.Import | ast.ImportFrom):
                self._import(node, names)
            elif isinstance(node, ast.Assign):
                for target in node.targets:
                    self._assign(target, node.value, names)
            elif isinstance(node, ast.AnnAssign) and node.value is not None:
                self._assign(node.target, node.value, names)
            elif isinstance(node, ast.For | ast.comprehension):
                kind = self._type(node.iter, names)
                if kind and isinstance(node.target, ast.Name):
                    names[node.target.id] = kind
        for node in _inside(scope):
            if isinstance(node, ast.Return) and isinstance(scope, ast.FunctionDef) and node.value is not None:
                self._returned[scope.name] = self._type(node.value, names)
            if isinstance(node, ast.expr):
                self._type(node, names)
            elif isinstance(node, ast.FunctionDef | ast.ClassDef):
                self._scope(node, names)

    def _import(self, node: ast.Import | ast.ImportFrom, names: dict[str, str]) -> None:
        for alias in node.names:
            full = f"{node.module}.{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name
            if full.partition(".")[0] in ("pyspark", "py4j"):
                self.found.append(Use(node.lineno, full, CLASSES.get(full)))
                names[alias.asname or alias.name] = alias.name

    def _assign(self, target: ast.expr, value: ast.expr, names: dict[str, str]) -> None:
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            for one, its in zip(target.elts, value.elts, strict=True):
                self._assign(one, its, names)
            return
        kind = self._type(value, names)
        if kind and isinstance(target, ast.Name):
            names[target.id] = kind
        elif kind and isinstance(target, ast.Attribute):
            self._attributes[target.attr] = kind

    def _type(self, node: ast.expr, names: dict[str, str]) -> str:
        """Return the Spark class of a value, empty without one; note the member that is read."""
        match node:
            case ast.Name(id=name):
                kind = names.get(name, "")
            case ast.Call(func=ast.Name(id=name)) if name in self._returned:
                kind = self._returned[name]
            case ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=name)) if self._returned.get(
                name
            ):
                kind = self._returned[name]
            case ast.Call(func=ast.Name(id="list"), args=[inner]):
                kind = self._type(inner, names)
            case ast.Call(func=inner) | ast.Subscript(value=inner):
                kind = self._type(inner, names)
            case ast.GeneratorExp(elt=inner) | ast.ListComp(elt=inner):
                kind = self._type(inner, names)
            case ast.Attribute(value=ast.Name(id="self"), attr=name):
                kind = self._attributes.get(name, "")
            case ast.Attribute(value=ast.Name(id="running"), attr=name) if name in RUNNING:
                kind = RUNNING[name]
            case ast.Attribute(value=inner, attr=name):
                kind = self._member(self._type(inner, names), name, node.lineno)
            case _:
                kind = ""
        return kind

    def _member(self, owner: str, name: str, line: int) -> str:
        what = f"{owner}.{name}"
        package = owner.startswith("jvm") and any(member.startswith(f"{what}.") for member in MEMBERS)
        if package or not owner:
            return what if package else ""
        version, kind = MEMBERS.get(what, (None, ""))
        self.found.append(Use(line, what, version))
        return kind


def _inside(scope: ast.AST) -> Iterator[ast.AST]:
    """All of a scope, in the order of the text; functions and classes in it are given, not entered."""
    for child in ast.iter_child_nodes(scope):
        yield child
        if not isinstance(child, ast.FunctionDef | ast.ClassDef):
            yield from _inside(child)

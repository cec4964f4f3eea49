"""Features as columns that Spark MLlib takes."""

from __future__ import annotations

from typing import Any, Sequence

from jobs.trainer.contract import SAMPLE_ID
from jobs.trainer.ranks.score import quoted


def with_vector(frame: Any, column: str, name: str = "vector") -> Any:  # noqa: ANN401 - pyspark has no types here
    """Return a frame with a column of vectors beside its column of arrays."""
    from pyspark.ml.linalg import VectorUDT
    from pyspark.sql.functions import col, udf

    return frame.withColumn(name, udf(_vector, VectorUDT())(col(quoted(column))))


def labeled_points(frame: Any, features: str, label: str = "label") -> Any:  # noqa: ANN401
    """Return SampleID, `features` as a vector and `label` as a double: the columns that classifiers take."""
    frame = frame.selectExpr(
        quoted(SAMPLE_ID),
        "{} AS features".format(quoted(features)),
        "CAST({}[0] AS DOUBLE) AS label".format(quoted(label)),
    )
    return with_vector(frame, "features", "features")


def _vector(values: Sequence[float]) -> Any:  # noqa: ANN401 - as above
    # Not pyspark.ml.functions.array_to_vector, whose module imports pandas.
    from pyspark.ml.linalg import Vectors

    return Vectors.dense(values)

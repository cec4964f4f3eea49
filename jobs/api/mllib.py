"""Features as columns that Spark MLlib takes."""

from __future__ import annotations

from typing import Any

from jobs.trainer.contract import SAMPLE_ID
from jobs.trainer.ranks.score import quoted


def with_vector(frame: Any, column: str, name: str = "vector") -> Any:  # noqa: ANN401 - pyspark has no types here
    """Return a frame with a column of vectors beside its column of arrays."""
    from pyspark.ml.functions import array_to_vector
    from pyspark.sql.functions import col

    return frame.withColumn(name, array_to_vector(col(quoted(column))))


def labeled_points(frame: Any, features: str, label: str = "label") -> Any:  # noqa: ANN401
    """Return SampleID, `features` as a vector and `label` as a double: the columns that classifiers take."""
    frame = frame.selectExpr(
        quoted(SAMPLE_ID),
        "{} AS features".format(quoted(features)),
        "CAST({}[0] AS DOUBLE) AS label".format(quoted(label)),
    )
    return with_vector(frame, "features", "features")

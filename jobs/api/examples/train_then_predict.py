"""Training with validation, then predictions of the trained net, stored as a table.

fab submit --spec jobs/specs/train_then_predict.yaml
"""

from pyspark.sql import SparkSession

from jobs.api import CaffeOnSpark, Config, DataSource

spark = SparkSession.builder.getOrCreate()
sc = spark.sparkContext
config = Config(sc, sc.getConf().get("spark.pythonargs").split())
cos = CaffeOnSpark(sc)
training, validation = (DataSource(sc).getSource(config, phase) for phase in (True, False))

cos.trainWithValidation(training, validation).show()

# The class with the largest score, at the position of its number.
scores = config.features[0]
predictions = cos.features(validation).selectExpr(
    "SampleID",
    "array_position({0}, array_max({0})) - 1 AS prediction".format(scores),
    "CAST({}[0] AS INT) AS label".format(config.label),
)
predictions.write.mode("overwrite").parquet(config.outputPath)

right, records = predictions.filter("prediction = label").count(), predictions.count()
print("{} of {} records right; predictions: {}".format(right, records, config.outputPath))

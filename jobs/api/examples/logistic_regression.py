"""Features of a trained net as the input of Spark MLlib's logistic regression.

fab submit --spec jobs/specs/logistic_regression.yaml
"""

from pyspark.ml.classification import LogisticRegression
from pyspark.sql import SparkSession

from jobs.api import CaffeOnSpark, Config, DataSource, labeled_points

spark = SparkSession.builder.getOrCreate()
sc = spark.sparkContext
config = Config(sc, sc.getConf().get("spark.pythonargs").split())
cos = CaffeOnSpark(sc)

cos.train(DataSource(sc).getSource(config, True))

features = cos.features(DataSource(sc).getSource(config, False))
points = labeled_points(features, config.features[0], config.label)
to_fit, to_check = points.randomSplit([0.8, 0.2], seed=1)
model = LogisticRegression(maxIter=10).fit(to_fit)

checked = model.transform(to_check)
right, records = checked.filter("prediction = label").count(), checked.count()
print("logistic regression on {}: {} of {} records right".format(config.features[0], right, records))

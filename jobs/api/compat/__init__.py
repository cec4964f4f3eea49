"""Import lines of CaffeOnSpark: `from com.yahoo.ml.caffe.Config import Config`."""

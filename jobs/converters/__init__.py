"""CaffeOnSpark's converter tools as a program of Spark."""

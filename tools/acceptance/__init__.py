"""Acceptance run on a real account: the four commands, under a price cap and a time limit, then torn down.

make acceptance-aws ARGS=--dry-run         what would run, and what it may cost
CAFFE_SPARK_ACCEPTANCE_USD=12 make acceptance-aws
"""

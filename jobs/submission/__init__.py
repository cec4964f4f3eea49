"""Submission: from a job specification to Spark's command line and the files that travel with a job."""

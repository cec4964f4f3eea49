"""Programs that travel with a job and run on the head: Python 3.8, the standard library, jobs.trainer."""

"""Reports of a job: event history, progress display, summary."""

"""Reports of a job: its history, its progress on a screen, its summary."""

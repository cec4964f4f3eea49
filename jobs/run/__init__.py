"""Commands on jobs: run, attach, kill, logs, status."""

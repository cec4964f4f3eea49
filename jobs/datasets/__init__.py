"""Data sets that a job specification can name."""

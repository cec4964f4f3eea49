"""Ranks: the tasks that train and score on executors."""

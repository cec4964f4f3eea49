"""Drill of an interruption on a local stack: a simulated cloud takes real nodes while a real job trains."""

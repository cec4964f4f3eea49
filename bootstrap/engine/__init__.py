"""Engine of roles: loads, plans, then executes over SSH or renders to scripts."""

"""Engine of roles: read, planned, then executed over SSH or rendered to scripts."""

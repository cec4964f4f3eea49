"""Programs that convert data sets on the head."""

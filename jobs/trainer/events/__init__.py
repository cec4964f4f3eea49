"""Events: transport from executors to the driver and onwards, and the cause of a failure."""

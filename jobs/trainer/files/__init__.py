"""Files in storage, as the driver and as executors reach them."""

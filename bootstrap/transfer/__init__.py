"""Files and folders between this machine and nodes or shared storage."""

"""Self-provisioning of machines that join a cluster."""

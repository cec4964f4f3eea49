"""Cloud SDK clients with retries; SDK errors are translated."""

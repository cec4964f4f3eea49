"""Clients of the clouds' own interfaces, with retries; errors translated."""

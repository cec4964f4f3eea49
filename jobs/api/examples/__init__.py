"""Examples of the Python API; each is a job: `fab submit --spec jobs/specs/NAME.yaml`."""

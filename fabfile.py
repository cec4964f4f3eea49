"""Commands of caffe-spark: `fab --list`. Each package has its own in `tasks.py`."""

from bootstrap.tasks import (
    bootstrap_nodes,
    build_headnode,
    doctor,
    get,
    list_script_actions,
    put,
    ssh,
    ui,
    workers,
)
from infra.tasks import cost, preflight, sweep
from jobs.tasks import (
    attach,
    convert,
    curve,
    data,
    kill,
    logs,
    notebook,
    resume,
    status,
    submit,
    submit_mnist,
)

__all__ = [
    "attach",
    "bootstrap_nodes",
    "build_headnode",
    "convert",
    "cost",
    "curve",
    "data",
    "doctor",
    "get",
    "kill",
    "list_script_actions",
    "logs",
    "notebook",
    "preflight",
    "put",
    "resume",
    "ssh",
    "status",
    "submit",
    "submit_mnist",
    "sweep",
    "ui",
    "workers",
]

"""Failures of storage, models and snapshots."""

from __future__ import annotations

from typing import Dict

from jobs.trainer.contract.failures.templates import Words

FAILURES: Dict[str, Words] = {
    "path-invalid": Words("{uri}", "it is not a valid path ({reason})", "Give a URI or a path."),
    "path-missing-on-node": Words(
        "{uri}",
        "there is no such path on this node",
        "Copy it to every node, or give a URI in shared storage.",
    ),
    "input-missing": Words("{uri}", "there is no such file", "Fix the path."),
    "file-of-other-kind": Words(
        "{option} {uri}", "it takes a {file} file, and this is {found}", "Give the {file} file."
    ),
    "snapshot-renamed": Words(
        "-snapshot {uri}",
        "it is an HDF5 file under another name than it was written with, by which it finds its weights",
        "Give it its name again: PREFIX_iter_N.solverstate.h5.",
    ),
    "weights-shape-differs": Words(
        "-weights {file}",
        "its layer {layer!r} has the shapes {found}, and the net's has {wanted}",
        "Rename the net's layer, which then starts anew, or give weights of this net.",
    ),
    "weights-match-no-layer": Words(
        "-weights {file}",
        "it has weights for no layer of the net ({layers})",
        "Give the layers the names that they have in the model.",
    ),
    "output-exists": Words(
        "-output {uri}", "it exists, and results are not overwritten", "Remove it, or give another path."
    ),
    "hdfs-safe-mode": Words(
        "{uri}",
        "HDFS is in safe mode and takes no writes",
        "Wait until its DataNodes have reported, then run the job again.",
    ),
    "storage-failed": Words("{uri}", "it cannot be {action} ({reason})", "Run `fab doctor`."),
    "local-write-failed": Words("{uri}", "it cannot be written ({reason})", "Give another path."),
    "hdfs-write-failed": Words("{uri}", "it cannot be written: {reason}", "Run `fab doctor`."),
    "hdfs-read-failed": Words("{uri}", "it cannot be read: {reason}", "Run `fab doctor`."),
    "hdfs-command-failed": Words("{uri}", "`{command}` failed: {reason}", "Run `fab doctor`."),
    "distribution-failed": Words(
        "{uri}", "it cannot be distributed to the nodes ({reason})", "Run `fab doctor`."
    ),
}

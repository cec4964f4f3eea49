"""Failures of a solver."""

from __future__ import annotations

from typing import Dict

from jobs.trainer.contract.failures.templates import Words

FAILURES: Dict[str, Words] = {
    "solver-unreadable": Words(
        "{file}", "it cannot be read ({reason})", "Give -conf a solver prototxt that exists."
    ),
    "test-iter-count": Words(
        "{file}",
        "test_iter is given {times} times, and test_net and test_net_param name {nets} TEST nets",
        "Give test_iter once for each TEST net.",
    ),
    "test-state-count": Words(
        "{file}",
        "test_state is given {times} times for {nets} TEST nets",
        "Give it once for each test_iter, or not at all.",
    ),
    "override-ambiguous": Words(
        "{variable}",
        "the TEST nets of {file} read several sources ({sources})",
        "Write the sources into the prototxt.",
    ),
    "solver-field-refused": Words("{field} in {file}", "{reason}", "{fix}"),
    "solver-field-unknown": Words(
        "{field} in {file}", "this field of SolverParameter is not supported", "Remove it."
    ),
    "solver-field-too-small": Words("{file}", "{field} is {value}", "Give at least {least}."),
    "solver-type-unknown": Words("{file}", "type is {type!r}", "Valid types: {valid}."),
    "solver-type-twice": Words("{file}", "it has both type and solver_type", "Remove solver_type."),
    "solver-type-has-no-momentum": Words(
        "{file}", "momentum is {momentum}, and {type} has none", "Remove momentum."
    ),
    "rms-decay-invalid": Words("{file}", "rms_decay is {value}", "Give one from 0 to below 1."),
    "regularization-unknown": Words("{file}", "regularization_type is {type!r}", "Valid types: L1, L2."),
    "snapshot-prefix-uri": Words(
        'snapshot_prefix: "{prefix}" in {file}',
        "snapshots go beside -model, and the prefix is the start of their names",
        "Give a name, and the folder with -model.",
    ),
    "test-iter-missing": Words(
        "{file}", "it has test_interval and no test_iter", "Add test_iter, or test_interval: 0."
    ),
    "validation-negative": Words(
        "{file}", "test_iter or test_interval is negative", "Give 0 to disable validation."
    ),
    "lr-policy-unknown": Words("{file}", "lr_policy is {policy!r}", "Valid policies: {valid}."),
    "lr-policy-incomplete": Words("{file}", "lr_policy {policy} needs {field}", "Add {field}."),
    "base-lr-negative": Words("{file}", "base_lr is {value}", "Give 0 or a value above."),
}

"""Failures of training and scoring."""

from __future__ import annotations

from typing import Dict

from jobs.trainer.contract.failures.templates import RESUME, Words

FAILURES: Dict[str, Words] = {
    "gradients-unknown": Words(
        "spark.caffespark.gradients={given}", "it is not one of {known}", "Give another value."
    ),
    "gradients-by-nccl": Words(
        "spark.caffespark.gradients={given}",
        "with GPUs, NCCL averages gradients as they are",
        "Remove the setting.",
    ),
    "snapshot-past-max-iter": Words(
        "-snapshot", "it is at iteration {iteration}, max_iter is {max_iter}", "Raise max_iter."
    ),
    "training-diverged": Words(
        "the loss at iteration {iteration}",
        "it is {loss}: training has diverged",
        "Lower base_lr, clip gradients (clip_gradients), or check the data. {restart}",
    ),
    "weights-differ": Words(
        "the weights",
        "they are not the same on all ranks: {values}; rank 0's are stored",
        "Report this: it is a bug.",
    ),
    "snapshot-not-stored": Words(
        "{uri}",
        "the snapshot of iteration {iteration} cannot be stored: {reason}",
        "Run `fab doctor`. {resume}",
    ),
    "model-not-stored": Words("{uri}", "the model cannot be stored: {reason}", "Run `fab doctor`."),
    "peer-lost": Words("the executors", "{reason}", "Run the job again from its last snapshot."),
    "rank-failed": Words("rank {rank} on {host}", "{reason}", RESUME),
    "rank-lost": Words(
        "{ranks}",
        "its executor was lost at about iteration {iteration}: killed, or its node went down",
        RESUME,
    ),
    "rank-hung": Words(
        "{ranks}",
        "it did not answer for {seconds} s while {doing}, at about iteration {iteration}, and its connection "
        "lives: its process hangs, or was stopped",
        RESUME,
    ),
    "ranks-disconnected": Words("the connections between {ranks}", "{reason}", RESUME),
    "executor-lost": Words(
        "executor {executor} on {host}", "it was lost at about iteration {iteration}: {reason}", RESUME
    ),
    "executors-not-replaced": Words(
        "{there} of {needed} executors",
        "others did not register within {seconds} s after a loss: {reason}",
        RESUME,
    ),
    "attempt-not-marked": Words(
        "attempt {generation} at this training",
        "it cannot begin: {uri} cannot be written ({reason})",
        "Make room in shared storage. {resume}",
    ),
    "stopped": Words("training", "it was stopped at iteration {iteration}: {reason}", RESUME),
    "fenced": Words(
        "attempt {generation} at this training",
        "attempt {newest} has taken its place, and only that one writes ({uri})",
        "There is nothing to do: the job goes on.",
    ),
    "stage-failed": Words("the stage", "{reason}", RESUME),
}

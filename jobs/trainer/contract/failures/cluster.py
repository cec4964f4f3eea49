"""Failures of Spark, YARN, GPUs and the framework."""

from __future__ import annotations

from typing import Dict

from jobs.trainer.contract.failures.templates import Words

FAILURES: Dict[str, Words] = {
    "gpu-mode-on-cpu-build": Words(
        "solver_mode: GPU",
        "Cannot use GPU in CPU-only Caffe: check mode",
        "Set `solver_mode: CPU` in the solver's prototxt.",
    ),
    "gpus-not-requested": Words(
        "solver_mode: GPU, -devices {devices}",
        "each executor takes {executor} GPUs and each task {task}: every rank needs one of its own",
        "Start Spark with --conf spark.executor.resource.gpu.amount={devices} "
        "--conf spark.task.resource.gpu.amount=1, on a cluster whose workers have GPUs.",
    ),
    "gpu-workers-reused": Words(
        "solver_mode: GPU, -devices {devices}",
        "Spark uses Python workers again, and one would compute on the GPU of its first task, which may be "
        "another rank's by then",
        "Start Spark with --conf spark.python.worker.reuse=false.",
    ),
    "gpu-kept": Words(
        "GPU {address} of {host}",
        "Spark has granted it to a Python worker that computes on GPU {kept}, and CUDA keeps that one",
        "Start Spark with --conf spark.python.worker.reuse=false.",
    ),
    "gpu-not-granted": Words(
        "solver_mode: GPU",
        "Spark has given the task on {host} no GPU",
        "Look at the resources of its worker.",
    ),
    "gpu-unusable": Words(
        "GPU {address} of {host}",
        "it cannot be used ({reason})",
        "Run nvidia-smi on that node: its driver has to be one of CUDA 13, 580 or later.",
    ),
    "setting-invalid": Words("{name}={given}", "{reason}", "Give another value."),
    "spark-start-failed": Words("Spark", "it does not start: {reason}", "Run `fab doctor`."),
    "caffe-import-failed": Words(
        "Caffe on {host}", "it cannot be imported ({error}: {reason})", "Run `fab build-headnode`."
    ),
    "allocation-not-fixed": Words(
        "dynamic allocation of {low} to {high} executors",
        "while training, minExecutors and maxExecutors must be identical",
        "Set both to the same number.",
    ),
    "executors-missing": Words(
        "{requested} executors requested, {registered} registered",
        "actual number of executors is not as expected",
        "Fix -clusterSize, look for dead workers, or raise "
        "spark.scheduler.maxRegisteredResourcesWaitingTime.",
    ),
    "executors-failing": Words(
        "{requested} executors requested",
        "Spark starts them and loses them, {lost} so far, the last one on {host}: {reason}",
        "Run `fab doctor`, and look at the disk of that node and at its log of Spark's worker.",
    ),
    "resource-manager-down": Words(
        "YARN's ResourceManager", "it does not answer at {address}", "Run `fab bootstrap`, which starts it."
    ),
    "application-forgotten": Words(
        "YARN's ResourceManager",
        "the one at {address} was restarted, and no longer knows {application}",
        "Submit the job again.",
    ),
}

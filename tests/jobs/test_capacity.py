"""Capacity of a cluster for a job."""

from __future__ import annotations

from typing import Any

import pytest

from bootstrap.cluster import Cluster, HdInsight
from bootstrap.errors import ConfigError
from jobs.capacity import Size, check, fitting
from tests.jobs.specs import mnist_spec

DRIVER = Size(1, 1024)


@pytest.mark.parametrize(
    ("free", "executor", "driver", "fit"),
    [
        ([(2, 2048), (2, 2048)], (1, 1024), None, 4),
        ([(2, 2048), (2, 2048)], (1, 1024), DRIVER, 3),
        ([(2, 2048), (2, 2048)], (2, 1024), DRIVER, 1),
        # The driver goes where it costs no executor.
        ([(2, 2048), (1, 1024)], (2, 2048), DRIVER, 1),
        ([(3, 4096)], (2, 2048), DRIVER, 1),
        ([(1, 512), (1, 512)], (1, 512), DRIVER, 0),
        ([], (1, 1024), None, 0),
        ([], (1, 1024), DRIVER, 0),
    ],
)
def test_as_many_executors_fit_as_cores_and_memory_allow(
    free: list[tuple[int, int]], executor: tuple[int, int], driver: Size | None, fit: int
) -> None:
    assert fitting([Size(*one) for one in free], Size(*executor), driver) == fit


def test_executors_fit_where_their_gpus_are_too() -> None:
    assert fitting([Size(8, 8192, 4), Size(8, 8192, 1), Size(8, 8192)], Size(1, 1024, 2)) == 2


def test_gpus_that_workers_do_not_have_are_refused(cluster: Cluster) -> None:
    with pytest.raises(ConfigError, match="solver_mode: GPU: the workers of stack 'dev' have no GPUs"):
        check(mnist_spec(solver_mode="GPU"), cluster)
    with pytest.raises(ConfigError, match=r"devices: 2: a worker has 0 GPUs\. Lower it to 1"):
        check(mnist_spec(devices=2, cores=2), cluster)


def test_cpu_mode_is_refused_where_gpus_would_stay_idle_unless_the_stack_allows_it(cluster: Cluster) -> None:
    shape = cluster.worker.model_copy(update={"gpus": 1})
    idle = cluster.model_copy(update={"worker": shape})
    with pytest.raises(
        ConfigError, match=r"solver_mode: CPU: the workers of stack 'dev' have GPUs"
    ) as refused:
        check(mnist_spec(solver_mode="CPU"), idle)
    assert "pulumi config set cpuTraining true --stack dev" in refused.value.fix
    check(mnist_spec(solver_mode="auto"), idle)
    check(mnist_spec(solver_mode="CPU"), cluster)
    allowed = shape.model_copy(update={"cpu_training": True})
    check(mnist_spec(solver_mode="CPU"), idle.model_copy(update={"worker": allowed}))


def test_an_executor_takes_as_many_gpus_as_it_has_devices(cluster: Cluster) -> None:
    shape = cluster.worker.model_copy(update={"gpus": 2})
    two = cluster.model_copy(update={"worker": shape})

    check(mnist_spec(devices=2, cores=2, executors=2), two)
    check(mnist_spec(executors=4), two)
    with pytest.raises(ConfigError, match=r"has room for 2 .*2 cores and 2048 MiB with 2 GPUs"):
        check(mnist_spec(devices=2, cores=2, executors=3), two)
    with pytest.raises(ConfigError, match="devices: 4: a worker has 2 GPUs"):
        check(
            mnist_spec(devices=4, cores=4),
            two.model_copy(update={"worker": shape.model_copy(update={"cores": 4})}),
        )


# The fixture's cluster has two workers of 2 cores and 2048 MiB.
@pytest.mark.parametrize(
    "size",
    [{"executors": 4}, {"executors": 2, "cores": 2}, {"executors": 2, "memory": "2 GiB"}, {"executors": 1}],
)
def test_what_fits_the_cluster_passes(cluster: Cluster, size: dict[str, Any]) -> None:
    check(mnist_spec(**size), cluster)


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (
            {"executors": 5},
            "executors: 5 of 1 core and 1024 MiB: stack 'dev' has room for 4 (2 workers of 2 cores",
        ),
        ({"executors": 3, "cores": 2}, "has room for 2"),
        ({"executors": 3, "memory": "1.5 GiB"}, "has room for 2"),
        ({"cores": 3}, "cores: 3: a worker has 2"),
        ({"memory": "3 GiB"}, "memory: 3072 MiB: a worker offers 2048 MiB"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_numbers(
    cluster: Cluster, size: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        check(mnist_spec(**size), cluster)

    assert words in str(refused.value)


def test_on_hdinsight_nobody_is_told_to_declare_more_workers(yarn_cluster: Cluster) -> None:
    theirs = HdInsight(
        subscription="s", resource_group="g", name="n", region="r", artifacts="wasbs://a@b", worker_count=2
    )
    cluster = yarn_cluster.model_copy(update={"members": theirs})
    with pytest.raises(ConfigError, match=r"executors: 90.*replaces the cluster \(docs/azure.md\)"):
        check(mnist_spec(executors=90), cluster)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"memory": "3 GiB"}, ("memory: 3072 MiB", "largest container has 2048 MiB")),
        ({"executors": 4}, ("executors: 4", "room for 3", "less 1024 MiB and a core for the driver")),
        ({"executors": 2, "cores": 2}, ("room for 1",)),
    ],
)
def test_on_yarn_room_is_counted_with_the_driver(
    yarn_cluster: Cluster, changes: dict[str, Any], words: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigError) as refused:
        check(mnist_spec(**changes), yarn_cluster)
    for word in words:
        assert word in str(refused.value)

"""Device of a process's Caffe, over a stand-in for Caffe and for CUDA's driver."""

from __future__ import annotations

import ctypes
import os
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.trainer.caffe import device
from jobs.trainer.errors import TrainerError


class Caffe:
    """The calls that it gets."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *words: self.calls.append((name, *words))


@pytest.fixture
def pycaffe(monkeypatch: pytest.MonkeyPatch) -> Caffe:
    monkeypatch.setattr(device, "_used", "")
    monkeypatch.setattr(device, "_fault", str)
    monkeypatch.setenv(device.VISIBLE, "")
    return Caffe()


def test_a_process_computes_on_the_cpu_until_it_uses_a_gpu(pycaffe: Caffe) -> None:
    device.apply(pycaffe)
    device.use_gpu("3")
    device.apply(pycaffe)

    assert pycaffe.calls == [("set_mode_cpu",), ("set_device", 0), ("set_mode_gpu",)]
    assert os.environ[device.VISIBLE] == "3"


def test_a_worker_that_spark_uses_again_keeps_its_gpu_and_refuses_another_ranks(pycaffe: Caffe) -> None:
    device.use_gpu("3")
    device.use_gpu("3")

    with pytest.raises(TrainerError, match=r"GPU 1 of .* worker that computes on GPU 3.*worker.reuse=false"):
        device.use_gpu("1")
    assert os.environ[device.VISIBLE] == "3"


def test_a_gpu_that_cuda_does_not_show_is_refused_with_the_node_and_stays_unused(
    pycaffe: Caffe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "_fault", lambda: "CUDA's driver shows no device")

    with pytest.raises(
        TrainerError, match=r"GPU 0 of .*: it cannot be used \(CUDA's driver shows no device\)"
    ):
        device.use_gpu("0")
    device.apply(pycaffe)
    assert pycaffe.calls == [("set_mode_cpu",)]


def test_this_machine_without_a_driver_says_which_library_is_missing() -> None:
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        assert "libcuda.so.1" in device._fault()
    else:
        pytest.skip("this machine has CUDA's driver")


class Driver:
    """CUDA's driver, with what its calls return and the devices that it shows."""

    def __init__(self, init: int = 0, counted: int = 0, devices: int = 0) -> None:
        self._init, self._counted, self._devices = init, counted, devices

    def cuInit(self, flags: int) -> int:
        return self._init if flags == 0 else 1  # CUDA_ERROR_INVALID_VALUE

    def cuDeviceGetCount(self, count: Any) -> int:
        assert self._init == 0, "the driver is not initialised"
        count._obj.value = self._devices
        return self._counted


@pytest.mark.parametrize(
    ("driver", "said"),
    [
        (Driver(devices=1), ""),
        (Driver(devices=8), ""),
        (Driver(devices=0), "CUDA's driver shows no device"),
        (Driver(init=100), "CUDA's driver says 100"),
        (Driver(counted=3, devices=1), "CUDA's driver says 3"),
    ],
)
def test_cudas_driver_is_asked_for_a_device(
    monkeypatch: pytest.MonkeyPatch, driver: Driver, said: str
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: driver)

    assert device._fault() == said


def granted(**resources: list[str]) -> Any:
    found = {name: SimpleNamespace(addresses=addresses) for name, addresses in resources.items()}
    return SimpleNamespace(TaskContext=SimpleNamespace(get=lambda: SimpleNamespace(resources=lambda: found)))


def test_a_tasks_gpu_is_the_one_that_spark_has_given_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", granted(gpu=["2"]))
    assert device.of_task() == "2"


@pytest.mark.parametrize("resources", [{}, {"gpu": []}, {"fpga": ["0"]}])
def test_a_task_without_a_gpu_is_refused(
    monkeypatch: pytest.MonkeyPatch, resources: dict[str, list[str]]
) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", granted(**resources))
    with pytest.raises(TrainerError, match=r"Spark has given the task on .* no GPU"):
        device.of_task()

"""Packages that pip has put beside the distribution's on a worker, as images of clouds have them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bootstrap import paths
from tests.end_to_end.conftest import Said, Stack

pytestmark = pytest.mark.cluster

TESTED = f"{paths.RUN}/framework-tested"
PIP = "/tmp/newer-packages"
FIRST = f"$(echo {paths.VENV}/lib/python3*/site-packages)/aaa.pth"
"""A file by which the environment would see such packages, before all others."""
VERSIONS = "import numpy, google.protobuf as p; print(numpy.__version__, p.__version__)"
PLACES = "import caffe, numpy, google.protobuf as p; print(numpy.__file__, p.__file__)"


def major(version: str) -> int:
    return int(version.partition(".")[0])


@pytest.fixture(scope="module")
def newer(stack: Stack, trained: Said) -> Iterator[str]:
    """The folder on w1 in which root's pip installs, with a newer numpy and protobuf in it."""
    folder = stack.on("w1", "python3 -c 'import site; print(site.getsitepackages()[0])'").strip()
    assert folder.startswith("/usr/local/lib/python3"), folder
    assert stack.on("w1", f"ls -A {folder} 2>/dev/null") == "", "something is there already"
    said = stack.on(
        "w1",
        f"umask 022; python3 -m venv {PIP} && {PIP}/bin/pip install -q --disable-pip-version-check "
        f"--no-cache-dir --only-binary :all: --target {folder} 'numpy>=2' 'protobuf>=4' 2>&1; "
        f"echo $?; rm -rf {PIP}",
    )
    try:
        assert said.splitlines()[-1] == "0", said
        yield folder
    finally:
        stack.on("w1", f"rm -rf {folder}/* {FIRST}; rm -f {TESTED}")


def test_caffe_sees_the_distributions_packages_and_not_newer_ones_of_pip(stack: Stack, newer: str) -> None:
    numpy, protobuf = stack.on("w1", f"cd /; python3 -c '{VERSIONS}'").split()
    assert major(numpy) >= 2, "the system's own Python sees the newer ones"
    assert major(protobuf) >= 4
    stack.on("w1", f"rm {TESTED}")

    said = stack.fab("build-headnode")

    assert said.code == 0, said.output
    key = stack.on("w1", "basename $(readlink /opt/caffe)")
    assert stack.on("w1", f"cat {TESTED}") == key
    asked = f"cd /; PYTHONPATH={paths.CAFFE_HOME}/python {paths.PYTHON} -c '{PLACES}'"
    places = stack.on("w1", asked).split()
    assert len(places) == 2
    assert all(place.startswith(f"{paths.SYSTEM_PACKAGES}/") for place in places), places
    job = stack.fab("submit-mnist", "--iterations", "20", timeout=900)
    assert job.code == 0, job.output
    doctor = stack.fab("doctor")
    assert doctor.code == 0, doctor.output


def test_a_node_whose_caffe_does_not_run_is_named_with_the_reason(stack: Stack, newer: str) -> None:
    stack.on("w1", f"echo {newer} >{FIRST}; rm -f {TESTED}")
    try:
        said = stack.fab("build-headnode")
        assert said.code == 1, said.output
        # With the last lines of Caffe's own traceback.
        flat = " ".join(said.output.split())
        for words in ("w1", "Test Caffe on this node", f"(numpy: {newer}/numpy/__init__.py)"):
            assert words in flat, f"{words!r} is not in: {flat}"
        assert stack.on("w1", f"cat {TESTED} 2>/dev/null") == ""
    finally:
        stack.on("w1", f"rm {FIRST}")
    said = stack.fab("build-headnode")
    assert said.code == 0, said.output

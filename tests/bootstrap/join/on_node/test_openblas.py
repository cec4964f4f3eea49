"""Kernels of OpenBLAS: chosen where the library does not know the CPU, and for that CPU alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bootstrap.join.on_node import openblas

AVX2 = "fpu sse2 avx avx2 fma"
AVX512 = f"{AVX2} avx512f avx512dq avx512cd avx512bw avx512vl"
EMERALD_RAPIDS = "GenuineIntel 6 207"


def cpuinfo(name: str, flags: str) -> str:
    vendor, family, model = name.split()
    one = f"processor\t: 0\nvendor_id\t: {vendor}\ncpu family\t: {family}\nmodel\t\t: {model}\n"
    return f"{one}model name\t: A CPU: fast\nflags\t\t: {flags}\n\nprocessor\t: 1\nflags\t\t: none\n"


class Machine:
    """A node's CPU, what its OpenBLAS takes by itself, and the names that this release knows."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.own, self.known = "Prescott", {"Haswell", "Zen", "SkylakeX"}
        self.has(EMERALD_RAPIDS, AVX512)
        monkeypatch.setattr(openblas, "CPUINFO", str(folder / "cpuinfo"))
        monkeypatch.setattr(openblas, "CHOICE", str(folder / "openblas"))
        monkeypatch.setattr(openblas, "loaded", self.loaded)
        monkeypatch.delenv(openblas.VARIABLE, raising=False)

    def has(self, cpu: str, flags: str) -> None:
        (self.folder / "cpuinfo").write_text(cpuinfo(cpu, flags))

    def loaded(self, kernels: str = openblas.OWN) -> str:
        if kernels == openblas.OWN or self.own == openblas.MISSING:
            return self.own
        return kernels if kernels in self.known else "Prescott"

    def chooses(self) -> str:
        assert openblas.main(["choose"]) == 0
        return (self.folder / "openblas").read_text().split()[-1]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("cpu", "flags", "kernels"),
    [
        (EMERALD_RAPIDS, AVX512, "SkylakeX"),
        ("GenuineIntel 6 183", AVX2, "Haswell"),
        ("AuthenticAMD 26 2", AVX2, "Zen"),
        ("GenuineIntel 6 183", "fpu sse2 avx", openblas.OWN),
    ],
)
def test_a_cpu_that_openblas_does_not_know_gets_the_widest_kernels_that_it_can_run(
    machine: Machine, cpu: str, flags: str, kernels: str
) -> None:
    machine.has(cpu, flags)
    assert machine.chooses() == kernels


def test_a_release_that_does_not_know_the_widest_gets_the_next(machine: Machine) -> None:
    machine.known = {"Haswell", "Zen"}
    assert machine.chooses() == "Haswell"


@pytest.mark.parametrize("own", ["Haswell", "Cooperlake", openblas.MISSING])
def test_openblas_choice_stays_where_it_is_good_or_there_is_no_openblas(machine: Machine, own: str) -> None:
    machine.own = own
    assert machine.chooses() == openblas.OWN
    openblas.set_kernels()
    assert openblas.VARIABLE not in os.environ


def test_python_sets_what_was_chosen_unless_the_environment_says_it(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.chooses()
    monkeypatch.setenv(openblas.VARIABLE, "Haswell")
    openblas.set_kernels()
    assert os.environ[openblas.VARIABLE] == "Haswell"
    monkeypatch.delenv(openblas.VARIABLE)
    openblas.set_kernels()
    assert os.environ[openblas.VARIABLE] == "SkylakeX"


@pytest.mark.parametrize("cpu", ["GenuineIntel 6 183", EMERALD_RAPIDS])
def test_a_choice_of_another_cpu_or_of_hidden_instructions_counts_for_nothing(
    machine: Machine, cpu: str
) -> None:
    machine.chooses()
    assert openblas.main(["chosen"]) == 0
    machine.has(cpu, AVX2)
    assert openblas.main(["chosen"]) == 1
    openblas.set_kernels()
    assert openblas.VARIABLE not in os.environ
    assert machine.chooses() == "Haswell"


def test_another_release_of_the_library_is_asked_again(machine: Machine) -> None:
    machine.known = set()
    assert machine.chooses() == openblas.OWN
    assert openblas.main(["chosen"]) == 0
    machine.known = {"SkylakeX"}
    assert openblas.main(["chosen"]) == 1
    assert machine.chooses() == "SkylakeX"


def test_nothing_is_chosen_where_the_library_cannot_be_asked(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: str) -> str:
        raise subprocess.CalledProcessError(-9, "openblas.py")

    monkeypatch.setattr(openblas, "loaded", fails)
    with pytest.raises(subprocess.CalledProcessError):
        openblas.main(["choose"])
    assert not (machine.folder / "openblas").exists()


@pytest.mark.parametrize("text", ["", "\n", "SkylakeX\n", "GenuineIntel 6 207 SkylakeX\n"])
def test_a_cut_choice_counts_for_nothing(machine: Machine, text: str) -> None:
    (machine.folder / "openblas").write_text(text)
    openblas.set_kernels()
    assert openblas.VARIABLE not in os.environ
    assert openblas.main(["chosen"]) == 1


def test_the_report_fails_where_kernels_are_slower_than_the_cpu(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert openblas.main(["report"]) == 1
    assert "takes the kernels Prescott; this CPU has those of SkylakeX" in capsys.readouterr().out
    machine.chooses()
    openblas.set_kernels()
    assert openblas.main(["report"]) == 0
    assert capsys.readouterr().out == "SkylakeX\n"


def test_a_node_without_the_library_has_no_fault(tmp_path: Path) -> None:
    program = tmp_path / "openblas.py"
    program.write_text(Path(openblas.__file__).read_text().replace("libopenblas.so.0", "libmissing.so.9"))
    done = subprocess.run(
        [sys.executable, str(program), "report"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "no libmissing.so.9\n")

"""Kernels of OpenBLAS on a node: those for its CPU, also where this OpenBLAS does not know that CPU.

OpenBLAS chooses its kernels by the CPU's model. In releases before 0.3.25, Intel's extended models from 11 on
(Emerald Rapids, Raptor Lake) end in the branch of the Pentium 4 (driver/others/dynamic.c), whose kernels have
SSE3 alone, and half the speed. This program asks the library what it would take, and names better kernels in
`OPENBLAS_CORETYPE` where the CPU has their instructions.

    openblas.py choose     asks the library, and writes CHOICE
    openblas.py chosen     fails if CHOICE is missing, of another CPU, or no longer the best
    openblas.py report     prints the kernels in use; fails if the CPU has better ones that this library knows

The Python of jobs imports it at its start and calls `set_kernels`, before numpy or Caffe load the library. It
imports little, since every Python of a node waits for it. Standard library only, Python 3.8 or later.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, FrozenSet, Optional, Sequence, Tuple

CHOICE = "/etc/caffe-spark/openblas"
"""One line: the CPU's name as `Cpu.name`, and the kernels to set, or OWN."""
OWN = "-"
"""In CHOICE: OpenBLAS's own choice stays."""
VARIABLE = "OPENBLAS_CORETYPE"
"""Read by OpenBLAS when it is loaded."""
LIBRARY = "libopenblas.so.0"
MISSING = "no " + LIBRARY
CPUINFO = "/proc/cpuinfo"
BETTER: "Tuple[Tuple[str, FrozenSet[str], Optional[str]], ...]" = (
    ("SkylakeX", frozenset(("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl")), None),
    ("Zen", frozenset(("avx2", "fma")), "AuthenticAMD"),
    ("Haswell", frozenset(("avx2", "fma")), None),
)
"""Kernels, the flags of a CPU that can run them, and its vendor; the first that fits is the fastest."""
WIDE = frozenset(("Haswell", "Zen", "Excavator", "SkylakeX", "Cooperlake", "SapphireRapids"))
"""Kernels with AVX2 at least: OpenBLAS knows that CPU, and its choice stays."""


class Cpu:
    """This machine's CPU: its name, and the kernels of BETTER that it can run, fastest first."""

    def __init__(self) -> None:
        fields: "Dict[str, str]" = {}
        with open(CPUINFO) as lines:
            for line in lines:
                key, _, value = line.partition(":")
                if not key.strip():
                    break
                fields[key.strip()] = value.strip()
        vendor, *rest = (fields.get(key, "?") for key in ("vendor_id", "cpu family", "model"))
        flags = set(fields.get("flags", "").split())
        self.kernels = [name for name, needs, of in BETTER if needs <= flags and of in (None, vendor)]
        # The instructions too: a hypervisor may hide some of a model's.
        self.name = " ".join([vendor, *rest, *self.kernels[:1]])


def set_kernels() -> None:
    """Set the kernels chosen for this CPU, for libraries that this process loads from now on.

    What the environment says already stays. A choice of another CPU, from an image, counts for nothing: the
    process would end at its first unknown instruction.
    """
    if VARIABLE in os.environ:
        return
    chosen = read_choice(Cpu())
    if chosen not in (None, OWN):
        os.environ[VARIABLE] = str(chosen)


def read_choice(cpu: Cpu) -> "Optional[str]":
    """Return what was chosen for this CPU: kernels or OWN; None if nothing was."""
    try:
        with open(CHOICE) as file:
            name, _, kernels = file.read().strip().rpartition(" ")
    except OSError:
        return None
    return kernels if name == cpu.name else None


def loaded(kernels: str = OWN) -> str:
    """Return the kernels of an OpenBLAS that another process loads, or MISSING.

    Raises:
        subprocess.CalledProcessError: that process failed.
    """
    import subprocess

    environment = {key: value for key, value in os.environ.items() if key != VARIABLE}
    if kernels != OWN:
        environment[VARIABLE] = kernels
    # -S leaves out the environment's .pth files, one of which calls `set_kernels`.
    command = [sys.executable, "-S", os.path.abspath(__file__), "name"]
    return (
        subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True).stdout.decode().strip()
    )


def name() -> str:
    """Return the kernels of the OpenBLAS that this process loads, or MISSING."""
    import ctypes

    try:
        corename = ctypes.CDLL(LIBRARY).openblas_get_corename
    except OSError:
        return MISSING
    corename.restype = ctypes.c_char_p
    found: bytes = corename()
    return found.decode()


def choose(cpu: Cpu) -> str:
    """Return better kernels than OpenBLAS's own choice that CPU and library both have, or OWN."""
    own = loaded()
    if own == MISSING or own in WIDE:
        return OWN
    for kernels in cpu.kernels:
        # A library that does not know a name falls back, to the worst in old releases.
        if loaded(kernels) == kernels:
            return kernels
    return OWN


def is_chosen(cpu: Cpu) -> bool:
    """Tell whether CHOICE is of this CPU and still the best, also for another release of the library."""
    chosen = read_choice(cpu)
    return chosen is not None and (loaded(chosen) in WIDE or choose(cpu) == chosen)


def write_choice(cpu: Cpu) -> None:
    """Choose, and write CHOICE."""
    chosen = choose(cpu)
    with open(CHOICE + ".new", "w") as file:
        file.write("{} {}\n".format(cpu.name, chosen))
    os.chmod(CHOICE + ".new", 0o644)
    os.replace(CHOICE + ".new", CHOICE)


def report(cpu: Cpu) -> bool:
    """Print the kernels that this process would load; tell whether they are the best."""
    took = loaded(os.environ.get(VARIABLE, OWN))
    better = OWN if took in WIDE else choose(cpu)
    if better in (OWN, took):
        print(took)
        return True
    said = "OpenBLAS takes the kernels {}; this CPU has those of {}, at about twice the speed"
    print(said.format(took, better))
    return False


def main(words: "Sequence[str]") -> int:
    if words == ["name"]:
        print(name())
    elif words == ["choose"]:
        write_choice(Cpu())
    elif words == ["chosen"]:
        return 0 if is_chosen(Cpu()) else 1
    elif words == ["report"]:
        return 0 if report(Cpu()) else 1
    else:
        print(__doc__)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

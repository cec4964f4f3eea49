"""Kernels of OpenBLAS on a node: those for its CPU, also where this OpenBLAS does not know that CPU.

OpenBLAS chooses its kernels by the CPU's model. In releases before 0.3.25, Intel's extended models from 11 on
(Emerald Rapids, Raptor Lake) end in the branch of the Pentium 4 (driver/others/dynamic.c), whose kernels have
SSE3 alone, and half the speed. This program asks the library what it would take, and names better kernels in
`OPENBLAS_CORETYPE` where the CPU has their instructions.

    openblas.py choose     asks the library, and writes CHOICE
    openblas.py chosen     fails if CHOICE is missing, or of another CPU
    openblas.py report     prints the kernels in use; fails if the CPU has better ones that this library knows

The Python of jobs imports it at its start and calls `set_kernels`, before numpy or Caffe load the library.
Standard library only, Python 3.8 or later.
"""

import os
import sys
from typing import Dict, FrozenSet, NamedTuple, Optional, Sequence, Tuple

CHOICE = "/etc/caffe-spark/openblas"
"""One line: the CPU's name as `Cpu.name`, and the kernels to set, or OWN."""
OWN = "-"
"""In CHOICE: OpenBLAS's own choice stays."""
VARIABLE = "OPENBLAS_CORETYPE"
"""Read by OpenBLAS when it is loaded."""
LIBRARY = "libopenblas.so.0"
CPUINFO = "/proc/cpuinfo"
BETTER: Tuple[Tuple[str, FrozenSet[str], Optional[str]], ...] = (
    ("SkylakeX", frozenset(["avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"]), None),
    ("Zen", frozenset(("avx2", "fma")), "AuthenticAMD"),
    ("Haswell", frozenset(("avx2", "fma")), None),
)
"""Kernels, the flags of a CPU that can run them, and its vendor; the first that fits is the fastest."""
WIDE = frozenset(("Haswell", "Zen", "Excavator", "SkylakeX", "Cooperlake", "SapphireRapids"))
"""Kernels with AVX2 at least: OpenBLAS knows that CPU, and its choice stays."""

Cpu = NamedTuple("Cpu", [("name", str), ("vendor", str), ("flags", FrozenSet[str])])


def read_cpu() -> Cpu:
    """Return this machine's CPU, whose name is empty on other architectures than x86-64."""
    fields: Dict[str, str] = {}
    with open(CPUINFO) as lines:
        for line in lines:
            key, _, value = line.partition(":")
            if not key.strip():
                break
            fields[key.strip()] = value.strip()
    parts = [fields.get(key, "") for key in ("vendor_id", "cpu family", "model")]
    return Cpu(" ".join(parts) if all(parts) else "", parts[0], frozenset(fields.get("flags", "").split()))


def set_kernels() -> None:
    """Set the kernels chosen for this CPU, for libraries that this process loads from now on.

    What the environment says already stays. A choice of another CPU, from an image, counts for nothing: the
    process would end at its first unknown instruction.
    """
    if VARIABLE in os.environ:
        return
    chosen = read_choice()
    if chosen != OWN:
        os.environ[VARIABLE] = chosen


def read_choice() -> str:
    """Return the kernels chosen for this CPU: OWN if there is no choice, or one of another CPU."""
    try:
        with open(CHOICE) as file:
            cpu, _, kernels = file.read().strip().rpartition(" ")
    except OSError:
        return OWN
    return kernels if cpu and kernels and cpu == read_cpu().name else OWN


def is_chosen() -> bool:
    """Tell whether CHOICE is of this CPU."""
    try:
        with open(CHOICE) as file:
            return file.read().strip().rpartition(" ")[0] == read_cpu().name
    except OSError:
        return False


def loaded(kernels: Optional[str] = None) -> str:
    """Return what OpenBLAS, loaded by another process, takes; empty if it cannot be loaded."""
    import subprocess

    environment = {key: value for key, value in os.environ.items() if key != VARIABLE}
    if kernels:
        environment[VARIABLE] = kernels
    # Isolated, so that `set_kernels` is not called: -S leaves out the environment's .pth files.
    command = [sys.executable, "-S", os.path.abspath(__file__), "name"]
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
    )
    return done.stdout.decode().strip() if done.returncode == 0 else ""


def name() -> str:
    """Return the kernels of the OpenBLAS that this process loads."""
    import ctypes

    corename = ctypes.CDLL(LIBRARY).openblas_get_corename
    corename.restype = ctypes.c_char_p
    found: bytes = corename()
    return found.decode()


def choose(cpu: Cpu) -> str:
    """Return better kernels than OpenBLAS's own choice that CPU and library both have, or OWN."""
    own = loaded()
    if not own or not cpu.name or own in WIDE:
        return OWN
    for kernels, flags, vendor in BETTER:
        # A library that does not know a name falls back, to the worst in old releases.
        if flags <= cpu.flags and vendor in (None, cpu.vendor) and loaded(kernels) == kernels:
            return kernels
    return OWN


def main(words: Sequence[str]) -> int:
    cpu = read_cpu()
    if words == ["name"]:
        print(name())
    elif words == ["choose"]:
        chosen = choose(cpu)
        with open(CHOICE + ".new", "w") as file:
            file.write("{} {}\n".format(cpu.name, chosen))
        os.chmod(CHOICE + ".new", 0o644)
        os.replace(CHOICE + ".new", CHOICE)
    elif words == ["chosen"]:
        return 0 if is_chosen() else 1
    elif words == ["report"]:
        kernels = os.environ.get(VARIABLE)
        took, better = loaded(kernels), choose(cpu)
        print(took or "no {}".format(LIBRARY))
        if took and took not in WIDE and better != OWN:
            print(
                "OpenBLAS takes the kernels {}; this CPU has those of {}, at about twice the speed".format(
                    took, better
                )
            )
            return 1
    else:
        print(__doc__)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

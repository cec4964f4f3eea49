"""CUDA for a recipe: the GPUs it compiles for, and a toolkit on a head that has no GPU and no driver.

The toolkit is NVIDIA's own wheels, in the versions and with the sums that the recipe pins: 0.76 GB to fetch,
1.2 GB on the head's disk, the same on every distribution. Where the head's image brings a toolkit of the
recipe's version with all that Caffe needs (AWS's Deep Learning images do), that one is used instead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import Field, model_validator

from bootstrap import paths
from bootstrap.engine.operations.command import Shell
from bootstrap.engine.operations.shell import quote
from bootstrap.engine.role import Step
from bootstrap.model import Model

INSTALL = "Install the CUDA toolkit"

Capability = Annotated[str, Field(pattern=r"^\d+\.\d$")]
"""A GPU's compute capability, e.g. `7.5` of a T4."""


class Toolkit(NamedTuple):
    """A toolkit on the head: its folder and the full version of its nvcc, e.g. `13.0.88`."""

    home: str
    version: str


class Cuda(Model):
    """CUDA's version, the capabilities that it supports, and those to compile for."""

    version: str = Field(pattern=r"^\d+\.\d+$")
    oldest: Capability
    newest: Capability
    """The capabilities that nvcc of this version knows (`nvcc --list-gpu-code`) lie between these."""
    archs: list[Capability] = Field(min_length=1)
    """Compiled for where the cluster does not say what GPUs its workers have."""
    wheels: str
    """A requirements file with sums, relative to the recipe's folder: the toolkit for a head without one."""
    packages: list[str] = Field(default=[])
    """Distribution packages that installing it needs."""

    @model_validator(mode="after")
    def _possible(self) -> Cuda:
        if refused := self.beyond(self.archs):
            raise ValueError(f"archs: CUDA {self.version} does not compile for {', '.join(refused)}")
        return self

    def beyond(self, capabilities: Iterable[str]) -> list[str]:
        """Return the capabilities that this version cannot compile for."""
        low, high = _number(self.oldest), _number(self.newest)
        return [each for each in in_order(capabilities) if not low <= _number(each) <= high]

    def among(self, toolkits: Iterable[Toolkit]) -> Toolkit | None:
        """Return the newest of the head's toolkits with this version."""
        fitting = [kit for kit in toolkits if kit.version.startswith(f"{self.version}.")]
        return max(fitting, key=lambda kit: _number(kit.version), default=None)

    def home(self, folder: Path, toolkits: Iterable[Toolkit]) -> str:
        """Return the toolkit's folder, present or installed by `step`; `folder` is the recipe's."""
        found = self.among(toolkits)
        return found.home if found else f"{self._prefix(folder)}/toolkit"

    def step(self, folder: Path, inputs: str) -> Step:
        """Return the step that installs the wheels; `inputs` holds the recipe's files on the head."""
        prefix = self._prefix(folder)
        return Step(
            name=INSTALL,
            timeout=1800,
            command=Shell(
                run=f"pins={quote(f'{inputs}/{self.wheels}')}\nprefix={prefix}\n{_INSTALL}",
                creates=f"{prefix}/toolkit/bin/nvcc",
            ),
        )

    def _prefix(self, folder: Path) -> str:
        decides = (folder / self.wheels).read_bytes() + _INSTALL.encode()
        return f"{paths.BUILDS}/cuda-{self.version}-{hashlib.sha256(decides).hexdigest()[:12]}"


def in_order(capabilities: Iterable[str]) -> list[str]:
    """Return the capabilities without duplicates, oldest first."""
    return sorted(set(capabilities), key=_number)


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


# The wheels lie in a folder each (nvidia/cu13, nvidia/nccl) and have no links: CMake's FindCUDA wants one
# folder, lib64, and libraries by their names without version. Two builds may come here at once.
_INSTALL = """\
new=$(mktemp -d "$prefix.XXXXXX")
trap 'rm -rf "$new"' EXIT
mkdir "$new/tmp" "$new/toolkit" "$new/toolkit/licenses"
TMPDIR="$new/tmp" python3 -m pip install -q --disable-pip-version-check --no-cache-dir --no-compile \\
  --require-hashes --no-deps --only-binary :all: --target "$new/wheels" -r "$pins"
for part in "$new"/wheels/nvidia/*/; do
  cp -al "$part." "$new/toolkit/"
done
for info in "$new"/wheels/*.dist-info; do
  cp "$info/licenses/License.txt" "$new/toolkit/licenses/$(basename "$info" .dist-info).txt"
done
ln -s lib "$new/toolkit/lib64"
for library in "$new"/toolkit/lib/lib*.so.*; do
  ln -s "$(basename "$library")" "${library%%.so.*}.so"
done
rm -rf "$new/wheels" "$new/tmp"
chmod 0755 "$new"
mv -T "$new" "$prefix" 2>/dev/null || [ -e "$prefix/toolkit/bin/nvcc" ]"""

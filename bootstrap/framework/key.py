"""Key of an artefact: the hash of all inputs that determine its bytes, with the head's facts among them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bootstrap import paths
from bootstrap.errors import BuildError, ConfigError
from bootstrap.framework import steps
from bootstrap.framework.cuda import Toolkit
from bootstrap.framework.recipe import Recipe
from bootstrap.ssh.remote import Remote

LENGTH = 20
"""Hexadecimal digits of a key: 80 bits."""


@dataclass(frozen=True)
class HeadFacts:
    """Facts of the head for a build; the compiler is the installed one, else the one apt would install."""

    distribution: str
    arch: str
    compiler: tuple[str, str]
    """Package and version, e.g. `("g++-12", "12.2.0-14+deb12u1")`."""
    cores: int
    disk_free_mb: int
    toolkits: tuple[Toolkit, ...] = ()
    """CUDA toolkits of its image, complete with the libraries that Caffe links."""


TOOLKITS = "/usr/local/cuda-*"
"""Folders of toolkits by version, in NVIDIA's packages and AWS's Deep Learning images."""

_FACTS = f"""\
export LC_ALL=C.UTF-8
. /etc/os-release
compiler() {{
  # The installed package says it at once; apt reads the lists of all packages first.
  package=$(dpkg-query -W -f='${{db:Status-Status}} ${{Depends}}' g++ 2>/dev/null |
    sed -n 's/^installed .*[ ,]\\(g++-[0-9][0-9]*\\).*/\\1/p')
  [ -n "$package" ] ||
    package=$(apt-cache depends g++ 2>/dev/null | sed -n 's/^ *Depends: \\(g++-[0-9]*\\)$/\\1/p' | head -n 1)
  [ -n "$package" ] || return 1
  version=$(dpkg-query -W -f='${{db:Status-Status}} ${{Version}}' "$package" 2>/dev/null |
    sed -n 's/^installed //p')
  [ -n "$version" ] || version=$(apt-cache policy "$package" | sed -n 's/^ *Candidate: //p')
}}
compiler || {{ UPDATE && compiler; }} || true
mkdir -p {paths.BUILDS}
echo "$ID-$VERSION_ID $(dpkg --print-architecture) ${{package:-none}} ${{version:-none}} $(nproc)" \\
  "$(df -Pm {paths.BUILDS} | awk 'NR == 2 {{ print $4 }}')"
for home in TOOLKITS; do
  for file in bin/nvcc include/cublas_v2.h include/curand.h include/nccl.h lib/libnccl.so; do
    [ -e "$home/$file" ] || continue 2
  done
  echo "$home $("$home/bin/nvcc" --version | sed -n 's/.* V\\([0-9.]*\\)$/\\1/p')"
done
"""


def read_facts(head: Remote, *, update: bool = True) -> HeadFacts:
    """Read the head's facts in one round trip; with `update` fetch its package index if it has none.

    Raises:
        BuildError: no compiler is installed, and none is available.
        Unreachable: the connection broke.
    """
    index = "apt-get -q update >&2" if update else "false"
    result = head.run(_FACTS.replace("TOOLKITS", TOOLKITS).replace("UPDATE", index), timeout=120)
    first, *kits = result.stdout.splitlines()
    distribution, arch, package, version, cores, free = first.split()
    if package == "none" or version in ("none", "(none)"):
        raise BuildError(
            f"{head.node.name} ({distribution})",
            f"apt knows no package g++ ({result.stderr.strip().splitlines()[-1:] or 'no error given'})",
            "Fix /etc/apt/sources.list on it.",
        )
    toolkits = tuple(Toolkit(*kit.split()) for kit in kits if len(kit.split()) == len(Toolkit._fields))
    return HeadFacts(distribution, arch, (package, version), int(cores), int(free), toolkits)


def inputs_of(recipe: Recipe, facts: HeadFacts) -> dict[str, Any]:
    """Return all inputs that determine the artefact's bytes, as plain data for the hash and the manifest.

    It has the commands as they will run, so that a change of the build changes the key; it has neither the
    number of cores nor tests nor descriptions.
    """
    tests = set(recipe.tests)
    files = {name: path for name, path in recipe.inputs(facts.distribution).items() if name not in tests}
    files |= steps.programs(recipe, facts.distribution)
    planned = steps.steps(recipe, facts.distribution, facts.compiler, "FOLDER", facts.toolkits)
    source = recipe.source_on(facts.distribution)
    cuda: dict[str, Any] = {}
    if recipe.cuda is not None:
        found = recipe.cuda.among(facts.toolkits)
        toolkit = f"{found.home} {found.version}" if found else recipe.cuda.wheels
        cuda = {"cuda": {"version": recipe.cuda.version, "archs": recipe.cuda.archs, "toolkit": toolkit}}
    return {
        **cuda,
        "recipe": recipe.name,
        "device": recipe.device,
        "source": source.model_dump(),
        "opencv": recipe.opencv,
        "cmake": recipe.cmake,
        "files": {
            name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in sorted(files.items())
        },
        "steps": [step.model_dump(exclude_none=True, exclude={"timeout"}) for step in planned],
        "distribution": facts.distribution,
        "arch": facts.arch,
        "compiler": " ".join(facts.compiler),
    }


def key_of(inputs: dict[str, Any]) -> str:
    """Return the key of these inputs: any change gives another one."""
    text = json.dumps(inputs, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:LENGTH]


def require_same_distribution(head: str, nodes: Mapping[str, str]) -> None:
    """Refuse nodes of another distribution than the head's; `nodes` has theirs: `{"w1": "debian-12"}`.

    Raises:
        ConfigError: a node differs; the message names both distributions.
    """
    others = [f"{name} is {distribution}" for name, distribution in nodes.items() if distribution != head]
    if others:
        raise ConfigError(
            f"head is {head}, {', '.join(others)}",
            "what is compiled on one does not run on the other",
            "Give head and workers images of one distribution (`pulumi config rm headAmi` and "
            "`pulumi config rm workerAmi` take those of `distribution`), then run `pulumi up`.",
        )

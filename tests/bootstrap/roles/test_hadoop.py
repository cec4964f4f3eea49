from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from pydantic import SecretStr

from bootstrap import paths
from bootstrap.cluster import S3, Cluster
from bootstrap.engine.pins import Sums
from bootstrap.engine.role import load_role
from bootstrap.errors import ConfigError
from tests.bootstrap.roles.conftest import Compile, Compiled, properties, sh

SETS = ("3.5.0-hdfs-s3a", "3.3.4-hdfs-s3a", "3.3.4-yarn-wasb")
MODULES = {
    "hdfs-s3a": ["common", "hdfs", "hdfs-client", "aws"],
    "yarn-wasb": [
        "yarn-server-resourcemanager",
        "yarn-server-nodemanager",
        "yarn-server-timelineservice",
        "azure",
    ],
}


def pinned(hadoop_set: str) -> dict[str, str]:
    """Coordinates of a set's jars, with their sums."""
    file = load_role("hadoop").folder / "templates" / f"hadoop-{hadoop_set}.jars"
    lines = file.read_text().splitlines()
    return {jar: pin for pin, jar in (line.split("  ") for line in lines)}


@pytest.mark.parametrize("hadoop_set", SETS)
def test_every_jar_is_pinned_by_its_sum(hadoop_set: str) -> None:
    jars = pinned(hadoop_set)
    for jar, pin in jars.items():
        assert re.fullmatch(r"[0-9a-f]{64}", pin), jar
        assert re.fullmatch(r"[\w.-]+:[\w.-]+:[\w.-]+(:[\w-]+)?", jar)
    version, _, modules = hadoop_set.partition("-")
    assert {f"org.apache.hadoop:hadoop-{name}:{version}" for name in MODULES[modules]} <= set(jars)
    # Unmaintained, and reload4j takes its place.
    assert not [jar for jar in jars if jar.startswith(("log4j:log4j:", "org.slf4j:slf4j-log4j12:"))]


@pytest.mark.parametrize("hadoop_set", SETS)
def test_exactly_the_pinned_jars_are_fetched(
    compile_for: Compile, compile_for_yarn: Compile, hadoop_set: str
) -> None:
    version = hadoop_set.partition("-")[0]
    compiled = compile_for_yarn if hadoop_set.endswith("yarn-wasb") else compile_for
    hadoop = compiled("hadoop", hadoop_version=version)
    classifier = "{http://ant.apache.org/ivy/maven}classifier"
    asked = {
        ":".join(
            filter(None, (module.get("org"), module.get("name"), module.get("rev"), part.get(classifier)))
        )
        for module in ElementTree.fromstring(hadoop.template("ivy.xml.j2")).iter("dependency")
        for part in module.iter("artifact")
    }
    assert asked == set(pinned(hadoop_set))


def test_nothing_is_fetched_but_what_is_listed(compile_for: Compile) -> None:
    hadoop = compile_for("hadoop")
    modules = list(ElementTree.fromstring(hadoop.template("ivy.xml.j2")).iter("dependency"))
    assert {module.get("transitive") for module in modules} == {"false"}
    (repository,) = ElementTree.fromstring(hadoop.template("ivysettings.xml.j2")).iter("ibiblio")
    assert repository.get("usepoms") == "false"


def test_jars_come_from_a_copy_of_the_repository_where_one_is_named(compile_for: Compile) -> None:
    url = "https://packages.example.org/maven"
    settings = compile_for("hadoop", maven_repository=url).template("ivysettings.xml.j2")
    (repository,) = ElementTree.fromstring(settings).iter("ibiblio")
    assert repository.get("root") == url


def test_nodes_know_the_sum_of_every_jar_by_its_file(compile_for: Compile) -> None:
    lines = compile_for("hadoop", hadoop_version="3.3.4").template("jars.sha256.j2").splitlines()
    files = [line.split("  ")[1] for line in lines]
    assert files == sorted(set(files))
    assert len(files) == len(pinned("3.3.4-hdfs-s3a"))
    epoll = "netty-transport-native-epoll"
    for jar, file in (
        (f"io.netty:{epoll}:4.1.42.Final", f"{epoll}-4.1.42.Final.jar"),
        (f"io.netty:{epoll}:4.1.77.Final:linux-x86_64", f"{epoll}-4.1.77.Final-linux-x86_64.jar"),
    ):
        assert f"{pinned('3.3.4-hdfs-s3a')[jar]}  {file}" in lines


JAVA = """#!/bin/sh
case $* in *-dependency*) exit 0 ;; esac
while [ "$1" != -retrieve ]; do shift; done
lib=${2%/*}
echo "$TWO" >$lib/two-1.jar
[ -e $lib/one-1.jar ] || { echo one >$lib/one-1.jar; exit 1; }
"""


@pytest.mark.parametrize(
    ("two", "status", "says"),
    [("two", 0, ""), ("evil", 1, "these jars differ"), ("missing", 1, "hadoop-3.5.0-hdfs-s3a.jars names")],
)
def test_jars_are_verified_before_any_of_them_is_packed(
    compile_for: Compile, tmp_path: Path, two: str, status: int, says: str
) -> None:
    java, depot, tarball = tmp_path / "bin" / "java", tmp_path / "depot", "hadoop-3.5.0-hdfs-s3a.tar"
    java.parent.mkdir()
    depot.mkdir()
    java.write_text(JAVA if two != "missing" else JAVA.replace("two-1.jar", "three-1.jar"))
    java.chmod(0o755)
    listed = {f"{name}-1.jar": sha256(f"{name}\n".encode()).hexdigest() for name in ("one", "two")}
    (tmp_path / "sums").write_text("".join(f"{listed[name]}  {name}\n" for name in sorted(listed)))
    pins = load_role("hadoop").defaults["sha256"]
    # The sum of a tarball with these two jars is learnt from a run that expects another.
    given: dict[str, Any] = {
        "java_home": str(tmp_path),
        "build": str(tmp_path / "build"),
        "sums": str(tmp_path / "sums"),
        "s3a_jars": {"3.5.0": ["one-1.jar"]},
    }

    def fetch(pin: str) -> subprocess.CompletedProcess[str]:
        sums = Sums("hadoop", tmp_path, {**pins, tarball: pin})
        step = compile_for("hadoop", **given, sha256=sums).commands["Fetch and pack Hadoop"]
        return sh(f"export TWO={two}\n{step.run}".replace(paths.DEPOT, str(depot)))

    got = fetch("0" * 64)
    assert got.returncode == 1
    if status == 0:
        packed = re.search(r"has sha256 ([0-9a-f]{64}), expected 0", got.stderr)
        assert packed, got.stderr
        assert not (depot / tarball).exists()
        got = fetch(packed[1])
    assert (got.returncode, (depot / tarball).exists()) == (status, status == 0), got.stderr
    assert says in got.stderr


def test_another_version_is_refused_by_name_until_its_jars_and_its_tarball_are_pinned(
    compile_for: Compile,
) -> None:
    with pytest.raises(ConfigError, match=r"there is no template 'hadoop-3\.3\.7-hdfs-s3a\.jars'"):
        compile_for("hadoop", hadoop_version="3.3.7", s3a_jars={"3.3.7": []})
    with pytest.raises(ConfigError, match=r"hadoop-3\.3\.7-hdfs-s3a\.tar: its sum is not pinned"):
        compile_for(
            "hadoop",
            hadoop_version="3.3.7",
            hadoop_jars="hadoop-3.3.4-hdfs-s3a.jars",
            s3a_jars={"3.3.7": []},
        )


def test_each_release_of_spark_has_the_hadoop_that_goes_with_it(on_each_line: Compile) -> None:
    hadoop = on_each_line("hadoop")
    spark = on_each_line("spark").variables["spark_version"]
    expected = {"4.3.0": "3.5.0", "3.5.9": "3.3.4"}[spark]
    assert hadoop.variables["hadoop_version"] == expected
    assert hadoop.variables["depot_file"] == f"hadoop-{expected}-hdfs-s3a.tar"


UNUSED = (
    "zookeeper",
    "curator",
    "kerb",
    "netty-all",
    "avro",
    "gson",
    "jsch",
    "leveldbjni",
    "nimbus",
    "bcprov",
)


def test_jars_that_nothing_loads_and_that_have_a_history_of_holes_are_left_out() -> None:
    names = {jar.split(":")[1] for jar in pinned("3.5.0-hdfs-s3a")}
    assert not {name for name in names if name.startswith(UNUSED)}
    assert not {jar for jar in pinned("3.5.0-hdfs-s3a") if jar.startswith("com.amazonaws:")}
    assert "bundle" not in names


def test_another_set_of_modules_is_another_folder_and_another_file(
    compile_for: Compile, compile_for_yarn: Compile
) -> None:
    plain, yarn = compile_for("hadoop"), compile_for_yarn("hadoop")
    assert yarn.variables["hadoop_home"] == "/opt/hadoop-versions/3.3.4-yarn-wasb"
    assert yarn.variables["depot_file"] == "hadoop-3.3.4-yarn-wasb.tar"
    assert "hadoop-yarn-client" in yarn.template("ivy.xml.j2")
    assert "hadoop-yarn-client" not in plain.template("ivy.xml.j2")


def test_blobs_are_the_default_file_system_and_their_key_is_in_a_file_of_its_own(
    compile_for_yarn: Compile,
) -> None:
    hadoop = compile_for_yarn("hadoop", "w1")
    text = hadoop.template("core-site.xml.j2")
    assert properties(text)["fs.defaultFS"] == "wasb://data@account1.blob.core.windows.net"
    assert "bm90LXRvLWJlLXNlZW4=" not in text
    assert 'href="/etc/hadoop/conf/wasb-key.xml"' in text
    name = "fs.azure.account.key.account1.blob.core.windows.net"
    assert properties(hadoop.template("wasb-key.xml.j2")) == {name: "bm90LXRvLWJlLXNlZW4="}
    # The mode is set before the file has its name.
    run = hadoop.commands["Write the key of the storage account"].run
    assert run.index("chmod 640") < run.index("mv ")


def test_nodes_know_the_storage_account_by_its_name_in_azure(compile_for_yarn: Compile) -> None:
    hosts = compile_for_yarn("common", "w1").template("hosts.j2").splitlines()
    assert "10.9.8.10 account1.blob.core.windows.net" in hosts


def test_settings_are_valid_xml_without_empty_values(compile_for: Compile) -> None:
    found = properties(compile_for("hadoop", "w2").template("core-site.xml.j2"))
    assert found
    assert all(found.values())


@pytest.fixture
def hdfs(compile_for: Compile, tmp_path: Path) -> Callable[[str], list[str]]:
    """The `hdfs` command with a Java that prints its arguments."""
    java = tmp_path / "java" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    java.chmod(0o755)
    (tmp_path / "classpath").write_text("/lib/a.jar:/lib/b.jar\n")
    text = compile_for("hadoop").template("hdfs.sh.j2").replace("home=/opt/hadoop\n", f"home={tmp_path}\n")
    command = tmp_path / "hdfs"
    command.write_text(text)
    command.chmod(0o755)

    def run(arguments: str) -> list[str]:
        got = sh(f"export JAVA_HOME={tmp_path}/java HADOOP_CONF_DIR=/conf\n{command} {arguments}")
        return [*got.stdout.splitlines(), str(got.returncode)]

    return run


def test_hdfs_dfs_starts_the_file_system_shell(hdfs: Callable[[str], list[str]]) -> None:
    said = hdfs("dfs -ls '/a b'")
    assert said[-4:] == ["org.apache.hadoop.fs.FsShell", "-ls", "/a b", "0"]
    assert said[said.index("-cp") + 1] == "/lib/a.jar:/lib/b.jar:/conf"


def test_daemons_log_their_news_and_find_their_web_pages(
    hdfs: Callable[[str], list[str]], tmp_path: Path
) -> None:
    said = hdfs("datanode")
    assert "-Dhadoop.level=INFO" in said
    assert said[said.index("-cp") + 1].endswith(f":{tmp_path}")


@pytest.mark.parametrize(("user", "taken"), [("0", False), ("999", True)])
def test_root_runs_no_classes_that_another_user_has_archived(
    hdfs: Callable[[str], list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: str, taken: bool
) -> None:
    (fakes := tmp_path / "fakes").mkdir()
    (fakes / "id").write_text(f"#!/bin/sh\necho {user}\n")
    (fakes / "id").chmod(0o755)
    monkeypatch.setenv("PATH", f"{fakes}:/usr/bin:/bin")
    assert any("classes.jsa" in word for word in hdfs("version")) is taken


def test_hdfs_refuses_a_word_that_it_does_not_know(hdfs: Callable[[str], list[str]]) -> None:
    assert hdfs("balancer") == ["2"]
    assert hdfs("") == ["2"]


# ---- s3a://


def on_s3(cluster: Cluster, **s3: Any) -> Cluster:
    return cluster.model_copy(update={"storage": S3(uri="s3a://bucket", **s3)})


def core_site(cluster: Cluster) -> dict[str, str]:
    return properties(Compiled("hadoop", cluster, cluster.head, {}).template("core-site.xml.j2"))


def test_machines_with_a_role_of_their_own_hold_no_key(cluster: Cluster) -> None:
    stack = on_s3(cluster, region="eu-west-1")
    found = core_site(stack)
    assert found["fs.s3a.endpoint"] == "s3.eu-west-1.amazonaws.com"
    assert found["fs.s3a.aws.credentials.provider"].endswith("IAMInstanceCredentialsProvider")
    assert "fs.s3a.path.style.access" not in found
    keys = Compiled("hadoop", stack, stack.head, {}).template("s3a-keys.xml.j2")
    assert properties(keys) == {}


def test_the_keys_of_another_s3_server_are_for_those_who_run_jobs_alone(cluster: Cluster) -> None:
    stack = on_s3(cluster, endpoint="http://10.0.0.1:7070", access_key="AK", secret_key=SecretStr("hush"))
    found = core_site(stack)
    assert (found["fs.s3a.endpoint"], found["fs.s3a.path.style.access"]) == ("http://10.0.0.1:7070", "true")
    compiled = Compiled("hadoop", stack, stack.node("w1"), {})
    holders = [name for name, command in compiled.commands.items() if "hush" in command.run]
    assert holders == ["Write the keys of S3"]
    step = compiled.commands[holders[0]]
    assert step.run.index("chmod 640") < step.run.index("mv ")
    assert "root:caffe-spark" in step.run
    assert "hush" not in step.masked(step.run)


def test_the_jars_that_spark_lacks_are_among_the_pinned_ones(
    on_each_line: Compile, compile_for_yarn: Compile
) -> None:
    for hadoop, lists in ((on_each_line("hadoop"), ["s3a"]), (compile_for_yarn("hadoop"), ["s3a", "wasb"])):
        version = hadoop.variables["hadoop_version"]
        text = hadoop.template("jars.sha256.j2")
        listed = {"s3a": hadoop.variables["s3a_jars"][version], "wasb": hadoop.variables["wasb_jars"]}
        jars = [jar for name in lists for jar in listed[name]]
        assert f"hadoop-aws-{version}.jar" in jars
        assert [jar for jar in jars if f"  {jar}\n" not in text] == []

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from pydantic import SecretStr

from bootstrap.cluster import S3, Cluster
from bootstrap.engine.role import load_role
from tests.bootstrap.roles.conftest import Compile, Compiled, properties, sh


@pytest.mark.parametrize(
    ("hadoop_set", "lists"),
    [("hdfs-s3a", ("hadoop_modules",)), ("yarn-wasb", ("hadoop_modules", "yarn_wasb_modules"))],
)
def test_the_pinned_sums_are_sorted_unique_and_hold_the_modules(
    hadoop_set: str, lists: tuple[str, ...]
) -> None:
    role = load_role("hadoop")
    text = (role.folder / "templates" / f"{hadoop_set}.sha256").read_text()
    names = []
    for line in text.splitlines():
        match = re.fullmatch(r"[0-9a-f]{64}  (\S+\.jar)", line)
        assert match, line
        names.append(match[1])
    assert names == sorted(set(names))
    version = role.defaults["hadoop_version"]
    modules = [module for part in lists for module in role.defaults[part]]
    assert {f"{module}-{version}.jar" for module in modules} <= set(names)
    # Unmaintained, and reload4j takes its place.
    assert not [name for name in names if name.startswith(("log4j-1", "slf4j-log4j12"))]


def test_the_list_of_modules_is_valid_xml_with_every_module(compile_for: Compile) -> None:
    pom = ElementTree.fromstring(compile_for("hadoop").template("pom.xml.j2"))
    found = {(d.findtext("artifactId"), d.findtext("version")) for d in pom.iter("dependency")}
    hadoop = {"hadoop-common", "hadoop-hdfs", "hadoop-hdfs-client", "hadoop-aws"}
    sdk = {"aws-java-sdk-s3", "aws-java-sdk-sts", "aws-java-sdk-dynamodb"}
    assert found == {(name, "3.3.4") for name in hadoop} | {(name, "1.12.367") for name in sdk}


def test_another_set_of_modules_is_another_folder_and_another_file(
    compile_for: Compile, compile_for_yarn: Compile
) -> None:
    plain, yarn = compile_for("hadoop"), compile_for_yarn("hadoop")
    assert yarn.variables["hadoop_home"] == "/opt/hadoop-versions/3.3.4-yarn-wasb"
    assert yarn.variables["depot_file"] == "hadoop-3.3.4-yarn-wasb.tar"
    assert "hadoop-yarn-client" in yarn.template("pom.xml.j2")
    assert "hadoop-yarn-client" not in plain.template("pom.xml.j2")
    assert yarn.variables["hadoop_tarball_sha256"] != plain.variables["hadoop_tarball_sha256"]


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


def test_spark_gets_exactly_the_jars_that_it_lacks_for_s3a() -> None:
    role = load_role("hadoop")
    text = (role.folder / "templates" / "hdfs-s3a.sha256").read_text()
    jars = [
        jar.replace("{{ hadoop_version }}", role.defaults["hadoop_version"]).replace(
            "{{ aws_sdk_version }}", role.defaults["aws_sdk_version"]
        )
        for jar in role.defaults["s3a_jars"]
    ]
    assert [jar for jar in jars if f"  {jar}\n" not in text] == []

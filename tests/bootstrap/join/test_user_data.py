"""Scripts and user data by which machines provision themselves; the end-to-end tests run them."""

from __future__ import annotations

import ast
import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bootstrap import paths
from bootstrap.cluster import S3, AutoScalingGroup, ClusterDocument
from bootstrap.engine.plan import order, plan_node
from bootstrap.engine.render import render
from bootstrap.engine.role import load_role
from bootstrap.join import user_data as boot
from bootstrap.join.user_data import Boot
from tests.signing import SIGNING_KEY


@pytest.fixture
def group(cluster_document: dict[str, object]) -> ClusterDocument:
    """A cluster with an Auto Scaling group, on S3."""
    return ClusterDocument.model_validate(
        {
            **cluster_document,
            "head": {"name": "head", "address": "10.9.8.10"},
            "members": AutoScalingGroup(name="workers", region="eu-west-1", desired_capacity=2),
            "storage": S3(uri="s3a://bucket", region="eu-west-1"),
        }
    )


def settings(**changes: Any) -> Boot:
    given: dict[str, Any] = {
        "role": "worker",
        "region": "eu-west-1",
        "bucket": "bucket",
        "script_key": "cluster/bootstrap/worker-0123456789abcdef.sh",
        "sha256": "0" * 64,
        "ssh_user": "ubuntu",
        "authorized_key": "ssh-ed25519 AAAA",
        "signing_key": SIGNING_KEY.public_key,
        "role_id": "AROA0123456789ABCDEFG",
        "autoscaling_group": "workers",
    }
    return Boot(**{**given, **changes})


def test_one_script_serves_every_worker(group: ClusterDocument) -> None:
    script = boot.rendered(group, "worker", {})
    for node in ("w7", "w8"):
        other = group.head.model_copy(update={"name": node, "address": f"10.1.1.{node[1]}"})
        roles = order([load_role(name) for name in group.roles])
        assert render(plan_node(roles, group, other, {})) == script
    assert "any-worker" not in script
    assert "192.0.2.1" not in script


def test_the_script_of_a_worker_differs_from_the_heads(group: ClusterDocument) -> None:
    head, worker = (boot.rendered(group, role, {}) for role in ("head", "worker"))
    assert "spark-master" in head
    assert "spark-master.service" not in worker
    assert "10.9.8.10 head" in worker


def test_a_worker_without_internet_access_gets_packages_through_the_head(group: ClusterDocument) -> None:
    walled = group.model_copy(update={"package_proxy": True})
    script = boot.rendered(walled, "worker", {})
    assert script.index("10.9.8.10:3142") < script.index("openjdk-17-jre-headless")
    assert "3142" not in boot.rendered(group, "worker", {})


def test_a_script_is_named_by_its_content() -> None:
    assert boot.script_key("head", "ab" * 32) == f"{paths.BOOT_SCRIPTS}/head-abababababababab.sh"


def test_the_framework_script_unpacks_the_manifests_archive(group: ClusterDocument) -> None:
    given = {
        "framework_key": "k" * 20,
        "framework_sha256": "5" * 64,
        "framework_uri": "s3a://bucket/frameworks/caffe/k/caffe.tar.gz",
        "framework_packages": ["libgloo0"],
        "framework_distribution": "debian-12",
        "framework_test": "import caffe  # as an executor does\n",
    }
    script = boot.framework_script(group, given)
    assert "5" * 64 in script
    assert "s3a://bucket/frameworks/caffe/k/caffe.tar.gz" in script
    assert "libgloo0" in script
    assert script.index("mv -fT") < script.index("import caffe  # as an executor does")


@pytest.mark.parametrize("role", ["head", "worker"])
def test_user_data_is_valid_shell_within_ec2s_limit(role: boot.Kind) -> None:
    # As long as the names of a real stack are.
    names = {"bucket": "b" * 63, "autoscaling_group": "g" * 60, "authorized_key": "ssh-ed25519 " + "A" * 68}
    names["region"] = "ap-southeast-2"
    text = boot.user_data(settings(role=role, **names))
    assert len(text.encode()) < boot.LIMIT
    assert text.startswith("#!/bin/sh\n")
    parsed = subprocess.run(["sh", "-n"], input=text, capture_output=True, text=True, check=False)
    assert parsed.returncode == 0, parsed.stderr
    for program in text.split("<<'BOOT'\n")[1:]:
        ast.parse(program.split("\nBOOT\n")[0], feature_version=(3, 8))


def test_the_program_in_user_data_does_what_the_source_does() -> None:
    class Plain(ast.NodeTransformer):
        def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
            node.returns = None
            return self.generic_visit(node)

        def visit_arg(self, node: ast.arg) -> ast.arg:
            node.annotation = None
            return node

        def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
            # Which of them stay is tested by starting the program.
            return None if node.module == "typing" else node

        def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
            return None if isinstance(node.value, ast.Constant) else node

    text = boot.user_data(settings())
    shipped = [program.split("\nBOOT\n")[0] for program in text.split("<<'BOOT'\n")[1:]]
    folder = Path(boot.__file__).parent / "on_node"
    sources = [(folder / name).read_text() for name in ("aws.py", "notice.py", "boot.py")]
    assert [ast.dump(Plain().visit(ast.parse(program))) for program in shipped] == [
        ast.dump(Plain().visit(ast.parse(source))) for source in sources
    ]


def test_the_program_of_user_data_starts_as_its_unit_starts_it(tmp_path: Path) -> None:
    text = boot.user_data(settings(authorized_key="")).partition("systemctl daemon-reload")[0]
    for folder in ("/usr/local/lib", "/etc/caffe-spark", "/etc/systemd/system"):
        text = text.replace(folder, f"{tmp_path}{folder}")
    (tmp_path / "etc/systemd/system").mkdir(parents=True)
    subprocess.run(["sh"], input=text, text=True, check=True)
    unit = (tmp_path / "etc/systemd/system/caffe-spark-boot.service").read_text()
    lines = dict(line.partition("=")[::2] for line in unit.splitlines() if "=" in line)
    name, _, value = lines["Environment"].partition("=")
    # Without packages, as on a node: the project's own modules are not to be found in place of them.
    words = [sys.executable, "-S", *lines["ExecStart"].split()[1:-1], "nothing-to-do"]
    tried = subprocess.run(words, cwd="/", env={name: value}, capture_output=True, text=True, check=False)
    # All modules are found and imported; then there is no such verb.
    assert tried.stderr.splitlines()[-1] == "KeyError: 'nothing-to-do'"
    assert str(tmp_path) in tried.stderr


def test_user_data_holds_no_secret(group: ClusterDocument) -> None:
    script = boot.rendered(group, "worker", {})
    assert group.spark_secret.get_secret_value() in script
    text = boot.user_data(settings(sha256=hashlib.sha256(script.encode()).hexdigest()))
    assert group.spark_secret.get_secret_value() not in text


def test_a_recommendation_is_a_notice_only_where_the_settings_say_so() -> None:
    assert settings().settings()["rebalance"] == ""
    assert settings(rebalance=True).settings()["rebalance"] == "yes"


def test_only_members_of_a_group_watch_for_a_notice() -> None:
    assert "caffe-spark-watch.service" in boot.user_data(settings())
    assert "caffe-spark-watch.service" not in boot.user_data(settings(role="head", autoscaling_group=""))


def test_without_a_key_authorized_keys_are_not_changed() -> None:
    assert "authorized_keys" not in boot.user_data(settings(authorized_key=""))


def test_buckets_of_aws_are_part_of_the_host_name_and_others_of_the_path() -> None:
    assert settings().settings()["bucket_url"] == "https://bucket.s3.eu-west-1.amazonaws.com"
    own = settings(endpoint="http://10.0.0.1:7070").settings()
    assert own["bucket_url"] == "http://10.0.0.1:7070/bucket"

"""Role `job_credentials`: rules that the kernel applies, and what jobs' programs are told."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bootstrap import paths
from bootstrap.cluster import Cluster
from tests.bootstrap.roles.conftest import Compile, Compiled, sh

JOB, STORAGE, AGENT, ANOTHER = "nobody", "games", "mail", "daemon"
"""Users of every machine, in place of those that the role makes."""

ROOT = Path(__file__).parents[3]

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("iptables") or not shutil.which("unshare"),
    reason="a network of its own needs root, util-linux and iptables",
)

# In a network of its own: both services on loopback, the rules as the units load them, and who reaches what.
REACHES = """
set -e
ip link set lo up
ip address add 169.254.169.254/32 dev lo
mkdir {folder}/empty
cd {folder}/empty
python3 -m http.server --bind 169.254.169.254 80 >/dev/null 2>&1 &
metadata=$!
python3 -m http.server --bind 127.0.0.1 {port} >/dev/null 2>&1 &
trap "kill $metadata $!" EXIT
for url in http://169.254.169.254/ http://127.0.0.1:{port}/; do
  tries=100
  until curl -fs --noproxy '*' -o /dev/null $url; do
    tries=$((tries - 1)); [ $tries -gt 0 ]; sleep 0.1
  done
done
iptables -A OUTPUT -d 192.0.2.1/32 -j ACCEPT
for _ in 1 2; do
{load}
done
for user in root {users}; do
  for url in http://169.254.169.254/ http://127.0.0.1:{port}/; do
    curl="curl -s --noproxy * --max-time 1 -o /dev/null -w %{{http_code}}"
    status=$(set -f; runuser -u $user -- $curl $url) || true
    echo "$user $url $status"
  done
done
iptables -S OUTPUT
"""


@pytest.fixture
def compiled(compile_for: Compile) -> Compiled:
    return compile_for("job_credentials", "w1")


def loading(compiled: Compiled, folder: Path) -> str:
    """The commands of the firewall's unit, on a copy of the rules with users of this machine."""
    rules = compiled.template("firewall.j2")
    for user, present in ((paths.JOB_USER, JOB), (paths.HDFS_USER, STORAGE)):
        rules = rules.replace(f"--uid-owner {user} ", f"--uid-owner {present} ")
    (folder / "rules").write_text(rules)
    unit = compiled.template("caffe-spark-firewall.service.j2")
    unit = unit.replace(f"--uid-owner {compiled.variables['agent_user']} ", f"--uid-owner {AGENT} ")
    lines = [line.partition("=")[2] for line in unit.splitlines() if line.startswith("ExecStart=")]
    return "\n".join(lines).replace(compiled.variables["firewall"], str(folder / "rules"))


@needs_root
def test_root_and_the_agent_reach_the_metadata_service_and_jobs_their_own_credentials(
    compiled: Compiled, tmp_path: Path
) -> None:
    tmp_path.chmod(0o755)
    script = REACHES.format(
        folder=tmp_path,
        port=paths.CREDENTIALS_PORT,
        load=loading(compiled, tmp_path),
        users=f"{JOB} {STORAGE} {AGENT} {ANOTHER}",
    )
    done = subprocess.run(
        ["unshare", "-n", "sh", "-s"], input=script, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    *reached, _policy, first, last = done.stdout.splitlines()
    metadata, own = "http://169.254.169.254/", f"http://127.0.0.1:{paths.CREDENTIALS_PORT}/"
    assert reached == [
        *(f"root {metadata} 200", f"root {own} 200"),
        *(f"{JOB} {metadata} 000", f"{JOB} {own} 200"),
        *(f"{STORAGE} {metadata} 000", f"{STORAGE} {own} 200"),
        *(f"{AGENT} {metadata} 200", f"{AGENT} {own} 000"),
        *(f"{ANOTHER} {metadata} 000", f"{ANOTHER} {own} 000"),
    ]
    # Loaded twice, it stands once, before the machine's other rules, which stay.
    assert first.startswith("-A OUTPUT -j CAFFE-SPARK")
    assert last.startswith("-A OUTPUT -d 192.0.2.1/32")


def test_the_agent_alone_is_let_through_and_the_rules_stand_without_it(
    compiled: Compiled, aws_cluster: Cluster
) -> None:
    name = "caffe-spark-firewall.service.j2"
    (line,) = [one for one in compiled.template(name).splitlines() if "cwagent" in one]
    assert line.endswith("-m owner --uid-owner cwagent -j RETURN || true'")
    assert "cwagent" not in compiled.template("firewall.j2"), "a user who is gone would leave no rule at all"
    without = aws_cluster.model_copy(update={"cloud_logs": None})
    assert "cwagent" not in Compiled("job_credentials", without, without.node("w1"), {}).template(name)


def test_the_rules_stand_before_any_program_of_a_job(compiled: Compiled) -> None:
    unit = compiled.template("caffe-spark-firewall.service.j2")
    (before,) = [line for line in unit.splitlines() if line.startswith("Before=")]
    assert {"network-pre.target", "spark-master.service", "spark-worker.service"} <= set(
        before.removeprefix("Before=").split()
    )
    assert "Requires=caffe-spark-firewall.service" in compiled.template("caffe-spark-credentials.service.j2")


def test_no_job_can_listen_in_place_of_the_endpoint() -> None:
    assert paths.CREDENTIALS_PORT < 1024


@pytest.mark.parametrize(
    ("step", "name"), [("Write the machine's requests", "aws"), ("Write the endpoint", "credentials")]
)
def test_the_programs_arrive_as_they_are_written(
    step: str, name: str, compiled: Compiled, tmp_path: Path
) -> None:
    (tmp_path / "chown").write_text("#!/bin/sh\n")
    (tmp_path / "chown").chmod(0o755)
    script = compiled.commands[step].run.replace(compiled.variables["library"], str(tmp_path))
    done = sh(f"PATH={tmp_path}:$PATH\n{script}")
    assert done.returncode == 0, done.stderr
    program = f"bootstrap/join/on_node/{name}.py"
    assert (tmp_path / program).read_text() == (ROOT / program).read_text()


def test_the_endpoint_knows_the_role_and_where_to_ask(compiled: Compiled) -> None:
    assert json.loads(compiled.template("credentials.json.j2")) == {
        "metadata": "http://169.254.169.254",
        "region": "eu-west-1",
        "job_role": "arn:aws:iam::123456789012:role/caffe-spark-dev-job-1",
        "sts_url": "https://sts.eu-west-1.amazonaws.com",
        "url": paths.CREDENTIALS_URL,
    }


TOLD = f"export AWS_CONTAINER_CREDENTIALS_FULL_URI={paths.CREDENTIALS_URL}"
TEMPLATES = [("common", "profile.sh.j2"), ("spark", "spark-env.sh.j2"), ("hadoop", "hdfs.sh.j2")]


@pytest.mark.parametrize(("role", "template"), TEMPLATES)
def test_every_program_that_reaches_storage_knows_the_endpoint(
    role: str, template: str, aws_cluster: Cluster, cluster: Cluster
) -> None:
    """A login, a driver; Spark's daemons and their executors; `hdfs dfs` however it is started."""
    told = Compiled(role, aws_cluster, aws_cluster.node("w1"), {}).template(template)
    assert told.splitlines().count(TOLD) == 1
    assert "AWS_" not in Compiled(role, cluster, cluster.node("w1"), {}).template(template)


# ---- the checks


@pytest.fixture
def check(compiled: Compiled, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a check with a `curl` that answers by the URL; `runuser` runs its command."""

    def run(name: str, **answers: Any) -> subprocess.CompletedProcess[str]:
        bin_ = tmp_path / "bin"
        bin_.mkdir()
        (bin_ / "runuser").write_text('#!/bin/sh\nshift 3\nexec "$@"\n')
        status = answers["status"]
        (bin_ / "curl").write_text(
            "#!/bin/sh\n"
            'case "$*" in\n'
            f"*http_code*) printf {status} ;;\n"
            f"*) printf '%s' '{answers.get('body', '')}' ;;\nesac\n"
            f"[ {status} != 000 ]\n"
        )
        for file in bin_.iterdir():
            file.chmod(0o755)
        return sh(f"PATH={bin_}:$PATH\n{compiled.checks[name].run}")

    return run


@pytest.mark.parametrize(("status", "code"), [("000", 0), ("200", 1), ("401", 1)])
def test_doctor_says_when_the_metadata_service_answers_jobs(
    status: str, code: int, check: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = check("Jobs reach no instance metadata", status=status)
    assert done.returncode == code, done.stdout
    assert ("jobs get the machine's role" in done.stdout) == bool(code)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        ("200", "", ""),
        ("000", "", "nothing answers user spark"),
        (
            "503",
            '{"code": "Unavailable", "message": "GET https://sts: 403 AccessDenied"}',
            "403 AccessDenied",
        ),
    ],
)
def test_doctor_says_why_jobs_get_no_credentials(
    status: str, body: str, said: str, check: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = check("Jobs get credentials of their own", status=status, body=body)
    assert done.returncode == (1 if said else 0)
    assert said in done.stdout

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from rich.console import Console

from bootstrap.cluster import Cluster
from bootstrap.engine import render as rendering
from bootstrap.engine.command import Command
from bootstrap.engine.execute import apply
from bootstrap.engine.plan import make_plan
from bootstrap.engine.render import render
from bootstrap.engine.role import load_role
from bootstrap.errors import ConfigError
from bootstrap.ssh.remote import Remote, connect
from tests.bootstrap.sandbox import Sandbox

ROLES = Path(__file__).parents[1] / "roles"
ID = '[ "$1" = -u ] && { echo 0; exit; }; exec /usr/bin/id "$@"'
"""Tests need not be run by root."""


@pytest.fixture
def box(tmp_path: Path, cluster: Cluster) -> Sandbox:
    return Sandbox(tmp_path, cluster.workers[0], {"id": ID})


def touch(name: str, box: Sandbox, run: str = "", needs: tuple[str, str] | None = None) -> Command:
    return Command("r", name, f"[ -e {box.box}/{name} ]", f"{run}\ntouch {box.box}/{name}", needs=needs)


def test_a_rendered_script_does_what_is_left_to_do(box: Sandbox) -> None:
    (box.box / "one").touch()
    text = render([touch("one", box), touch("two", box, "echo working")])
    lines = box.run(text).stdout.splitlines()
    assert lines[0] == "step 1/2 r: one"
    assert lines[1].startswith("step 1/2 r: one: ok (")
    assert "working" in lines
    assert any(line.startswith("step 2/2 r: two: changed (") for line in lines)
    assert lines[-1] == "all steps done"
    again = box.run(text).stdout
    assert again.count(": ok (") == 2
    assert "changed" not in again


def test_the_first_failing_step_ends_it_and_is_named(box: Sandbox) -> None:
    text = render([touch("one", box, "false\ntrue"), touch("two", box)])
    result = box.run(text, check=False)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith("step 1/2 r: one: failed with status 1 after")
    assert not (box.box / "two").exists()


def test_a_step_without_effect_fails(box: Sandbox) -> None:
    result = box.run(render([Command("r", "a", "false", "true")]), check=False)
    assert result.exit_code == 76
    assert "still not as the step wants it" in result.stderr


def test_a_step_that_needs_another_node_is_tried_until_it_succeeds(
    box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = f"echo x >>{box.box}/tries; [ $(wc -l <{box.box}/tries) -ge 3 ]"
    text = render([touch("one", box, count, needs=("r", "pack"))])
    text = text.replace(f"sleep {rendering.RETRY_INTERVAL}", "sleep 0.05")
    result = box.run(text)
    assert result.stdout.count("not yet, trying again") == 2
    assert (box.box / "one").exists()


def test_and_not_for_ever(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "NEEDS_TIMEOUT", 0)
    command = Command("r", "fetch", "false", "false", timeout=0, needs=("r", "pack"))
    assert box.run(render([command]), check=False).exit_code == 1


def test_only_root_may_run_it(tmp_path: Path, cluster: Cluster) -> None:
    box = Sandbox(tmp_path, cluster.head, {"id": "echo 1000"})
    result = box.run(render([touch("one", box)]), check=False)
    assert (result.exit_code, result.stderr) == (1, "run this as root\n")


def test_a_script_is_ascii_with_lf_whatever_files_hold(cluster: Cluster) -> None:
    text = render(make_plan([load_role("demo", ROLES)], cluster, {})["w1"])
    assert text.isascii()
    assert "\r" not in text
    assert text.startswith("#!/bin/sh\n")


def test_text_that_is_not_ascii_is_refused_where_it_cannot_be_hidden(box: Sandbox) -> None:
    with pytest.raises(ConfigError, match="role 'r', step 'one': its script is not plain ASCII"):
        render([touch("one", box, "echo ü")])


@pytest.mark.parametrize("shell", ["sh", "dash", "bash", "busybox sh"])
def test_every_posix_shell_can_read_it(cluster: Cluster, shell: str, tmp_path: Path) -> None:
    if shutil.which(shell.split(maxsplit=1)[0]) is None:
        pytest.skip(f"no {shell} here")
    file = tmp_path / "script.sh"
    file.write_text(render(make_plan([load_role("demo", ROLES)], cluster, {})["w1"]))
    subprocess.run([*shell.split(), "-n", str(file)], check=True)


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="no shellcheck here")
def test_shellcheck_finds_nothing(cluster: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "script.sh"
    file.write_text(render(make_plan([load_role("demo", ROLES)], cluster, {})["w1"]))
    done = subprocess.run(["shellcheck", str(file)], capture_output=True, text=True, check=False)
    assert done.stdout == ""


# Everything that the demo role decides. Git's own files hold times, which differ from node to node.
SNAPSHOT = r"""
dpkg-query -W -f='package ${Package} ${Version} ${db:Status-Status}\n'
getent passwd demo | sed 's/^/user /'
id demo
for folder in /etc/demo /srv/demo /opt/demo /opt/demo-1 /etc/systemd/system /var/lib/caffe-spark/stamps; do
  find "$folder" -path '*/.git/*' -prune -o -printf '%p %y %m %u %g %l\n'
  find "$folder" -path '*/.git/*' -prune -o -type f ! -name apt-update -exec sha256sum {} +
done | sort
git -c safe.directory='*' -C /srv/demo/checkout rev-parse HEAD
git -c safe.directory='*' -C /srv/demo/checkout status --porcelain
systemctl is-active demo.service
systemctl is-enabled demo.service
systemctl show -p ExecStart --value demo.service | sed 's/start_time.*//'
cat /run/demo.ready
"""


def snapshot(remote: Remote) -> list[str]:
    return remote.run(SNAPSHOT).stdout.splitlines()


@pytest.mark.cluster
def test_rendered_and_executed_roles_leave_the_same_node(
    real_cluster: Cluster, console: Console, tmp_path: Path
) -> None:
    w1, w2 = real_cluster.workers
    one_worker = real_cluster.model_copy(update={"workers": (w1,)})
    apply(one_worker, ["demo"], folder=ROLES, console=console, logs=tmp_path / "logs")
    text = render(make_plan([load_role("demo", ROLES)], one_worker, {})["w1"])
    with connect(real_cluster, w1) as executed, connect(real_cluster, w2) as rendered:
        first = rendered.run(text, timeout=600).stdout
        assert first.count(": changed (") == 12
        assert snapshot(rendered) == snapshot(executed)
        # and each finds nothing left to do after the other
        assert rendered.run(text).stdout.count(": ok (") == 12
        assert executed.run(text).stdout.count(": ok (") == 12
    both = real_cluster.model_copy(update={"workers": (w2,)})
    folder = tmp_path / "roles"
    shutil.copytree(ROLES / "demo", folder / "demo")
    settings = folder / "demo/templates/demo.conf.j2"
    # w2's settings name the worker that they were rendered for
    settings.write_text(settings.read_text().replace("{{ worker.name }}", "w1"))
    recap = apply(both, ["demo"], folder=folder, console=console, logs=tmp_path / "logs")
    assert (recap.changed, recap.nodes[1].ok) == (0, 12)

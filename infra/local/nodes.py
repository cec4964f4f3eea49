"""Nodes: containers that run systemd and sshd and behave as hosts."""

from __future__ import annotations

import socket
import sys
from dataclasses import asdict, fields
from typing import Any, Final

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource, UpdateResult

from bootstrap.errors import StackError, Unreachable
from infra import tags
from infra.keys import SshKey
from infra.local import node_spec, probe
from infra.local.boot import boot_flags
from infra.local.engine import Engine, EngineError, run_as_root, typed
from infra.local.node_spec import NodeSpec, create_arguments, identity, limit_arguments
from infra.provider import Props, Provider, changed, replace_if

USER: Final = node_spec.USER
PORT: Final = 22
BOOT_TIMEOUT: Final = 90.0
"""Seconds; a node boots in one, and in ten if a dozen boot at once on two cores."""
REACH_TIMEOUT: Final = 30.0
"""Seconds until a booted node must be reachable from this machine."""
PATIENCE: Final = 20.0
"""Seconds without an answer until `read` asks systemd: the node may be compiling on all its cores."""
UP: Final = ("running", "degraded", "starting")
"""States of systemd on a running host."""

# Runs in the node: waits until it has booted and sshd listens, then prints its host keys. systemctl may hang
# in the first moments of a boot, hence its own timeout.
_READY: Final = """
end=$(($(date +%s) + TIMEOUT))
while :; do
    state=$(timeout 2 systemctl is-system-running 2>/dev/null)
    case $state in running|degraded) break ;; esac
    [ "$(date +%s)" -lt $end ] || { echo "systemd says ${state:-nothing} after TIMEOUT s" >&2; exit 1; }
    sleep 0.1
done
ssh-keyscan -t ed25519 ADDRESS 2>/dev/null
"""


# Runs as root on this machine. `nsenter` would run the image's own umount with all of root's rights, and
# `umount --namespace` needs a /proc in which it finds itself.
_UNMOUNT: Final = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, MNT_DETACH = 0x20000, 2
namespace = os.open("/proc/%d/ns/mnt" % int(sys.argv[1]), os.O_RDONLY)
if libc.setns(namespace, CLONE_NEWNS) or libc.umount2(sys.argv[2].encode(), MNT_DETACH):
    sys.exit("%s: %s" % (sys.argv[2], os.strerror(ctypes.get_errno())))
"""


class NodeProvider(Provider):
    """A container that behaves as a host: it boots, keeps its address, and has the host key in the state."""

    def create(self, props: Props) -> CreateResult:
        """Create and boot the node, and wait until sshd presents the recorded host key.

        Raises:
            StackError: a container of that name belongs to another stack.
            EngineError: the engine fails.
            Unreachable: the node does not boot or does not answer; it is removed again.
        """
        spec = NodeSpec.of(props)
        engine = Engine(spec.engine)  # type: ignore[arg-type]
        _claim(engine, spec)
        found = probe.find(engine, spec.image)
        id_ = engine.run(*create_arguments(spec, boot_flags(engine, spec.container), found)).split()[-1]
        # By id from here on: another run may take over the name.
        try:
            # On stdin: every user of this machine can read argument lists.
            engine.run("cp", "-", f"{id_}:/", stdin=identity(spec))
            engine.run("start", id_)
            if not engine.podman:
                _uncover_hosts(engine, id_)
            _wait_until_ready(engine, spec, id_)
        except BaseException:
            engine.remove_containers(id_)
            raise
        return CreateResult(id_=id_, outs={**props, **asdict(spec), "flags": str(found)})

    def read(self, id_: str, props: Props) -> ReadResult:
        """Check that the node runs; an empty id if it was removed, has exited, or does not answer."""
        if not _lives(Engine(props["engine"]), id_, props["address"]):
            return ReadResult(id_="", outs={})
        return ReadResult(id_=id_, outs=props)

    def diff(self, id_: str, olds: Props, news: Props) -> DiffResult:
        """Change CPUs and memory in place; any other change replaces the node.

        A dead node is replaced, too, so that a plain `pulumi up` heals the cluster in half the time that
        `refresh: always` would add to every command.
        """
        in_place = ("vcpu", "memory_mb", "labels")
        settled = [field.name for field in fields(NodeSpec) if field.name not in in_place]
        replaces = changed(olds, news, settled)
        if not replaces and not _lives(Engine(olds["engine"]), id_, olds["address"]):
            replaces = ["container"]
        return replace_if(replaces, changed(olds, news, ("vcpu", "memory_mb")))

    def update(self, id_: str, olds: Props, news: Props) -> UpdateResult:
        """Apply new limits without a reboot.

        Raises:
            EngineError: the engine refuses them.
        """
        spec = NodeSpec.of(news)
        engine = Engine(spec.engine)  # type: ignore[arg-type]
        if probe.find(engine, spec.image).limits:
            engine.run("update", *limit_arguments(spec.vcpu, spec.memory_mb), id_)
        return UpdateResult(outs={**olds, **asdict(spec)})

    def delete(self, id_: str, props: Props) -> None:
        """Remove the container and its volumes."""
        Engine(props["engine"]).remove_containers(id_)


def _claim(engine: Engine, spec: NodeSpec) -> None:
    """Free the name: remove what an interrupted run of this stack left, and nothing else."""
    there = engine.container(spec.container)
    if there is None:
        return
    if not tags.is_ours(dict(there.labels), spec.labels):
        raise StackError(
            f"container {spec.container}",
            f"it exists and belongs to {tags.owner(dict(there.labels))}",
            f"Run `{typed(engine.kind)} rm -f {spec.container}` if nothing needs it.",
        )
    engine.remove_containers(there.id)


def _uncover_hosts(engine: Engine, id_: str) -> None:
    # Docker mounts /etc/hosts, so that no role could replace it; the node's own file is beneath. A node may
    # not unmount anything itself.
    there = engine.container(id_)
    if there is not None and there.pid:
        run_as_root([sys.executable, "-I", "-S", "-c", _UNMOUNT, str(there.pid), "/etc/hosts"])


def _wait_until_ready(engine: Engine, spec: NodeSpec, id_: str) -> None:
    where = f"{spec.hostname} ({spec.address})"
    script = _READY.replace("TIMEOUT", f"{BOOT_TIMEOUT:.0f}").replace("ADDRESS", spec.address)
    again = "Rerun the command."
    try:
        shown = engine.run("exec", id_, "sh", "-c", script, timeout=BOOT_TIMEOUT + 10)
    except EngineError as error:
        raise Unreachable(where, f"it did not boot: {error.output or error.why}", again) from error
    if spec.host_public_key.split()[1] not in shown.split():
        raise Unreachable(where, "sshd does not present the stack's host key", again)
    banner = _banner(spec.address, BOOT_TIMEOUT)
    if not banner:
        raise Unreachable(
            where,
            "sshd runs, but this machine cannot reach it",
            "Check this machine's firewall and routes.",
        )


def _lives(engine: Engine, id_: str, address: str) -> bool:
    """Return whether sshd answers, or systemd does while sshd is too busy."""
    container = engine.container(id_)
    if container is None or not container.running:
        return False
    greeted = _banner(address, PATIENCE)
    if greeted is not None:
        return greeted
    # `degraded` exits with status 1 and is still a running host
    ask = "systemctl is-system-running || true"
    try:
        return engine.run("exec", id_, "sh", "-c", ask, timeout=PATIENCE).strip() in UP
    except EngineError:
        return False


def _banner(address: str, patience: float) -> bool | None:
    """Return True if an SSH server answers, False if nothing listens, None after `patience` seconds without
    an answer."""
    try:
        with socket.create_connection((address, PORT), timeout=patience) as connection:
            return connection.recv(4) == b"SSH-"
    except ConnectionRefusedError:
        return False
    except OSError:
        return None


class EmbeddedNode(Resource, module="embedded", name="Node"):
    """A node of the cluster."""

    hostname: pulumi.Output[str]
    address: pulumi.Output[str]
    host_public_key: pulumi.Output[str]
    flags: pulumi.Output[str]
    """Flags that the engine needs on this host, in words."""

    def __init__(
        self,
        hostname: str,
        *,
        stack: str,
        engine: str,
        address: str,
        network: pulumi.Input[str],
        image: pulumi.Input[str],
        vcpu: int,
        memory_mb: int,
        authorized_key: pulumi.Input[str],
        labels: dict[str, str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        host_key = SshKey(f"{hostname}-host-key")
        props: dict[str, Any] = {
            "engine": engine,
            "container": tags.full_name(stack, hostname),
            "hostname": hostname,
            "address": address,
            "network": network,
            "image": image,
            "vcpu": vcpu,
            "memory_mb": memory_mb,
            "host_private_key": host_key.private_key,
            "host_public_key": host_key.public_key,
            "authorized_key": authorized_key,
            "labels": labels,
            "flags": None,
        }
        super().__init__(NodeProvider(), hostname, props, opts)

"""Base image of the nodes: built once per recipe, and kept when stacks are destroyed."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource

from bootstrap.errors import ConfigError
from infra.local import probe
from infra.local.cache import cache_folder, locked
from infra.local.engine import OWN, Engine, run_as_root, typed
from infra.local.mirror import mirror_lines
from infra.provider import Props, Provider, changed, replace_if, say

if TYPE_CHECKING:
    # Every `up` starts provider processes; pydantic would slow them down.
    from infra.local.settings.config import Image

REPOSITORY: Final = "localhost/caffe-spark-node"
PACKAGES: Final = (
    *("systemd", "systemd-sysv", "dbus", "openssh-server", "sudo"),
    *("python3", "ca-certificates", "curl", "iproute2", "procps"),
)
"""Packages of the base image; all others are installed by roles."""
SETUP: Final = Path(__file__).with_name("setup-node.sh")
CERTIFICATES: Final = Path("/usr/local/share/ca-certificates")
BUILD_TIMEOUT: Final = 1800.0
# systemd re-executes itself on SIGTERM instead of stopping.
IMPORT_CHANGES: Final = ('--change=CMD ["/sbin/init"]', "--change=STOPSIGNAL SIGRTMIN+3")


def certificates(folder: Path = CERTIFICATES) -> dict[str, bytes]:
    """Return the certificate authorities added to this machine: path below the folder → content.

    Without them pip, Maven and curl fail in the nodes behind a proxy that inspects TLS.
    """
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*.crt"))}


def recipe(image: Image, authorities: Mapping[str, bytes], mirrors: list[str]) -> dict[str, Any]:
    """Return everything that determines the image's content, as plain data. Pure except for reading the
    set-up script."""
    return {
        "source": image.model_dump(),
        "packages": list(PACKAGES),
        "setup": hashlib.sha256(SETUP.read_bytes()).hexdigest(),
        "certificates": {name: hashlib.sha256(data).hexdigest() for name, data in authorities.items()},
        "mirrors": mirrors,
        "changes": list(IMPORT_CHANGES),
    }


def tag(decides: Mapping[str, Any]) -> str:
    """Return the image's name; equal recipes have equal names."""
    digest = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()
    return f"{REPOSITORY}:{digest[:16]}"


def describe(image: Image) -> tuple[str, dict[str, Any]]:
    """Return the name and recipe of the configured image on this machine."""
    mirrors = mirror_lines(image.suite) if image.source == "mmdebstrap" else []
    decides = recipe(image, certificates(), mirrors)
    return tag(decides), decides


def bundle(authorities: Mapping[str, bytes]) -> bytes:
    """Return a tar archive, to be unpacked at /, with the authorities and the set-up script."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in {
            **{str(CERTIFICATES / name).lstrip("/"): data for name, data in authorities.items()},
            "setup-node.sh": SETUP.read_bytes(),
        }.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


class BaseImageProvider(Provider):
    """An image in the engine's storage."""

    def create(self, props: Props) -> CreateResult:
        """Build the image, unless another stack has built it."""
        engine, name, source = Engine(props["engine"]), props["tag"], props["recipe"]["source"]
        with locked("base-image"):
            if not engine.image_exists(name):
                if source["source"] == "mmdebstrap":
                    say(f"Building the nodes' base image {name} from packages (a minute, once).")
                    _from_packages(engine, name, source["suite"], props["recipe"]["mirrors"])
                else:
                    say(f"Building the nodes' base image {name} from {source['ref']} (a minute, once).")
                    _from_registry(engine, name, source["ref"])
        return CreateResult(id_=name, outs=dict(props))

    def read(self, id_: str, props: Props) -> ReadResult:
        """Check that the image exists; an empty id if somebody removed it. Running nodes keep its layers."""
        if not Engine(props["engine"]).image_exists(props["tag"]):
            return ReadResult(id_="", outs={})
        return ReadResult(id_=id_, outs=props)

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        """Replace the resource for another recipe."""
        return replace_if(changed(olds, news, ("tag", "engine")))

    def delete(self, _id: str, props: Props) -> None:
        """Keep the image: building it takes a minute, and the next stack needs the same one."""
        say(kept(props["engine"], props["tag"]))


def kept(engine: str, name: str) -> str:
    """Describe what remains of a destroyed stack, and how to remove it."""
    return f"Kept: base image {name} (`{typed(engine)} rmi {name}`) and build cache {cache_folder()}."


def _from_packages(engine: Engine, name: str, suite: str, mirrors: list[str]) -> None:
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix="base-image-") as folder:
        files, root = Path(folder, "files.tar"), Path(folder, "root.tar")
        files.write_bytes(bundle(certificates()))
        run_as_root(
            [
                "mmdebstrap",
                "--quiet",
                "--variant=minbase",
                f"--include={','.join(PACKAGES)}",
                # Nodes are replaced, not repaired: dpkg need not survive a power failure.
                "--dpkgopt=force-unsafe-io",
                f"--customize-hook=tar-in {files} /",
                '--customize-hook=chroot "$1" sh /setup-node.sh',
                '--customize-hook=rm "$1/setup-node.sh"',
                suite,
                str(root),
                *mirrors,
            ],
            timeout=BUILD_TIMEOUT,
        )
        engine.run("import", *IMPORT_CHANGES, str(root), name, timeout=BUILD_TIMEOUT)


def _from_registry(engine: Engine, name: str, ref: str) -> None:
    if not engine.image_exists(ref):
        if ref.startswith(OWN):
            raise ConfigError(
                f"image {ref}",
                "it is not on this machine, and names under localhost/ are not pulled",
                f"Build it, or tag an image with `{typed(engine.kind)} tag IMAGE {ref}`.",
            )
        engine.run("pull", ref, timeout=BUILD_TIMEOUT)
    flags = probe.find(engine, ref).arguments
    container = f"{name.rpartition(':')[2]}-making"
    engine.remove_containers(container)
    try:
        command = ("sh", "/setup-node.sh", *PACKAGES)
        engine.run("create", f"--name={container}", *flags, ref, *command)
        engine.run("cp", "-", f"{container}:/", stdin=bundle(certificates()))
        engine.run("start", "--attach", container, timeout=BUILD_TIMEOUT)
        engine.run("commit", *IMPORT_CHANGES, container, name, timeout=BUILD_TIMEOUT)
    finally:
        engine.remove_containers(container)


class BaseImage(Resource, module="embedded", name="BaseImage"):
    """The base image; `tag` is its name in the engine's storage."""

    tag: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        engine: str,
        tag: str,
        recipe: Mapping[str, Any],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {"engine": engine, "tag": tag, "recipe": dict(recipe)}
        super().__init__(BaseImageProvider(), name, props, opts)

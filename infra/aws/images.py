"""Machine images of the stack: the newest ones at the first `pulumi up`, pinned from then on.

AWS's public parameters change with every release. An `up` that followed them would replace the head, so the
ids found by the first `up` are pinned in Pulumi.STACK.yaml, and every later `up` reads them there. To
upgrade, run `pulumi config rm workerAmi` (or headAmi), then `pulumi up`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, UpdateResult

from infra.provider import Props, Provider, changed, say
from infra.settings import stack_file

if TYPE_CHECKING:
    # Every `up` starts provider processes; these imports would slow them down.
    import pulumi_aws as aws

    from infra.aws.settings.config import AwsConfig

KEYS: Final = {"head": "headAmi", "worker": "workerAmi"}
"""Role → key of the stack's configuration."""


class ImagePinsProvider(Provider):
    """Image pins: two settings in the stack file."""

    def create(self, props: Props) -> CreateResult:
        """Write the pins that the file does not have yet."""
        return CreateResult(id_=str(props["stack"]), outs=_pin(props))

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        """Report a change if another image is requested, or the file lost a pin while the newest image is
        still the same."""
        differs = changed(olds, news, KEYS) or unpinned(news)
        return DiffResult(changes=bool(differs), replaces=[], stables=[], delete_before_replace=False)

    def update(self, _id: str, _olds: Props, news: Props) -> UpdateResult:
        """Write the changed pins."""
        return UpdateResult(outs=_pin(news))


class ImagePins(Resource, module="aws", name="ImagePins"):
    """Image pins of a stack; they stay in its file when it is destroyed. `images` maps role → pinned id."""

    images: pulumi.Output[dict[str, str]]

    def __init__(
        self,
        name: str,
        *,
        stack: str,
        head: pulumi.Input[str],
        worker: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {"stack": stack, "head": head, "worker": worker, "images": None}
        super().__init__(ImagePinsProvider(), name, props, opts)


@dataclass(frozen=True)
class Images:
    """Image ids of both roles; instances depend on `pins`, so that none runs an image that is not pinned."""

    head: pulumi.Output[str]
    worker: pulumi.Output[str]
    pins: ImagePins


def resolve(config: AwsConfig, stack: str, provider: aws.Provider) -> Images:
    """Return the configured images, or the newest ones of the distribution in the region."""
    head = _image("head", config.head_ami, config, provider)
    worker = _image("worker", config.worker_ami, config, provider)
    return Images(head, worker, ImagePins("images", stack=stack, head=head, worker=worker))


def unpinned(wanted: Mapping[str, Any]) -> dict[str, str]:
    """Return the pins that the stack file lacks or has with other values."""
    said = stack_file.read(wanted["stack"])
    return {key: wanted[role] for role, key in KEYS.items() if said.get(key) != wanted[role]}


def _image(
    role: Literal["head", "worker"], pinned: str | None, config: AwsConfig, provider: aws.Provider
) -> pulumi.Output[str]:
    if pinned:
        return pulumi.Output.from_input(pinned)
    import pulumi_aws as aws

    found = aws.ssm.get_parameter_output(
        name=config.ami_parameter(role), opts=pulumi.InvokeOptions(provider=provider)
    )
    # `value` is secret whatever the parameter holds; these are public.
    return found.insecure_value


def _pin(props: Props) -> Props:
    missing = unpinned(props)
    if missing:
        stack_file.write(props["stack"], missing)
        images = ", ".join(f"{key} {value}" for key, value in missing.items())
        say(f"Pinned in Pulumi.{props['stack']}.yaml: {images}.")
    return {**props, "images": {role: props[role] for role in KEYS}}

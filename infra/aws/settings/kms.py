"""The setting `kmsKey` of a stack on AWS, and its rules. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

from infra.aws.volume_key import ALIAS, AWSS_OWN, KEY
from infra.settings.commands import set_command
from infra.settings.fields import Unset
from infra.settings.refusal import Refusal
from infra.settings.section import Hint

if TYPE_CHECKING:
    from infra.aws.settings.config import AwsConfig


def _kms_key(name: str | None) -> str | None:
    if name is None:
        return None
    if AWSS_OWN in name:
        raise ValueError("it is a key of AWS's own, which volumes have without this setting")
    if not (KEY.fullmatch(name) or ALIAS.fullmatch(name)):
        raise ValueError("it is neither the ARN of a KMS key nor an alias")
    return name


KmsKey = Annotated[
    str | None,
    Unset,
    AfterValidator(_kms_key),
    Hint("alias/NAME", "alias/NAME, or the ARN of a key or of an alias"),
]


def check(config: AwsConfig) -> None:
    """Validate the key against the region and against `kmsGrant`.

    Raises:
        Refusal: the key is in another region, or there is no key to grant the use of.
    """
    key = config.kms_key
    if key is None:
        if not config.kms_grant:
            why = "kmsKey is missing, whose grant it is; valid: both, or neither"
            raise Refusal("kmsGrant", "false", why, set_command("kmsKey", "alias/NAME"))
        return
    found = KEY.fullmatch(key)
    if found and found["region"] != config.region:
        why = (
            f"it is in {found['region']}, and volumes need a key of their own region; valid: an ARN in "
            f"{config.region}, or alias/NAME"
        )
        raise Refusal("kmsKey", key, why, set_command("kmsKey", "alias/NAME"))

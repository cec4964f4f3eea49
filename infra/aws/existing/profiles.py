"""The company's instance profiles and their roles, as IAM describes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from bootstrap.clouds import aws
from infra.aws.existing import Profile, Profiles
from infra.settings.commands import set_command
from infra.settings.refusal import Refusal

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

    from infra.aws.settings.existing import InstanceProfiles

MISSING: Final = "NoSuchEntity"


def look_up(iam: IAMClient, given: InstanceProfiles, stack: str) -> Profiles:
    """Return the profiles.

    Raises:
        ConfigError: one does not exist, or has no role; the error names the setting.
        ServiceDown: AWS does not answer.
    """
    try:
        head, worker = _profile(iam, "head", given.head), _profile(iam, "worker", given.worker)
    except Refusal as refusal:
        raise refusal.error(stack) from None
    return Profiles(head, worker, given.job_role)


def _profile(iam: IAMClient, key: str, name: str) -> Profile:
    setting = f"instanceProfiles.{key}"
    with aws.translate_errors(f"looking for the instance profile {name}"):
        try:
            found = iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]
        except ClientError as error:
            if aws.code_of(error) != MISSING:
                raise
            why = "this account has no such instance profile; valid: an existing one, or no instanceProfiles"
            raise Refusal(setting, name, why, set_command(setting, "NAME")) from error
    roles = found.get("Roles", [])
    if not roles:
        why = "the instance profile has no role; valid: one with a role"
        raise Refusal(setting, name, why, set_command(setting, "NAME"))
    role = roles[0]
    return Profile(name, found["Arn"], role["RoleName"], role["Arn"], role["RoleId"])

"""Boot scripts of the instances, stored in the bucket, and the user data that fetches them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import partial
from typing import Final

import pulumi

from bootstrap.cluster import ClusterDocument
from bootstrap.join import user_data as boot
from infra.aws.document import document, group_name
from infra.aws.roles import Machine
from infra.aws.settings.config import AwsConfig
from infra.aws.site import Site
from infra.aws.storage import SharedStorage
from infra.aws.upload import Upload
from infra.keys import Secret, SigningKeyPair, SshKey

ROLES: Final[tuple[boot.Kind, ...]] = ("head", "worker")


class BootScripts:
    """A boot script for each role. It contains the Spark secret; only the role itself may read it from the
    private bucket."""

    def __init__(
        self,
        config: AwsConfig,
        stack: str,
        storage: SharedStorage,
        spark_secret: Secret,
        operator: SshKey | None,
        *,
        site: Site,
        signing: SigningKeyPair,
        job_role: pulumi.Output[str],
    ) -> None:
        self._config, self._stack, self._storage = config, stack, storage
        self._authorized = operator.public_key.apply(str) if operator else pulumi.Output.from_input("")
        self._signing = signing.public_key
        known = pulumi.Output.all(
            bucket=storage.bucket, secret=spark_secret.value.apply(str), job_role=job_role
        )
        self._sums: dict[boot.Kind, pulumi.Output[str]] = {}
        self.objects: dict[boot.Kind, pulumi.Resource] = {}
        """Role → uploaded script; an instance that boots earlier waits for it."""
        for role in ROLES:
            script = known.apply(partial(script_of, config, stack, site, role))
            # A digest does not reveal a secret of 256 bits.
            digest = pulumi.Output.unsecret(script.apply(_sha256))
            key = digest.apply(partial(boot.script_key, role))
            self._sums[role] = digest
            self.objects[role] = Upload(
                f"{role}-script",
                region=config.region,
                bucket=storage.bucket,
                key=key,
                content=script,
                opts=pulumi.ResourceOptions(depends_on=[storage.contents]),
            )

    def user_data(self, role: boot.Kind, machine: Machine) -> pulumi.Output[str]:
        """Return the user data, which contains no secret: anyone who may describe instances can read it."""
        return pulumi.Output.all(
            bucket=self._storage.bucket,
            sha256=self._sums[role],
            role_id=machine.role_id,
            authorized_key=self._authorized,
            signing_key=self._signing,
        ).apply(partial(user_data_of, self._config, self._stack, role))


def script_of(config: AwsConfig, stack: str, site: Site, role: boot.Kind, values: Mapping[str, str]) -> str:
    """Render the boot script of a role. Pure except for reading the roles' files."""
    cluster = document(
        config,
        stack,
        site=site,
        shared_storage=f"s3a://{values['bucket']}",
        spark_secret=values["secret"],
        job_role=values["job_role"],
        # No instance needs the operator's key.
        private_key=None if config.key_pair else "",
    )
    return boot.rendered(ClusterDocument.model_validate(cluster), role, {})


def user_data_of(config: AwsConfig, stack: str, role: boot.Kind, values: Mapping[str, str]) -> str:
    """Render the user data of a role. Pure."""
    group = group_name(stack)
    text = boot.user_data(
        boot.Boot(
            role=role,
            region=config.region,
            bucket=values["bucket"],
            script_key=boot.script_key(role, values["sha256"]),
            sha256=values["sha256"],
            ssh_user=config.ssh_user,
            authorized_key=values["authorized_key"],
            signing_key=values["signing_key"],
            role_id=values["role_id"],
            autoscaling_group=group if role == "worker" else "",
            rebalance=config.rebalance_notice,
        )
    )
    # The settings are JSON, and this is JSON's escape for a hyphen. A checker that finds references by their
    # text takes the planned name for one, and reports a cycle: group, launch template, group.
    return text.replace(f'"{group}"', f'"{_escaped(group)}"')


def _escaped(name: str) -> str:
    return name.replace("-", "\\u002d", 1)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

"""Script action that heads and workers run when the cluster is created: role `hdinsight`.

It is short: Azure allows a script action one hour, and deletes the whole cluster if one fails. Long work such
as compiling is done later, on the running cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

import pulumi
from pulumi_azure_native import storage

from bootstrap.cluster import ClusterDocument
from bootstrap.join import user_data as boot
from bootstrap.script_actions.action import ScriptAction
from infra.azure.document import artifacts, document
from infra.azure.settings.config import AzureConfig
from infra.azure.settings.name_rules import ARTIFACTS

NAME: Final = "caffe-spark-node"
"""Name of the script action, unique on its cluster."""


class NodeScript(pulumi.ComponentResource):
    """The script in the container of scripts; a changed script is a new blob, and the old one stays.

    Azure keeps the URI from the cluster's creation, and machines that join later fetch it.
    """

    uri: pulumi.Output[str]
    blob: pulumi.Resource

    def __init__(
        self,
        name: str,
        script: pulumi.Output[str],
        *,
        group: pulumi.Input[str],
        account: pulumi.Output[str],
        after: list[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("caffe-spark:azure:NodeScript", name, None, opts)
        path = script.apply(path_of)
        self.blob = storage.Blob(
            f"{name}-blob",
            account_name=account,
            resource_group_name=group,
            container_name=ARTIFACTS,
            blob_name=path,
            type=storage.BlobType.BLOCK,
            content_type="text/x-shellscript",
            source=script.apply(pulumi.StringAsset),
            opts=pulumi.ResourceOptions(parent=self, depends_on=after, retain_on_delete=True),
        )
        self.uri = pulumi.Output.concat(account.apply(artifacts), "/", path)
        self.register_outputs({"uri": self.uri})


def script_of(config: AzureConfig, stack: str, values: Mapping[str, str]) -> str:
    """Render the script from names that Azure has assigned; it contains no secret. Pure except for reading
    the role's files."""
    cluster = document(
        config,
        stack,
        group_id=values["group_id"],
        group=values["group"],
        cluster=values["cluster"],
        account=values["account"],
        scripts_account=values["scripts_account"],
        container=values["container"],
        # Machines need none of these from a script: HDInsight gives them their keys.
        spark_secret="",
        key=None,
        private_key=None if config.private_key_file else "",
        gateway_password="",
    )
    return boot.rendered(ClusterDocument.model_validate(cluster), "worker", {})


def rendered(config: AzureConfig, stack: str, **values: pulumi.Input[str]) -> pulumi.Output[str]:
    """Render the script once the names are known."""
    return pulumi.Output.all(**values).apply(partial(script_of, config, stack))


def path_of(script: str) -> str:
    """Return the script's path in its container.

    Raises:
        ConfigError: HDInsight would refuse the script.
    """
    return ScriptAction(NAME, script).path

"""Contents of the stack's storage, and their protection when the stack is destroyed.

Azure deletes a storage account with everything in it, without a question. This resource is deleted first, and
refuses if it holds what people may want, unless the stack file says `forceDestroy: true` at that moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, UpdateResult

from bootstrap.errors import ConfigError, StackError
from infra.azure.names import BLOB_HOST
from infra.provider import Props, Provider, changed, replace_if
from infra.settings.force_destroy import is_forced, summarize

OF_MACHINES: Final = (
    # This project's.
    *("cluster/", "tmp/"),
    # Created by HDInsight and its services in a cluster's file system.
    *("hdp/", "apps/", "app-logs/", "ams/", "amshbase/", "ats/", "atshistory/", "mapred/"),
    *("mapreducestaging/", "mr-history/", "yarn/", "custom-scriptaction-logs/", "cluster-info/"),
    # Samples of HDInsight. What people create beside them (notebooks, tables) is theirs.
    *("HdiSamples/", "example/", "HdiNotebooks/PySpark/", "HdiNotebooks/Scala/"),
    "hive/warehouse/hivesampletable/",
    "hive/warehouse/managed/hivesampletable/",
    "hive/warehouse/external/hivesampletable/",
)
"""Folders that are worthless without the machines. Anything else is kept, in doubt too much.

The list is from Microsoft's documentation, and has not been compared with a live cluster's container.
"""
TABLES: Final = "apps/spark/warehouse/"
"""Folder of tables written by Spark's `saveAsTable`, below one of the machines' own folders."""
_LEFT: Final = {
    "cluster": "the cluster has been deleted; its network, whose NAT gateway costs about a dollar a day, may "
    "remain",
    "storage": "nothing has been deleted",
}
_INSTEAD: Final = {
    "cluster": "To keep data without a cluster, use a storage stack (storageStack).",
    "storage": "To keep the data, keep this stack: it costs only its gigabytes.",
}
"""By the stack's part: what remains after a refused destroy, and the alternative to deleting the data."""


class StorageContentsProvider(Provider):
    """Contents of a container: nothing to create, but something to check before deletion."""

    def create(self, props: Props) -> CreateResult:
        """Create nothing: machines and jobs fill the container."""
        return CreateResult(id_=f"{props['account']}/{props['container']}", outs=dict(props))

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        """Replace the resource for another container; update a changed key or part."""
        return replace_if(changed(olds, news, ("account", "container")), changed(olds, news, ("key", "part")))

    def update(self, _id: str, _olds: Props, news: Props) -> UpdateResult:
        """Store the new key and part."""
        return UpdateResult(outs=dict(news))

    def delete(self, _id: str, props: Props) -> None:
        """Refuse deletion if the container holds what people may want."""
        stack = str(props["stack"])
        if not is_forced(stack):
            place = f"{props['container']}@{props['account']}"
            found = blobs(_url(props), str(props["container"]), str(props["key"]), stack)
            refuse(place, stack, str(props["part"]), found)


class StorageContents(Resource, module="azure", name="StorageContents"):
    """Contents of a container. Resources that depend on it are deleted first: make those that bill by the
    hour depend on it."""

    def __init__(
        self,
        name: str,
        *,
        stack: str,
        part: str,
        account: pulumi.Input[str],
        container: pulumi.Input[str],
        key: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "stack": stack,
            "part": part,
            "account": account,
            "container": container,
            "key": pulumi.Output.secret(key),
        }
        super().__init__(StorageContentsProvider(), name, props, opts)


def refuse(place: str, stack: str, part: str, found: Iterable[tuple[str, int]]) -> None:
    """Refuse to delete blobs, given as (name, bytes), that people may want. Pure.

    Raises:
        StackError: there are such blobs; the error lists them and says how to delete them.
    """
    # Hadoop stores folders as empty blobs.
    kept = [(name, size) for name, size in found if size and _of_people(name)]
    if not kept:
        return
    raise StackError(
        f"container {place}",
        f"it still holds {summarize(kept, 'blob')} and forceDestroy is off; {_LEFT[part]}",
        f"To delete the data, too: `pulumi config set forceDestroy true --stack {stack} && "
        f"pulumi destroy --stack {stack}`. {_INSTEAD[part]}",
    )


def blobs(url: str, container: str, key: str, stack: str) -> Iterator[tuple[str, int]]:
    """Yield names and sizes of a container's blobs; none if the container or its account does not exist.

    Raises:
        ConfigError: the account refuses the key, or this machine's address.
        ServiceDown: it does not answer.
    """
    # the SDK takes a third of a second to import, which only a destroy needs
    from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
    from azure.storage.blob import ContainerClient

    from bootstrap.clouds import azure

    looking = f"looking into container {container} of {url}"
    client = ContainerClient(url, container, credential=key, **azure.FAIL_FAST)
    with azure.translate_errors(looking, stack), client:
        try:
            for blob in client.list_blobs():
                yield blob.name, blob.size
        except ResourceNotFoundError:
            return
        except HttpResponseError as error:
            if error.status_code != azure.FORBIDDEN or azure.page_of(error) is not None:
                raise
            raise ConfigError(
                f"Azure ({looking})",
                f"it is refused: {azure.words_of(error)}",
                "adminCidrs must include this machine's address, and the account's key must be current: "
                f"run `pulumi up --stack {stack}`, then `pulumi destroy` again.",
            ) from None


def _of_people(name: str) -> bool:
    return name.startswith(TABLES) or not name.startswith(OF_MACHINES)


def _url(props: Props) -> str:
    return f"https://{props['account']}.{BLOB_HOST}"

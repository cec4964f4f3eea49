"""What becomes of the storage's content when its stack is destroyed.

Azure removes an account with everything in it, without a question. Here a step of `pulumi destroy` comes
before, and refuses to let go what people may want, unless the stack's file says `forceDestroy: true` then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, UpdateResult

from bootstrap.errors import ConfigError, StackError
from infra import stack_file
from infra.azure.names import BLOB_HOST
from infra.provider import Props, Provider, changed, replace_if

OF_MACHINES: Final = (
    *("cluster/", "tmp/"),
    # What HDInsight lays into its file system by itself.
    *(
        "hdp/",
        "apps/",
        "app-logs/",
        "ams/",
        "amshbase/",
        "ats/",
        "atshistory/",
        "mapred/",
        "mapreducestaging/",
    ),
    *("mr-history/", "yarn/", "custom-scriptaction-logs/"),
)
"""What is worth nothing once the machines are gone. Anything that is not here is kept: rather too much."""
GIB: Final = 2**30


class StorageContentsProvider(Provider):
    """Everything in a container; nothing to make, something to look at before it goes."""

    def create(self, props: Props) -> CreateResult:
        """Nothing: machines and jobs fill the container."""
        return CreateResult(id_=f"{props['account']}/{props['container']}", outs=dict(props))

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        """Another container has another content; a key that was changed is noted."""
        return replace_if(changed(olds, news, ("account", "container")), changed(olds, news, ("key",)))

    def update(self, _id: str, _olds: Props, news: Props) -> UpdateResult:
        """Note the key."""
        return UpdateResult(outs=dict(news))

    def delete(self, _id: str, props: Props) -> None:
        """Refuse where there is what people may want."""
        stack = str(props["stack"])
        if not _forced(stack):
            place = f"{props['container']}@{props['account']}"
            refuse(place, stack, blobs(_url(props), str(props["container"]), str(props["key"]), stack))


class StorageContents(Resource, module="azure", name="StorageContents"):
    """A container's content. What depends on it is deleted before: let all that bills by the hour do so."""

    def __init__(
        self,
        name: str,
        *,
        stack: str,
        account: pulumi.Input[str],
        container: pulumi.Input[str],
        key: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {"stack": stack, "account": account, "container": container, "key": pulumi.Output.secret(key)}
        super().__init__(StorageContentsProvider(), name, props, opts)


def refuse(place: str, stack: str, found: Iterable[tuple[str, int]]) -> None:
    """Refuse to remove blobs, given as (name, bytes), that people may want. Pure.

    Raises:
        StackError: there are some; with what they are and how to remove them.
    """
    # Blobs of no bytes are what Hadoop has for folders.
    kept = [(name, size) for name, size in found if size and not name.startswith(OF_MACHINES)]
    if not kept:
        return
    folders = ", ".join(
        sorted({f"{name.partition('/')[0]}/" if "/" in name else name for name, _ in kept})[:6]
    )
    size = sum(size for _, size in kept) / GIB
    count = f"{len(kept)} blobs" if len(kept) > 1 else "a blob"
    raise StackError(
        f"container {place}",
        f"it still holds {count} ({size:.1f} GiB: {folders}) and forceDestroy is off; the cluster is gone, "
        "but for the network, whose NAT gateway costs about a dollar a day",
        f"To remove the data too: `pulumi config set forceDestroy true --stack {stack} && "
        f"pulumi destroy --stack {stack}`. To keep data without a cluster, give them a stack of their own "
        "(storageStack).",
    )


def blobs(url: str, container: str, key: str, stack: str) -> Iterator[tuple[str, int]]:
    """Names and bytes of what is in a container; nothing where it, or its account, was removed by hand.

    Raises:
        ConfigError: the account refuses the key, or this machine's address.
        ServiceDown: it does not answer.
    """
    # the SDK takes a third of a second to import, which only a destroy need pay
    from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
    from azure.storage.blob import ContainerClient

    from bootstrap import azure

    looking = f"looking into container {container} of {url}"
    client = ContainerClient(url, container, credential=key, **azure.HASTY)
    with azure.in_our_words(looking, stack), client:
        try:
            for blob in client.list_blobs():
                yield blob.name, blob.size
        except ResourceNotFoundError:
            return
        except HttpResponseError as error:
            if error.status_code != azure.FORBIDDEN:
                raise
            raise ConfigError(
                f"Azure ({looking})",
                f"it is refused: {azure.words_of(error)}",
                "Is this machine's address among adminCidrs, and the account's key the one that it had? "
                f"`pulumi up --stack {stack}` sees to both, then destroy again.",
            ) from None


def _url(props: Props) -> str:
    return f"https://{props['account']}.{BLOB_HOST}"


def _forced(stack: str) -> bool:
    # YAML's own true, or the text that `pulumi config set` writes.
    return str(stack_file.read(stack).get("forceDestroy")).lower() == "true"

"""Shared storage of a cluster: HDFS on its nodes, an S3 bucket, or an Azure blob container."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator

from bootstrap import paths
from bootstrap.model import Model


def key_fault(key: str) -> str:
    """Return what in a key does not survive Hadoop's files; empty if all of it does."""
    if any(char.isspace() or not char.isprintable() for char in key):
        return "a blank or a control character"
    return "`${`, which Hadoop replaces" if "${" in key else ""


MadeBy = tuple[str, str]
"""(role, step name): the head's step that makes the storage, empty; None for storage older than its nodes."""


class Hdfs(Model):
    """HDFS on the cluster's own nodes."""

    kind: Literal["hdfs"] = "hdfs"
    uri: str = Field(pattern=r"^hdfs://")
    """`hdfs://head:9000`, without trailing slash."""

    roles: ClassVar[tuple[str, ...]] = ()
    made_by: ClassVar[MadeBy | None] = ("hdfs", "Format the NameNode")
    environment: ClassVar[Mapping[str, str]] = {}
    secrets: ClassVar[tuple[SecretStr, ...]] = ()


class S3(Model):
    """A bucket on AWS or on another S3-compatible server."""

    kind: Literal["s3"] = "s3"
    uri: str = Field(pattern=r"^s3a://")
    """`s3a://bucket`, without trailing slash."""
    region: str = "us-east-1"
    endpoint: str | None = None
    """URL of an S3-compatible server; its buckets are addressed by path, not by host name."""
    access_key: str | None = None
    secret_key: SecretStr | None = None
    """Both keys or neither; without keys, machines have roles."""
    job_role: str | None = Field(None, pattern=r"^arn:[\w-]+:iam:[\w-]*:\d{12}:[\w+=,.@/-]+$")
    """ARN of the IAM role that machines assume for jobs; None in stacks of earlier versions, whose jobs use
    the machines' own roles."""
    sts_endpoint: str | None = Field(None, pattern=r"^https?://[\w.:\[\]-]+$")
    """URL of a Security Token Service other than AWS's."""

    made_by: ClassVar[MadeBy | None] = None

    @model_validator(mode="after")
    def _a_pair(self) -> S3:
        if (self.access_key is None) != (self.secret_key is None):
            raise ValueError("access_key and secret_key belong together")
        if self.access_key is not None and self.job_role is not None:
            raise ValueError("job_role is for machines without keys")
        fault = self.secret_key and key_fault(self.secret_key.get_secret_value())
        if fault:
            raise ValueError(f"secret_key: it has {fault}")
        return self

    @property
    def roles(self) -> tuple[str, ...]:
        """The role that gives jobs credentials of their own."""
        return ("job_credentials",) if self.job_role else ()

    @property
    def environment(self) -> Mapping[str, str]:
        """Environment of every program that reaches the storage.

        AWS's SDKs ask this address before the instance metadata service:
        https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
        """
        return {"AWS_CONTAINER_CREDENTIALS_FULL_URI": paths.CREDENTIALS_URL} if self.job_role else {}

    @property
    def sts_url(self) -> str:
        """URL of the Security Token Service in the bucket's region."""
        return self.sts_endpoint or f"https://sts.{self.region}.amazonaws.com"

    @property
    def secrets(self) -> tuple[SecretStr, ...]:
        """The secret key, if nodes need one."""
        return (self.secret_key,) if self.secret_key else ()


class Blob(Model):
    """A container of an Azure storage account."""

    kind: Literal["blob"] = "blob"
    uri: str = Field(pattern=r"^(wasbs?|abfss)://[^@/]+@[^@/]+")
    """`wasb[s]://container@account.blob.core.windows.net`, or `abfss://container@account.dfs.core.windows.net`
    where the account has a hierarchical namespace. Without trailing slash."""
    key: SecretStr | None = None
    """The account key; None if nodes have access of their own (HDInsight configures it)."""
    server: str = ""
    """Address of a blob server other than Azure; nodes resolve the account's host name to it."""

    environment: ClassVar[Mapping[str, str]] = {}

    @property
    def account(self) -> str:
        """The storage account's name: the first label of its host name."""
        return (urlsplit(self.uri).hostname or "").partition(".")[0]

    @property
    def container(self) -> str:
        """The container's name."""
        return urlsplit(self.uri).username or ""

    @property
    def host(self) -> str:
        """Host name of the account's blob service."""
        return f"{self.account}.blob.core.windows.net"

    @property
    def made_by(self) -> MadeBy | None:
        """The step that makes the container of a server of our own."""
        return ("storage", "Make the container") if self.server else None

    @property
    def roles(self) -> tuple[str, ...]:
        """The role of the blob server, for accounts that Azure does not serve."""
        return ("blob_server",) if self.server else ()

    @property
    def secrets(self) -> tuple[SecretStr, ...]:
        """The account key, if nodes need one."""
        return (self.key,) if self.key else ()


Storage = Annotated[Hdfs | S3 | Blob, Field(discriminator="kind")]

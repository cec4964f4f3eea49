"""S3 bucket of a cluster, accessed from the operator's machine: small files that no node may write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.config import Config

from bootstrap.clouds import aws
from bootstrap.cluster import S3
from bootstrap.errors import CommandFailed
from bootstrap.storage.programs import LONGEST

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class Bucket:
    """The bucket of a stack's shared storage, with the operator's credentials or the stack's keys."""

    name: str
    client: S3Client

    @classmethod
    def of(cls, storage: S3) -> Bucket:
        """Return the bucket; sends no request.

        Raises:
            ConfigError: the AWS configuration names a missing profile, or half a key pair.
        """
        # Buckets of other servers are addressed by path; their names need not resolve.
        path_style = Config(s3={"addressing_style": "path"}) if storage.endpoint else Config()
        secret_key = storage.secret_key.get_secret_value() if storage.secret_key else None
        client = aws.session().client(
            "s3",
            region_name=storage.region,
            endpoint_url=storage.endpoint,
            aws_access_key_id=storage.access_key,
            aws_secret_access_key=secret_key,
            config=aws.RETRY.merge(path_style),
        )
        return cls(storage.uri.removeprefix("s3a://"), client)

    def read(self, path: str) -> bytes | None:
        """Return a small file's bytes; None if it does not exist.

        Raises:
            ConfigError: credentials are missing or lack a permission.
            ServiceDown: S3 cannot be reached, or refuses the request.
            CommandFailed: the file has more than LONGEST bytes.
        """
        with aws.translate_errors(f"reading {self._url(path)}"):
            try:
                with self.client.get_object(Bucket=self.name, Key=path)["Body"] as stream:
                    data = stream.read(LONGEST + 1)
            except self.client.exceptions.NoSuchKey:
                return None
        if len(data) > LONGEST:
            why = f"it has more than {LONGEST >> 10:,} KiB, and a small document belongs there"
            raise CommandFailed(self._url(path), why, "Remove it, then rerun the command.")
        return data

    def write(self, path: str, data: bytes) -> None:
        """Write a file atomically, replacing an existing one. Raises as `read`."""
        with aws.translate_errors(f"writing {self._url(path)}"):
            self.client.put_object(Bucket=self.name, Key=path, Body=data)

    def _url(self, path: str) -> str:
        return f"s3://{self.name}/{path}"

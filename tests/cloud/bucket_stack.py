"""A local stack whose shared storage is a bucket of the S3 server on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.cloud.servers import ACCESS_KEY, REGION, SECRET_KEY, ObjectStore, object_store
from tests.end_to_end.conftest import Stack


@dataclass(frozen=True)
class Place:
    """Where such a stack is: its network, and the server's port on the host's address there."""

    name: str
    subnet: str
    port: int
    bucket: str

    @property
    def gateway(self) -> str:
        """Address by which nodes reach this machine."""
        return self.subnet.replace("0/24", "1")


def set_secret(stack: Stack, value: str) -> None:
    """Encrypt the bucket's secret key in the stack's file; it travels on standard input."""
    assert stack.pulumi("config", "set", "--secret", "s3SecretKey", stdin=value).code == 0


@contextmanager
def bucket_stack(base: Stack, place: Place, workers: int) -> Iterator[Stack]:
    """Create the stack, with the state and caches of `base`; it is destroyed at the end."""
    mine = Stack(base.folder, base.env, name=place.name)
    mine.config.write_text(
        f"""config:
  caffe-spark:workers: {workers}
  caffe-spark:subnet: {place.subnet}
  caffe-spark:s3:
    endpoint: http://{place.gateway}:{place.port}
    bucket: {place.bucket}
    region: {REGION}
    accessKey: {ACCESS_KEY}
"""
    )
    assert mine.pulumi("stack", "init").code == 0
    try:
        set_secret(mine, SECRET_KEY)
        said = mine.up()
        assert said.code == 0, said.output
        yield mine
    finally:
        mine.pulumi("destroy", "--yes", "--skip-preview")
        mine.config.unlink()


@contextmanager
def bucket(stack: Stack, place: Place) -> Iterator[ObjectStore]:
    """Start the server, on the nodes' own network; it cannot listen there before the nodes are up."""
    with object_store(place.gateway, place.port, stack.folder / "objects", place.bucket) as server:
        yield server

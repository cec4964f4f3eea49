"""An AWS account that the programs of nodes ask, in the tests' own process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bootstrap.join.on_node import aws
from tests.cloud.moto_server import moto_server

NAME = "caffe-spark-x-workers"


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An account, which the programs of nodes ask."""
    keys = {"AccessKeyId": "testing", "SecretAccessKey": "testing"}
    with moto_server() as url:
        known = {"region": "eu-west-1", "group": NAME, "autoscaling_url": url, "ec2_url": url}
        monkeypatch.setattr(aws, "setting", lambda name: known[name])
        monkeypatch.setattr(aws, "credentials", lambda: keys)
        yield url

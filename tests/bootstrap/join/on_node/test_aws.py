"""A machine's requests to servers that do not end their answers."""

from __future__ import annotations

import pytest

from bootstrap.join.on_node import aws
from tests.drip import dripping


def test_an_answer_that_comes_a_byte_now_and_then_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws, "LIMIT", 0.3)
    monkeypatch.setattr(aws, "credentials", lambda: {"AccessKeyId": "a", "SecretAccessKey": "s"})
    with dripping() as url:
        monkeypatch.setattr(aws, "setting", {"metadata": url, "region": "eu-west-1"}.__getitem__)
        with pytest.raises(RuntimeError, match=r"the answer did not end in 0\.3 s"):
            aws.call("s3", f"{url}key")
        with pytest.raises(RuntimeError, match=r"the answer did not end in 0\.3 s"):
            aws.metadata("api/token")

"""User data of a stack's machines, by its settings."""

from __future__ import annotations

import pytest

from infra.aws.scripts import user_data_of
from infra.aws.settings.config import AwsConfig
from tests.signing import SIGNING_KEY

VALUES = {
    "bucket": "caffe-spark-prod-0123456789ab",
    "sha256": "0" * 64,
    "role_id": "AROA1",
    "authorized_key": "ssh-ed25519 AAAA",
    "signing_key": SIGNING_KEY.public_key,
}


@pytest.mark.parametrize(("says", "told"), [(True, '"rebalance": "yes"'), (False, '"rebalance": ""')])
def test_machines_take_recommendations_for_notices_where_the_stack_says_so(says: bool, told: str) -> None:
    config = AwsConfig.model_validate({"region": "eu-west-1", "rebalanceNotice": says})
    assert told in user_data_of(config, "prod", "worker", VALUES)

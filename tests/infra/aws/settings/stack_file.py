"""Settings of a stack on AWS, loaded as the engine hands them over."""

from __future__ import annotations

import json
from typing import Any

from infra.aws.settings.config import AwsConfig
from infra.config import load

REGION = "eu-west-1"


def loaded(region: str | None = REGION, **values: Any) -> AwsConfig:
    """From values as YAML has them, which the engine hands over as text."""
    given = {"provider": "aws", **({"region": region} if region is not None else {}), **values}
    texts = {
        f"caffe-spark:{key}": value if isinstance(value, str) else json.dumps(value)
        for key, value in given.items()
    }
    config = load(texts, "aws")
    assert isinstance(config, AwsConfig)
    return config

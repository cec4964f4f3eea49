"""Spot prices of this moment over the price table, where AWS can be asked."""

from __future__ import annotations

import datetime
from decimal import Decimal

from bootstrap.errors import CaffeSparkError
from infra.aws.cost.prices import Prices
from infra.aws.settings.config import AwsConfig


def current(config: AwsConfig, prices: Prices) -> Prices:
    """Return the table with AWS's spot prices of now; as it is if AWS does not answer."""
    found = asked(config)
    here = prices.of(config.region)
    types = {
        name: price.model_copy(update={"spot": found[name], "source": "aws"}) if name in found else price
        for name, price in here.types.items()
    }
    if not any(name in found for name in here.types):
        return prices
    day = datetime.datetime.now(datetime.timezone.utc).date()
    region = here.model_copy(update={"types": types})
    return prices.model_copy(
        update={"regions": {**prices.regions, config.region: region}, "spot_of": {config.region: day}}
    )


def asked(config: AwsConfig) -> dict[str, tuple[Decimal, Decimal]]:
    """Return the lowest and highest current price among the zones, by type; empty if AWS does not answer."""
    # the SDK takes a second to import
    from bootstrap.clouds import aws
    from infra.aws.cost.price_list import spot_prices

    try:
        session = aws.session()
        if session.get_credentials() is None:
            return {}
        with aws.translate_errors("asking for spot prices"):
            ec2 = session.client("ec2", region_name=config.region, config=aws.FAIL_FAST)
            return spot_prices(ec2, config.instance_types)
    except CaffeSparkError:
        # The stack can be created without them; what the table says is dated.
        return {}

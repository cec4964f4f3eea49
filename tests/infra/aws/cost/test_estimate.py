"""Output of `fab cost` for a stack on AWS."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from infra.aws.cost import estimate
from infra.aws.cost.prices import Prices
from infra.aws.settings.config import AwsConfig
from tests.infra.cost.test_estimate import ran


def shown(results: Path | None) -> list[str]:
    table = Prices.model_validate(
        {
            "sources": {},
            "regions": {
                "eu-west-1": {
                    "services": {"nat_hour": 1, "ipv4_hour": 1, "endpoint_hour": 1, "gp3_gb_month": 1},
                    "types": {
                        name: {"on_demand": 1, "source": "test"} for name in ("m6i.xlarge", "g4dn.xlarge")
                    },
                }
            },
        }
    )
    config = AwsConfig.model_validate({"region": "eu-west-1", "instanceTypes": ["g4dn.xlarge"]})
    said = io.StringIO()
    estimate.show(Console(file=said, width=60), config, table, results=results)
    return said.getvalue().splitlines()


def test_the_bill_comes_first_then_its_total_and_what_a_job_costs(tmp_path: Path) -> None:
    ran(tmp_path, "mnist-1")
    said = shown(tmp_path)
    assert said[0].split() == ["what", "count", "USD/h", "each", "USD/h"]
    words = [line.split()[0] for line in said[-4:]]
    assert words == ["total", "egress", "a", "1,000,000"]


def test_without_a_measured_speed_the_command_that_measures_one_is_told() -> None:
    assert shown(None)[-1] == "a job    no speed has been measured yet; `fab submit-mnist` measures it"

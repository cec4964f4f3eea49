"""What is valid under each key of a stack on AWS, for the line that a mistake becomes."""

from __future__ import annotations

from infra.aws import network_plan
from infra.aws.settings import config, regions
from infra.settings.section import MAX_WORKERS, Guide, Hint


def guide() -> Guide:
    """By key, in the order of the stack file."""
    volume = f"{config.MIN_VOLUME_GB} to {config.MAX_VOLUME_GB} (GB)"
    sizes = f"/{network_plan.LARGEST} to /{network_plan.SMALLEST}"
    yes_or_no = "true, false"
    return {
        "provider": _hint("local, aws", "provider aws"),
        "region": _hint(", ".join(regions.table().regions), "region eu-west-1"),
        "zones": _hint("a list of zones of the region", "--path 'zones[0]' eu-west-1a"),
        "cidr": _hint(
            f"a range {sizes} within 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16", "cidr 10.40.0.0/16"
        ),
        "egress": _hint("nat, endpoints", "egress nat"),
        "flowLogs": _hint(yes_or_no, "flowLogs true"),
        "adminCidrs": _hint(
            "a list of public IPv4 ranges, /8 to /32", "--path 'adminCidrs[0]' 203.0.113.7/32"
        ),
        "distribution": _hint("ubuntu-22.04, ubuntu-24.04, debian-12", "distribution ubuntu-22.04"),
        "headType": _hint("a type of the table without GPUs", "headType m6i.xlarge"),
        "headVolumeGb": _hint(volume, "headVolumeGb 50"),
        "headAmi": _hint("ami- and 8 or 17 hexadecimal digits", "headAmi ami-0123456789abcdef0"),
        "workerAmi": _hint("ami- and 8 or 17 hexadecimal digits", "workerAmi ami-0123456789abcdef0"),
        "terminationProtection": _hint(yes_or_no, "terminationProtection true"),
        "workers": _hint(f"1 to {MAX_WORKERS}", "workers 2"),
        "minWorkers": _hint("0 to workers", "minWorkers 0"),
        "maxWorkers": _hint(f"workers to {2 * MAX_WORKERS}", "maxWorkers 4"),
        "instanceTypes": _hint(
            "a list of types that the region offers", "--path 'instanceTypes[0]' g4dn.xlarge"
        ),
        "onDemandBase": _hint("0 to maxWorkers", "onDemandBase 0"),
        "onDemandPercentage": _hint("0 to 100", "onDemandPercentage 0"),
        "maxPrice": _hint("more than 0, e.g. 0.80; or leave it out", "maxPrice 0.80"),
        "workerVolumeGb": _hint(volume, "workerVolumeGb 100"),
        "forceDestroy": _hint(yes_or_no, "forceDestroy false"),
        "keyPair": _hint("the name of a key pair that the region has", "keyPair NAME"),
        "privateKeyFile": _hint(
            "the path of that pair's private key on this machine", "privateKeyFile ~/.ssh/KEY.pem"
        ),
    }


def _hint(valid: str, example: str) -> Hint:
    return Hint(valid, f"pulumi config set {example}")

"""Options of every instance: IMDSv2 only, an encrypted root volume. Pure."""

from __future__ import annotations

from typing import Final, TypedDict


class Metadata(TypedDict):
    """Keyword arguments shared by the instance's and the launch template's metadata options."""

    http_endpoint: str
    http_tokens: str
    http_put_response_hop_limit: int
    instance_metadata_tags: str


METADATA: Final[Metadata] = {
    "http_endpoint": "enabled",
    "http_tokens": "required",
    # A container on the instance must not get the instance's role.
    "http_put_response_hop_limit": 1,
    # Nothing reads them there, and EC2 would refuse keys with spaces or slashes, which a company may demand:
    # https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/work-with-tags-in-IMDS.html (read 2026-11)
    "instance_metadata_tags": "disabled",
}
"""IMDSv2 only."""

VOLUME: Final = "gp3"

ROOT_DEVICES: Final = {
    "ubuntu-22.04": "/dev/sda1",
    "ubuntu-24.04": "/dev/sda1",
    "debian-12": "/dev/xvda",
}
"""Distribution → root device of its images; under another name a launch template adds an empty disk."""

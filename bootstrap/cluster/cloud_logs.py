"""Logs that machines of a stack send to its cloud, and the lines that they keep to themselves."""

from __future__ import annotations

import shlex
from typing import ClassVar, Final

from pydantic import Field

from bootstrap.model import Model

STACK_SECRET: Final = 43
"""Characters of the secret that a stack's machines share (`infra.keys.SecretProvider`)."""
_NAME: Final = (
    r"(secret|passw(or)?d|passphrase|token|(api|access|account|private|shared)[._-]?key)[\w.-]{0,100}"
)


class CloudLogs(Model):
    """A log group of CloudWatch Logs; its streams are `INSTANCE/boot`, `INSTANCE/services`, …"""

    group: str = Field(pattern=r"^[A-Za-z0-9_./#-]+$", max_length=512)
    region: str

    withheld: ClassVar[tuple[str, ...]] = (
        # The stack's secret, wherever it stands: by its length, since a filter with it would be a copy of it.
        rf"(^|[^\w-])[\w-]{{{STACK_SECRET}}}([^\w-]|$)",
        # Keys in PEM, whose lines come one by one, and other lines that are base64 alone.
        r"-----(BEGIN|END) [A-Z0-9 ]*PRIVATE KEY-----",
        r"^\s*([A-Za-z0-9+/]{40,}={0,2}|[A-Za-z0-9+/]+={1,2})\s*$",
        # AWS's ids of access keys, JSON web tokens, tokens of GitHub and Pulumi.
        r"\b(AKIA|ASIA)[A-Z0-9]{12,}",
        r"\beyJ[\w-]{8,}\.[\w-]{8,}",
        r"\b(gh[pousr]_|github_pat_|pul-)[A-Za-z0-9_]{20,}",
        # Headers, signatures and passwords of requests.
        r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}",
        r"(?i)[?&;](sig|x-amz-(signature|credential|security-token))=",
        r"(?i)\bSharedKey(Lite)?\s+[^\s:]{1,100}:",
        r"://[^\s/:@\"']{1,100}:[^\s/\"']{1,500}@",
        # Values with a telling name: of JSON, YAML, properties; of Spark; of options; of Hadoop's XML.
        rf"(?i){_NAME}\\?[\"']?\s*[=:]\s*(\\?[\"'][^\s\"']|[^\s\"',;}}][^\s,;}}]{{3,}})",
        rf"(?i)\b(spark|fs)\.[\w.-]{{0,100}}{_NAME}\s+\S",
        rf"(?i)--[\w-]{{0,40}}{_NAME}\s+\S{{4,}}",
        rf"(?i){_NAME}</name>|<value>",
        # Pulumi's encrypted values.
        r"(?i)\b(secure|encryptedkey|encryptionsalt)[\"']?\s*:\s*[\"']?[^\s\"',}]{4,}",
    )
    """Regular expressions of lines that are not sent, since the agent can leave a line out, not mask in it:
    RE2's syntax, which is Python's too. They find what `bootstrap.support.masking` masks, and somewhat
    more."""

    def tail(self, instance: str = "") -> str:
        """Return the command that prints the last day of all logs, or of an instance's."""
        prefix = ["--log-stream-name-prefix", f"{instance}/"] if instance else []
        words = ["aws", "logs", "tail", self.group, *prefix, "--since", "1d", "--region", self.region]
        return shlex.join(words)

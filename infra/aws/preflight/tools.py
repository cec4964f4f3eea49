"""Checks of tools for a stack on AWS: Pulumi, its plugin, and what SSH through Session Manager needs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from infra.preflight import tools
from infra.preflight.ask import ask
from infra.preflight.finding import Finding, LocalCheck
from infra.settings.network import OWN_ADDRESS

if TYPE_CHECKING:
    from infra.aws.settings.config import AwsConfig

CLI: Final = "AWS CLI"
SESSIONS: Final = "session-manager-plugin"

MIN_CLI: Final = (2, 0, 0)
"""Version 2, as docs/aws.md asks: the commands that `fab` prints are written for it, `aws sso login` needs
it, and version 1 is in maintenance since 2026-07-15 (read on 2026-11-30):
https://aws.amazon.com/blogs/developer/aws-cli-v1-maintenance-mode-announcing-changes-to-dependency-updates/"""
MIN_SESSIONS: Final = (1, 1, 23)
"""https://docs.aws.amazon.com/systems-manager/latest/userguide/,
session-manager-getting-started-enable-ssh-connections.html."""
VPN: Final = "10.8.0.0/16"
"""Example of a VPN's range."""
_INSTALL: Final = {
    CLI: "https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html",
    SESSIONS: "https://docs.aws.amazon.com/systems-manager/latest/userguide/"
    "session-manager-working-with-install-plugin.html",
}
_VERSION: Final = re.compile(r"(\d+)\.(\d+)\.(\d+)")


def checks(config: AwsConfig, stack: str, env: Mapping[str, str]) -> list[LocalCheck]:
    """Return checks of the tools that this stack needs; `env` has the PATH on which they are looked up."""
    asked = tools.checks("aws", "pulumi-aws", env)
    # A head in a given network has no public address by itself.
    whence, source = ("your VPN", VPN) if config.vpc else ("your own address", OWN_ADDRESS)
    command = f"pulumi config set --path 'adminCidrs[0]' {source} --stack {stack}"
    otherwise = f"allow SSH from {whence}: `{command}`."
    if not config.admin_cidrs:
        asked += [
            LocalCheck(CLI, lambda: _for_sessions(CLI, "aws", MIN_CLI, otherwise, env)),
            LocalCheck(SESSIONS, lambda: _for_sessions(SESSIONS, SESSIONS, MIN_SESSIONS, otherwise, env)),
        ]
    return asked


def _for_sessions(
    name: str, command: str, minimum: tuple[int, int, int], otherwise: str, env: Mapping[str, str]
) -> Finding:
    """Check a tool for SSH through Session Manager, which is not needed with adminCidrs."""
    fix = f"Install it ({_INSTALL[name]}), or {otherwise}"
    said = ask([command, "--version"], fix, env)
    found = _VERSION.search(said)
    version = tuple(map(int, found.groups())) if found else minimum
    if version < minimum:
        wanted = ".".join(map(str, minimum))
        needed = (
            "the stack's commands require version 2" if name == CLI else f"SSH requires {wanted} or later"
        )
        return Finding(name, "failed", f"{found[0] if found else said}: {needed}", fix)
    return Finding(name, "passed", found[0] if found else said)

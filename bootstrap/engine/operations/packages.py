"""Packages operation: distribution packages, in a given version where one is named (`name=version`)."""

from __future__ import annotations

import re

from bootstrap import paths
from bootstrap.engine.operations.base import Operation
from bootstrap.engine.operations.shell import Scripts, comment, quote
from bootstrap.errors import ConfigError

TRIES = 3
"""Attempts of `apt-get update` and of the installation: a mirror may be in the middle of a sync."""
LOCK_TIMEOUT = 300
"""Seconds to wait for another apt, e.g. unattended upgrades after a boot."""
LISTS_DAYS = 1


PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]*(:[a-z0-9-]+)?(=[A-Za-z0-9.+:~-]+)?")
"""A package of the distribution, with architecture and version where they are given. A name begins with a
letter or digit, so none is an option of apt: https://www.debian.org/doc/debian-policy/ch-controlfields.html"""


class Packages(Operation):
    """Distribution packages, without recommended ones."""

    install: list[str]

    def scripts(self, text: str | None = None) -> Scripts:
        """Install without recommended packages; the index is fetched when it is old or lacks a name.

        Raises:
            ConfigError: an entry is not a package's name, such as an option of apt.
        """
        # One item may hold several names: a variable that is a list is written {{ names | join(' ') }}.
        wanted = [name for item in self.install for name in item.split()]
        names = " ".join(quote(item.split("=")[0]) for item in wanted)
        exact = " ".join(quote(item) for item in wanted)
        for item in wanted:
            if not PACKAGE.fullmatch(item):
                raise ConfigError(
                    f"package {item!r}",
                    "it is not a valid name of a package, alone or as NAME=VERSION",
                    "Fix the role, or the recipe, that lists it.",
                )
        if not wanted:
            return Scripts("true", comment("packages: none") + "\ntrue")
        guard = [
            # Unknown names give a status, removed packages another word than "installed".
            f"states=$(dpkg-query -W -f='${{db:Status-Status}}\\n' {names})",
            "if printf '%s\\n' \"$states\" | grep -qvx installed; then exit 1; fi",
        ]
        for name, _, version in (item.partition("=") for item in wanted):
            if version:
                guard.append(f"[ \"$(dpkg-query -W -f='${{Version}}' {quote(name)})\" = {quote(version)} ]")
        stamp = f"{paths.STAMPS}/apt-update"
        apt = f"apt-get -q -o DPkg::Lock::Timeout={LOCK_TIMEOUT} -o Acquire::Retries=2"
        run = f"""\
{comment("apt-get install " + " ".join(wanted))}
export DEBIAN_FRONTEND=noninteractive
refresh() {{
  try=1
  # Without Error-Mode, apt-get update succeeds when a mirror does not answer.
  until {apt} -o APT::Update::Error-Mode=any update; do
    # Without a mirror the old index may do; the installation says so if it does not.
    if [ "$try" -ge {TRIES} ]; then return 0; fi
    try=$((try + 1))
    sleep 2
  done
  mkdir -p {paths.STAMPS}
  touch {stamp}
}}
# What an interrupted installation left half done has to be finished first.
dpkg --configure -a || true
fresh=$(find {stamp} -mtime -{LISTS_DAYS} 2>/dev/null || true)
if [ -z "$fresh" ] || ! apt-cache show --no-all-versions {exact} >/dev/null 2>&1; then
  refresh
fi
try=1
until {apt} -y --no-install-recommends -o Dpkg::Options::=--force-confold install {exact}; do
  if [ "$try" -ge {TRIES} ]; then exit 1; fi
  try=$((try + 1))
  sleep 2
  # The index may name files that the mirror has replaced since.
  refresh
done"""
        return Scripts("\n".join(guard), run)

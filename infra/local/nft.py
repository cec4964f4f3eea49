"""Table of nftables that decides who may open connections to a stack's nodes.

The table is the stack's own. Rules of others can refuse more than it does;
they cannot accept what it refuses.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from infra import tags
from infra.local.engine import EngineError, run_as_root
from infra.local.probe import SBIN

_NAME: Final = re.compile(r"[^A-Za-z0-9_.-]")
# By priority `filter`, spelt as a number: older releases know no names. ICMP (1, 58) and multicast carry no
# connection, and IPv6 does not work without them. IPv6 is covered by the bridge's name: the nodes' daemons
# listen on its link-local addresses, too.
_TEXT: Final = """\
table inet TABLE {
    chain local {
        type filter hook output priority 0; policy accept;
        ct state established,related accept
        oifname "lo" accept
        oifname "BRIDGE" goto others
        ip daddr SUBNET goto others
    }
    chain routed {
        type filter hook forward priority 0; policy accept;
        ct state established,related accept
        iifname "BRIDGE" accept
        oifname "BRIDGE" goto refused
        ip daddr SUBNET goto refused
    }
    chain others {
        meta skuid { USERS } accept
        ip daddr 224.0.0.0/4 accept
        ip6 daddr ff00::/8 accept
        meta l4proto { 1, 58 } accept
        goto refused
    }
    chain refused {
        meta l4proto 6 reject with tcp reset
        reject with icmpx type admin-prohibited
    }
}
"""


@dataclass(frozen=True)
class Table:
    """The rules of one stack."""

    name: str
    bridge: str
    subnet: str
    users: tuple[int, ...]
    """Local users whose processes may connect."""

    def text(self) -> str:
        """Return the rules in nft's language. Pure."""
        values = {
            "TABLE": self.name,
            "BRIDGE": self.bridge,
            "SUBNET": self.subnet,
            "USERS": ", ".join(map(str, self.users)),
        }
        return re.sub("|".join(values), lambda word: values[word[0]], _TEXT)

    def apply(self) -> str:
        """Put the rules in place, instead of earlier ones, in one step; return `fingerprint` of them.

        Raises:
            EngineError: this machine does not allow it; nothing has changed.
        """
        _nft("-f", "-", stdin=_removal(self.name) + self.text())
        return fingerprint(self.name)

    def refusal(self) -> str:
        """Return the reason why this machine does not allow the rules, empty if it does. Changes nothing."""
        try:
            _nft("-c", "-f", "-", stdin=_removal(self.name) + self.text())
        except EngineError as error:
            return error.why
        return ""


def table_name(labels: Mapping[str, str]) -> str:
    """Return the name of a stack's table; stacks of the same name in two clones have two tables. Pure."""
    digest = hashlib.sha256("\0".join(f"{key}={labels[key]}" for key in sorted(labels)).encode())
    return f"{_NAME.sub('_', tags.full_name(tags.stack_of(labels)))}-{digest.hexdigest()[:8]}"


def operators(uid: int, environment: Mapping[str, str]) -> list[int]:
    """Return root, the user who runs this, and the user who called sudo for it. Pure."""
    called = environment.get("SUDO_UID", "")
    return sorted({0, uid, *([int(called)] if re.fullmatch(r"[0-9]{1,10}", called) else [])})


def fingerprint(name: str) -> str:
    """Return a hash of the table as the kernel has it, empty if it has none.

    Raises:
        EngineError: this machine does not tell.
    """
    if name not in _tables():
        return ""
    # -n, -s: names of users and counters are not part of the rules.
    return hashlib.sha256(_nft("-n", "-s", "list", "table", "inet", name).encode()).hexdigest()


def remove(name: str) -> None:
    """Remove the table if there is one.

    Raises:
        EngineError: this machine does not allow it.
    """
    if name in _tables():
        _nft("-f", "-", stdin=_removal(name))


def _removal(name: str) -> str:
    # Older releases know no `destroy`: an empty table of that name is added, unless there is one.
    return f"table inet {name} {{\n}}\ndelete table inet {name}\n"


def _tables() -> Sequence[str]:
    return [line.split()[2] for line in _nft("list", "tables", "inet").splitlines() if line.strip()]


def _nft(*arguments: str, stdin: str = "") -> str:
    # Ordinary users of Debian have no sbin on PATH.
    program = shutil.which("nft", path=f"{os.environ.get('PATH', '')}:{SBIN}")
    if program is None:
        raise EngineError("nft", "nft is not installed", "Run `sudo apt-get install -y nftables`.")
    try:
        return run_as_root([program, *arguments], stdin=stdin.encode())
    except EngineError as error:
        # The last line of nft's error output is a mark below the rule.
        said = re.search(r"\bError: (.+)", error.output) or re.search(r"(.*not permitted.*)", error.output)
        if said is None:
            raise
        raise EngineError("nft", f"nft: {said[1]}", "Fix the cause above, then rerun the command.") from error

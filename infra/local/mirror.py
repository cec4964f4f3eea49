"""Package mirror of this machine, used for the base image and the nodes as well."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

APT: Final = Path("/etc/apt")
_OURS: Final = ("", "-updates", "-security")


def mirror_lines(suite: str, apt: Path = APT) -> list[str]:
    """Return one-line apt entries for `suite` and its updates, from this machine's own sources.

    Empty if this machine runs another release: mmdebstrap then uses the distribution's default mirrors.
    """
    files = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))]
    entries = [
        entry
        for file in files
        if file.is_file()
        for entry in (_deb822(file.read_text()) if file.suffix == ".sources" else _one_line(file.read_text()))
    ]
    wanted = {suite + suffix for suffix in _OURS}
    lines = [f"deb {uri} {name} {components}" for uri, name, components in entries if name in wanted]
    # A mirror that has only updates lacks the release.
    return list(dict.fromkeys(lines)) if any(name == suite for _, name, _ in entries) else []


def _one_line(text: str) -> Iterable[tuple[str, str, str]]:
    for line in text.splitlines():
        found = re.match(r"deb\s+(?:\[[^]]*\]\s+)?(https?://\S+)\s+(\S+)\s+([^#]+)", line.strip())
        if found:
            yield found[1], found[2], " ".join(found[3].split())


def _deb822(text: str) -> Iterable[tuple[str, str, str]]:
    for stanza in re.split(r"\n\s*\n", text):
        kept = "\n".join(line for line in stanza.splitlines() if not line.startswith("#"))
        fields = {
            key.lower(): " ".join(value.split())
            for key, value in re.findall(r"^([\w-]+):((?:.*\n?)(?:[ \t]+.*\n?)*)", kept, re.MULTILINE)
        }
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() == "no":
            continue
        for uri in fields.get("uris", "").split():
            if uri.startswith(("http://", "https://")):
                for suite in fields.get("suites", "").split():
                    yield uri, suite, fields.get("components", "")

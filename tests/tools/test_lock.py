"""requirements.lock covers pyproject.toml, pins every file by hash, and names no index and no machine."""

from __future__ import annotations

import re
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.lock import EXTRAS, compile_argv

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements.lock").read_text()
PINS = [Requirement(line.rstrip(" \\")) for line in LOCK.splitlines() if re.match(r"\w", line)]


def declared() -> list[Requirement]:
    """Dependencies of the project and of the extras that setup installs."""
    text = re.sub(r"^\s*#.*$", "", (ROOT / "pyproject.toml").read_text(), flags=re.M)
    found = []
    for name in ("dependencies", *EXTRAS):
        block = re.search(rf"^{name} = \[(.*?)\]$", text, re.M | re.S)
        assert block, name
        found += [Requirement(quoted) for quoted in re.findall(r'"([^"]+)"', block[1])]
    return found


def test_everything_declared_is_locked_at_a_version_it_allows() -> None:
    assert len(declared()) > 20
    for wanted in declared():
        pins = [pin for pin in PINS if canonicalize_name(pin.name) == canonicalize_name(wanted.name)]
        assert pins, f"{wanted.name} is not in requirements.lock: run `make lock`"
        for pin in pins:
            (version,) = (specifier.version for specifier in pin.specifier)
            assert wanted.specifier.contains(version), f"{pin} is not {wanted}: run `make lock`"


def test_every_pin_is_exact_and_has_a_hash() -> None:
    blocks = re.split(r"\n(?=\w)", LOCK)
    assert len(blocks) == len(PINS)
    for block in blocks:
        assert re.match(r"[\w.-]+==\S+", block), block
        assert "--hash=sha256:" in block, block


def test_the_resolver_is_pinned_as_well() -> None:
    assert [pin for pin in PINS if pin.name == "uv"]


def test_no_index_and_no_folder_of_a_machine_is_named() -> None:
    assert "://" not in LOCK
    assert "index" not in LOCK
    assert not re.search(r"^\s*#.*/", LOCK, re.M)


def test_the_resolver_is_asked_for_all_pythons_and_all_extras() -> None:
    argv = compile_argv("uv", "out")
    assert {"--universal", "--generate-hashes", "--no-emit-index-url"} <= set(argv)
    assert [argv[at + 1] for at, word in enumerate(argv) if word == "--extra"] == list(EXTRAS)

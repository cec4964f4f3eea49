"""Checks of tools that every cloud needs: Pulumi and its plugin."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from importlib import metadata
from typing import Final

from infra.preflight.ask import ask
from infra.preflight.finding import Finding, LocalCheck

PULUMI: Final = "Pulumi"


def checks(plugin: str, package: str, env: Mapping[str, str]) -> list[LocalCheck]:
    """Return the checks of Pulumi and of its plugin, in the version of the Python package; `env` has the
    PATH."""
    name = f"Pulumi's {plugin} plugin"
    return [
        LocalCheck(PULUMI, lambda: _pulumi(env)),
        LocalCheck(name, lambda: _plugin(name, plugin, package, env)),
    ]


def _pulumi(env: Mapping[str, str]) -> Finding:
    said = ask(["pulumi", "version"], "Run `make setup`, then `. ./activate`.", env)
    return Finding(PULUMI, "passed", said)


def _plugin(name: str, plugin: str, package: str, env: Mapping[str, str]) -> Finding:
    try:
        wanted = metadata.version(package)
    except metadata.PackageNotFoundError:
        why = f"the package {package} is not installed in this environment"
        return Finding(name, "failed", why, "Run `make setup`.")
    if shutil.which("pulumi", path=env.get("PATH")) is None:
        return Finding(name, "skipped", "pulumi is not on PATH")
    said = ask(["pulumi", "plugin", "ls", "--json"], "Run `pulumi plugin ls`.", env)
    there = [
        str(one.get("version", ""))
        for one in json.loads(said)
        if one.get("name") == plugin and one.get("kind") == "resource"
    ]
    if wanted in there:
        return Finding(name, "passed", wanted)
    others = f" (installed: {', '.join(there)})" if there else ""
    return Finding(
        name,
        "note",
        f"{wanted} is not installed{others}; `pulumi up` installs it, which takes a minute",
        f"To install it now: `pulumi plugin install resource {plugin} v{wanted}`.",
    )

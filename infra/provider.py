"""Base class and helpers of the project's dynamic providers.

Pulumi stores each provider pickled in the state, by module and class name: leave the classes where they are,
and without attributes, so that every run stores the same text. They can be unpickled because the project is
installed in the environment that runs them.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any

from pulumi.dynamic import ConfigureRequest, DiffResult, ResourceProvider

from bootstrap.errors import CaffeSparkError

Props = dict[str, Any]


class Provider(ResourceProvider):
    """A dynamic provider that reports expected errors in one line and is not stored as a secret."""

    serialize_as_secret_always = False

    def configure(self, req: ConfigureRequest) -> None:
        """Set up the provider process; called once per process, before any other method."""
        _print_expected_failures_in_one_line()
        if len(sys.argv) > 1:
            threading.Thread(target=_end_with, args=(sys.argv[1],), daemon=True).start()

    def diff(self, _id: str, _olds: Props, _news: Props) -> DiffResult:
        """Report no changes; a provider with settings compares them."""
        return replace_if([])


def changed(olds: Mapping[str, Any], news: Mapping[str, Any], keys: Iterable[str]) -> list[str]:
    """Return the keys whose values differ; a value that is not known yet differs from every other."""
    return [key for key in keys if olds.get(key) != news.get(key)]


def replace_if(replaces: list[str], updates: list[str] | None = None) -> DiffResult:
    """Return a diff in which `replaces` replace the resource and `updates` change it in place.

    The old resource is deleted first: it holds the name, the address or the subnet that its replacement
    needs.
    """
    return DiffResult(
        changes=bool(replaces or updates),
        replaces=replaces,
        stables=[],
        delete_before_replace=True,
    )


def say(text: str) -> None:
    """Print a line for the operator; Pulumi shows what a provider writes to stderr."""
    # Imported here: it takes a tenth of a second, and most providers print nothing.
    from bootstrap.console import visible

    print(visible(text), file=sys.stderr, flush=True)


def _end_with(engine: str) -> None:
    # When pulumi is killed, this process survives it. It must not go on creating resources that nobody
    # records and that the next run removes.
    host, _, port = engine.rpartition(":")
    while True:
        time.sleep(1)
        try:
            socket.create_connection((host, int(port)), timeout=5).close()
        except ConnectionRefusedError:
            os._exit(1)
        except OSError:
            # The engine is busy, not gone.
            continue


def _print_expected_failures_in_one_line() -> None:
    # Pulumi's server of dynamic providers reports every exception with `traceback.format_exc()`. The
    # project's own errors say what was given, why it fails and what to type; twenty lines of frames would
    # hide that.
    server = sys.modules.get("__main__")
    if getattr(server, "DynamicResourceProviderServicer", None) is not None:
        server.traceback = SimpleNamespace(format_exc=_format_exc)  # type: ignore[union-attr]


def _format_exc() -> str:
    error = sys.exc_info()[1]
    return str(error) if isinstance(error, CaffeSparkError) else traceback.format_exc()

"""What our dynamic providers share.

Pulumi keeps each provider pickled in the state, by module and class name: keep the classes where they are
and free of attributes, so that the same text is stored on every run. They are then found again because the
project is installed in the environment that runs them.
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
    """A provider whose expected failures are one line, and whose stored form holds no secret."""

    serialize_as_secret_always = False

    def configure(self, req: ConfigureRequest) -> None:
        """Called once per process, before anything else."""
        _print_expected_failures_in_one_line()
        if len(sys.argv) > 1:
            threading.Thread(target=_end_with, args=(sys.argv[1],), daemon=True).start()


def changed(olds: Mapping[str, Any], news: Mapping[str, Any], keys: Iterable[str]) -> list[str]:
    """The keys whose values differ; a value not known yet differs from every other."""
    return [key for key in keys if olds.get(key) != news.get(key)]


def replace_if(replaces: list[str], updates: list[str] | None = None) -> DiffResult:
    """A diff in which `replaces` make a new resource and `updates` change it in place.

    The old one goes first: it holds the name, the address or the subnet that the new one wants.
    """
    return DiffResult(
        changes=bool(replaces or updates),
        replaces=replaces,
        stables=[],
        delete_before_replace=True,
    )


def say(text: str) -> None:
    """One line for the person who runs pulumi; it shows what a provider writes to stderr."""
    print(text, file=sys.stderr, flush=True)


def _end_with(engine: str) -> None:
    # A killed pulumi leaves this process behind. It must not go on making things that nobody records, and
    # that the next run takes away under its hands.
    host, _, port = engine.rpartition(":")
    while True:
        time.sleep(1)
        try:
            socket.create_connection((host, int(port)), timeout=5).close()
        except ConnectionRefusedError:
            os._exit(1)
        except OSError:
            # Busy, not gone.
            continue


def _print_expected_failures_in_one_line() -> None:
    # Pulumi's server for dynamic providers answers every exception with `traceback.format_exc()`. Ours say
    # what was given, why it fails and what to type; twenty lines of frames above that would hide it.
    server = sys.modules.get("__main__")
    if getattr(server, "DynamicResourceProviderServicer", None) is not None:
        server.traceback = SimpleNamespace(format_exc=_format_exc)  # type: ignore[union-attr]


def _format_exc() -> str:
    error = sys.exc_info()[1]
    return str(error) if isinstance(error, CaffeSparkError) else traceback.format_exc()

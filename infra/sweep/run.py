"""Search of one cloud or several for leftover resources."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from rich.console import Console

from bootstrap.console import print_line
from bootstrap.errors import CaffeSparkError, ConfigError, NoCredentials
from infra.registry import PROVIDERS, Provider, clouds
from infra.settings.stack_file import declared


def sweep(
    root: Path,
    stack: str | None,
    regions: Sequence[str] | None,
    *,
    console: Console,
    alive: Collection[str],
) -> bool:
    """Search the stack's cloud, or every cloud that applies. Returns True if nothing is left in any of them.

    Of several clouds, one without a login on this machine is reported and does not fail the sweep, as long as
    another was searched; any other error does.

    Raises:
        ConfigError: no cloud could be searched, or not the only one that applies.
        ServiceDown: the only cloud that applies does not answer.
    """
    chosen = clouds_to_search(root, stack, regions)

    def search(provider: Provider) -> bool:
        with _installed(provider):
            function = provider.sweep
        return function(stack, _regions_of(provider, regions), root=root, console=console, alive=alive)

    if len(chosen) == 1:
        return search(chosen[0])
    clean, closed = [], {}
    for provider in chosen:
        try:
            clean.append(search(provider))
        except NoCredentials as error:
            closed[provider.title] = error.why
            print_line(console, f"skipped: {provider.title}: {error.why}")
        except CaffeSparkError as error:
            clean.append(False)
            print_line(console, f"not searched: {provider.title}: {error}")
    if not clean:
        why = "; ".join(f"{name}: {said}" for name, said in closed.items())
        raise ConfigError("no cloud could be searched", why, "Run `aws configure`, or `az login`.")
    return all(clean)


def clouds_to_search(root: Path, stack: str | None, regions: Sequence[str] | None) -> list[Provider]:
    """Return the clouds to search: the stack's own, by its file; else those that have the regions; else
    all."""
    named = declared(root).get(stack, {}).get("provider") if stack is not None else None
    own = PROVIDERS.get(str(named))
    if own is not None and own.in_cloud:
        return [own]
    return [provider for provider in clouds() if regions is None or _regions_of(provider, regions)]


def _regions_of(provider: Provider, regions: Sequence[str] | None) -> list[str] | None:
    """Return those of the regions that a cloud has; one in no table goes to clouds that can list theirs."""
    if regions is None:
        return None
    known = {region for one in clouds() for region in one.regions}
    return [
        name for name in regions if name in provider.regions or (provider.lists_regions and name not in known)
    ]


@contextlib.contextmanager
def _installed(provider: Provider) -> Iterator[None]:
    """Treat a cloud whose SDK is not installed as one without a login: this machine created nothing there."""
    try:
        yield
    except ModuleNotFoundError as error:
        why = f"its SDK is not installed ({error.name})"
        raise NoCredentials(provider.title, why, f"Run `pip install -e '.[{provider.name}]'`.") from error

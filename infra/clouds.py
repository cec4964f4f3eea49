"""Which cloud a command is about: a stack's own, or, where none is named, each that this machine may ask."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from bootstrap.errors import CaffeSparkError, ConfigError, NoCredentials
from bootstrap.stack import selected_stack
from infra.aws.settings.config import AwsConfig
from infra.azure.settings import sizes
from infra.azure.settings.config import AzureConfig
from infra.config import from_file
from infra.settings.stack_file import read

if TYPE_CHECKING:
    from rich.console import Console

    from infra.preflight.finding import Finding

CloudConfig = AwsConfig | AzureConfig
AWS: Final = "AWS"
AZURE: Final = "Azure"
PROVIDERS: Final = {"aws": AWS, "azure": AZURE}


def configured(root: Path, stack: str | None, env: Mapping[str, str]) -> tuple[str, CloudConfig]:
    """Name and configuration of a stack in a cloud, from its file: it need not be up, nor be made.

    Raises:
        ConfigError: there is no such file, a value in it is refused, or it is of this machine's provider.
    """
    name = stack or selected_stack(root, env)
    config = from_file(root / f"Pulumi.{name}.yaml", name)
    if isinstance(config, AwsConfig | AzureConfig):
        return name, config
    others = ", ".join(one for one, said in _settings(root).items() if said.get("provider") in PROVIDERS)
    raise ConfigError(
        f"stack {name!r}",
        "it runs on this machine: it costs nothing, and `pulumi up` itself checks what it needs",
        f"Name a stack in a cloud with --stack (there are files for: {others}).",
    )


def preflight(config: CloudConfig, stack: str, *, console: Console, env: Mapping[str, str]) -> list[Finding]:
    """What would stop the stack, in its own cloud's terms."""
    if isinstance(config, AwsConfig):
        from infra.aws.preflight import check as check_aws

        return check_aws(config, stack, console=console, env=env)
    from infra.azure.preflight import check as check_azure

    return check_azure(config, stack, console=console, env=env)


def cost(config: CloudConfig, *, console: Console, results: Path, refresh: bool) -> None:
    """What an hour of the stack costs; with `refresh`, at the prices of today."""
    if isinstance(config, AwsConfig):
        from infra.aws.cost import estimate, price_list, prices

        if refresh:
            _say(console, f"prices   {price_list.refresh(config)}")
        estimate.show(console, config, prices.load(), results=results)
        return
    from infra.azure.cost import estimate as azure_estimate
    from infra.azure.cost import price_list as azure_list
    from infra.azure.cost import prices as azure_prices

    if refresh:
        _say(console, f"prices   {azure_list.refresh(config)}")
    azure_estimate.show(console, config, azure_prices.load(), results=results)


def sweep(
    root: Path,
    stack: str | None,
    regions: Sequence[str] | None,
    *,
    console: Console,
    alive: Collection[str],
) -> bool:
    """Search the stack's cloud; without one, each cloud that is meant. True: nothing is left in any of them.

    Where several are meant, one that nobody has logged in to on this machine is named, and is no failure
    beside another that was searched; one that cannot be searched for any other reason is.

    Raises:
        ConfigError: no cloud could be asked, or the only one that was meant could not.
        ServiceDown: the only one that was meant does not answer.
    """
    chosen = meant(root, stack, regions)
    search = {
        AWS: lambda: _sweep_aws(stack, _of(AWS, regions), console, alive),
        AZURE: lambda: _sweep_azure(root, stack, _of(AZURE, regions), console, alive),
    }
    if len(chosen) == 1:
        return search[chosen[0]]()
    clean, closed = [], {}
    for name in chosen:
        try:
            clean.append(search[name]())
        except NoCredentials as error:
            closed[name] = error.why
            _say(console, f"not asked: {name}: {error.why}")
        except CaffeSparkError as error:
            clean.append(False)
            _say(console, f"not searched: {name}: {error}")
    if not clean:
        why = "; ".join(f"{name}: {said}" for name, said in closed.items())
        raise ConfigError("no cloud could be asked", why, "Run `aws configure`, or `az login`.")
    return all(clean)


def meant(root: Path, stack: str | None, regions: Sequence[str] | None) -> list[str]:
    """The clouds to search: the stack's own, by its file; else those that have the regions; else all."""
    if stack is not None and (provider := _settings(root).get(stack, {}).get("provider")) in PROVIDERS:
        return [PROVIDERS[str(provider)]]
    return [name for name in PROVIDERS.values() if regions is None or _of(name, regions)]


def _of(cloud: str, regions: Sequence[str] | None) -> list[str] | None:
    """Those of the regions that are a cloud's; AWS is asked for what neither of our tables knows."""
    if regions is None:
        return None
    known = sizes.table().regions
    return [name for name in regions if (name in known) == (cloud == AZURE)]


def _sweep_aws(
    stack: str | None, regions: list[str] | None, console: Console, alive: Collection[str]
) -> bool:
    with _installed(AWS, "aws"):
        from infra.aws.sweep import sweep as search

    return search(stack, regions, console, alive=alive).clean


def _sweep_azure(
    root: Path, stack: str | None, regions: list[str] | None, console: Console, alive: Collection[str]
) -> bool:
    with _installed(AZURE, "azure"):
        from infra.azure.sweep import sweep as search

    settings = _settings(root)
    return search(
        stack,
        regions,
        console,
        alive=alive,
        storage=[name for name, one in settings.items() if one.get("part") == "storage"],
        subscription_id=settings.get(stack or "", {}).get("subscription"),
    ).clean


@contextlib.contextmanager
def _installed(cloud: str, extra: str) -> Iterator[None]:
    """A cloud whose packages are not here has nothing of ours that this machine made."""
    try:
        yield
    except ModuleNotFoundError as error:
        why = f"its packages are not installed here ({error.name})"
        raise NoCredentials(cloud, why, f"Run `pip install -e '.[{extra}]'`.") from error


def _settings(root: Path) -> dict[str, dict[str, Any]]:
    """By stack, what the files say; read as they lie there, for stacks that may be gone or half edited."""
    found = {}
    for file in sorted(root.glob("Pulumi.*.yaml")):
        name = file.name.removeprefix("Pulumi.").removesuffix(".yaml")
        with contextlib.suppress(yaml.YAMLError, AttributeError):
            found[name] = read(name, root)
    return found


def _say(console: Console, line: str) -> None:
    console.print(line, soft_wrap=True, highlight=False, markup=False)

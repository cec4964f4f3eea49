"""A recording engine: what a whole program registers, and with which options."""

from __future__ import annotations

import asyncio
import runpy
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any
from unittest.mock import patch

import pulumi
import pytest
from google.protobuf.json_format import MessageToDict
from pulumi.runtime import MockCallArgs, Mocks
from pulumi.runtime.config import set_all_config
from pulumi.runtime.mocks import MockMonitor
from pulumi.runtime.proto import source_pb2
from pulumi.runtime.rpc import _special_secret_sig, _special_sig_key, deserialize_properties
from pulumi.runtime.settings import set_root_resource
from pulumi.runtime.stack import register_stack_transformation, run_in_stack

ROOT = Path(__file__).resolve().parents[2]
STACK = "test"


class ProviderMocks(Mocks):
    """Mocks of the providers, which record every registration and look-up."""

    made: list[str]
    invokes: list[MockCallArgs]
    last_outputs: Mapping[str, Any] = MappingProxyType({})
    """Outputs of the stack's last update, which the engine itself knows."""


@dataclass(frozen=True)
class Registration:
    """A resource as it was asked for."""

    type: str
    name: str
    urn: str
    inputs: Mapping[str, Any]
    """As Pulumi sends them: camelCase, numbers as floats, secrets as what they hold."""
    secrets: frozenset[str]
    """Inputs that hold a secret."""
    secret_paths: frozenset[str]
    """Paths of secrets on the wire, as `properties.accounts.0.key`; once read, the whole input is secret."""
    id: str
    outputs: Mapping[str, Any]
    parent: str
    provider: str
    """URN and id of the provider; empty where none was given."""
    depends_on: frozenset[str]
    """URNs."""
    options: Mapping[str, Any]


@dataclass
class Recording:
    """Everything that a program registered, by URN, so that the order of events does not show."""

    resources: list[Registration]
    invokes: list[MockCallArgs]
    outputs: dict[str, Any]
    """The stack's, with secrets as what they hold."""
    secret_outputs: frozenset[str]
    components: dict[str, dict[str, Any]]
    """Outputs that each component registered, by URN."""

    def of(self, kind: str) -> dict[str, Registration]:
        """Those of a type, by name."""
        return {one.name: one for one in self.resources if one.type == kind}

    def the(self, kind: str) -> Registration:
        """The only one of its type."""
        (one,) = self.of(kind).values()
        return one

    def named(self, name: str) -> Registration:
        """The only one of that name."""
        (one,) = [one for one in self.resources if one.name == name]
        return one

    def needs(self, one: Registration) -> set[str]:
        """URNs of everything that the engine deletes after this: its dependencies and parents, and theirs."""
        by_urn = {each.urn: each for each in self.resources}
        seen: set[str] = set()
        todo = [one.urn]
        while todo:
            urn = todo.pop()
            if urn not in seen and urn in by_urn:
                seen.add(urn)
                todo += [*by_urn[urn].depends_on, by_urn[urn].parent]
        return seen

    @property
    def aws(self) -> list[Registration]:
        """The outputs that AWS would give a resource."""
        return [one for one in self.resources if one.type.startswith("aws:")]

    @property
    def azure(self) -> list[Registration]:
        """The outputs that Azure would give a resource."""
        return [one for one in self.resources if one.type.startswith("azure-native:")]


def plain(value: Any) -> Any:
    """The same with secrets as what they hold."""
    if isinstance(value, dict):
        return plain(value["value"]) if is_secret(value) else {k: plain(entry) for k, entry in value.items()}
    return [plain(entry) for entry in value] if isinstance(value, list) else value


def is_secret(value: Any) -> bool:
    return isinstance(value, dict) and value.get(_special_sig_key) == _special_secret_sig


def holds_secret(value: Any) -> bool:
    if is_secret(value):
        return True
    entries = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return any(map(holds_secret, entries))


def secret_paths(value: Any, path: str = "") -> Iterator[str]:
    """Paths of secrets, outermost first; everything below a secret is part of it."""
    if is_secret(value):
        yield path.removeprefix(".")
        return
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in pairs:
        yield from secret_paths(entry, f"{path}.{key}")


class RecordingMonitor(MockMonitor):
    """Keeps what Pulumi's own mocks throw away: parents, providers, dependencies, options, secrets."""

    def __init__(self, mocks: ProviderMocks) -> None:
        super().__init__(mocks)
        self.registrations: list[Registration] = []
        self.registered_outputs: dict[str, dict[str, Any]] = {}

    def RegisterResource(self, request: Any) -> Any:
        response = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        if request.type == "pulumi:pulumi:Stack":
            return response
        # As the engine does: what is declared secret comes back secret.
        for key in request.additionalSecretOutputs:
            if key in response.object.fields:
                value = response.object[key]
                response.object[key] = {_special_sig_key: _special_secret_sig, "value": value}
        inputs = deserialize_properties(request.object)
        made = self.resources[response.urn]
        self.registrations.append(
            Registration(
                type=request.type,
                name=request.name,
                urn=response.urn,
                inputs=plain(inputs),
                secrets=frozenset(key for key, value in inputs.items() if holds_secret(value)),
                secret_paths=frozenset(secret_paths(MessageToDict(request.object))),
                id=made.id,
                outputs=plain(made.state),
                parent=request.parent,
                provider=request.provider or next(iter(request.providers.values()), ""),
                depends_on=frozenset(request.dependencies),
                options={
                    "protect": request.protect,
                    "retain_on_delete": request.retainOnDelete,
                    "delete_before_replace": request.deleteBeforeReplace,
                    "ignore_changes": tuple(request.ignoreChanges),
                    "replace_on_changes": tuple(request.replaceOnChanges),
                    "secret_outputs": tuple(request.additionalSecretOutputs),
                    "deleted_with": request.deletedWith,
                    "create_timeout": request.customTimeouts.create,
                },
            )
        )
        return response

    def RegisterResourceOutputs(self, request: Any) -> Any:
        self.registered_outputs[request.urn] = deserialize_properties(request.outputs)
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]


def record(
    build: Callable[[], None], mocks: ProviderMocks, *, encrypted: Collection[str] = (), **config: str
) -> Recording:
    """Run `build` as Pulumi runs a program, with that configuration; what fails in it, fails here.

    `encrypted` are the keys that the stack file holds encrypted.
    """
    monitor = RecordingMonitor(mocks)
    # Pulumi keeps its root resource, bound to the loop that made it.
    set_root_resource(None)  # type: ignore[arg-type]
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    pulumi.runtime.set_mocks(mocks, project="caffe-spark", stack=STACK, preview=False, monitor=monitor)
    set_root_resource(None)  # type: ignore[arg-type]
    set_all_config(
        {f"caffe-spark:{key}": value for key, value in config.items()},
        [f"caffe-spark:{key}" for key in encrypted],
    )

    def without_aliases() -> None:
        register_stack_transformation(_without_aliases)
        build()

    try:
        with (
            patch("infra.running.last_outputs", lambda _: mocks.last_outputs),
            # for Pulumi's own messages, and a sixth of a run's time
            patch("pulumi.runtime.resource._get_stack_trace", source_pb2.StackTrace),
        ):
            loop.run_until_complete(run_in_stack(without_aliases))
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    found = dict(monitor.registered_outputs)
    # A component's URN has its parents' types before its own.
    (stack,) = [urn for urn in found if urn.split("::")[2] == "pulumi:pulumi:Stack"]
    outputs = found.pop(stack)
    return Recording(
        resources=sorted(monitor.registrations, key=lambda one: one.urn),
        invokes=mocks.invokes,
        outputs=plain(outputs),
        secret_outputs=frozenset(key for key, value in outputs.items() if holds_secret(value)),
        components={urn: plain(values) for urn, values in found.items()},
    )


def _without_aliases(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult:
    """Azure's resources have an alias for each version of its interface, which take most of a run's time."""
    args.opts.aliases = None
    return pulumi.ResourceTransformationResult(args.props, args.opts)


def run_program() -> None:
    """The project's program, as Pulumi starts it."""
    runpy.run_path(str(ROOT / "infra" / "__main__.py"), run_name="__main__")


@dataclass
class StackProgram:
    """The whole program with a stack's configuration; each provider says what it always has."""

    said: list[str]
    """Its lines where it ended early."""

    def mocks(self) -> ProviderMocks:
        """Mocks of the provider."""
        raise NotImplementedError

    def always(self) -> dict[str, str]:
        """Configuration of every stack of that provider."""
        raise NotImplementedError

    def run(
        self, mocks: ProviderMocks | None = None, *, encrypted: Collection[str] = (), **config: str
    ) -> Recording:
        """Registrations of the program with this configuration added."""
        try:
            return record(
                run_program, mocks or self.mocks(), encrypted=encrypted, **{**self.always(), **config}
            )
        except SystemExit as error:
            raise AssertionError(self.said) from error

    def refused(self, last_outputs: Mapping[str, Any] | None = None, **config: str) -> str:
        """The line with which it refuses, before it has registered anything."""
        mocks = self.mocks()
        mocks.last_outputs = last_outputs or {}
        with pytest.raises(AssertionError):
            self.run(mocks, **config)
        (line,) = self.said
        assert mocks.made == []
        return line

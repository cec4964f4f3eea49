"""Plans: roles and a cluster compiled to guarded commands. Pure; execution and rendering share it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jinja2
from pydantic import ValidationError

from bootstrap import paths
from bootstrap.cluster import Cluster, ClusterDocument, DeclaredNode
from bootstrap.engine.command import Check, Command
from bootstrap.engine.operations.shell import quote
from bootstrap.engine.pins import KEY, Sums
from bootstrap.engine.role import Role, Step, Where
from bootstrap.engine.spelling import in_environment_file, in_properties
from bootstrap.errors import ConfigError
from bootstrap.model import first_fault

_PROGRAMS = Path(__file__).parents[1] / "join" / "on_node"

ASSUMED = {"distribution": "debian-12", "arch": "amd64"}
"""Facts assumed of a node until its own are read (see `bootstrap.engine.execute`)."""

_XML = ".xml.j2"
"""End of the names of templates whose values are escaped, and whose text is checked."""

Plan = dict[str, list[Command]]
"""Commands by node name, in the order in which the node runs them."""


def variables_for(
    role: Role,
    cluster: ClusterDocument,
    node: DeclaredNode,
    given: Mapping[str, Any],
    watched: _Watched | None = None,
) -> dict[str, Any]:
    """Return the variables for the strings and templates of a role on this node.

    Defaults (they may use the names below, and defaults above them), overridden by `given`; then `cluster`,
    `head`, `workers`, `nodes`, `node`, `is_head`, `paths`, `spark_secret`, `storage_secret`; and `program`,
    a function that returns a program of `bootstrap/join/on_node/` by its name.
    `distribution` (`debian-12`) and `arch` (`amd64`) come from the node's facts through `given`. Sums of
    downloads are the default `sha256`, by file name (see `bootstrap.engine.pins`).

    Raises:
        ConfigError: a default uses a name that is not defined, or a file whose sum is not pinned.
    """
    fixed: dict[str, Any] = {
        "cluster": cluster,
        "head": cluster.head,
        "workers": cluster.nodes[1:],
        "nodes": cluster.nodes,
        "node": watched or node,
        "is_head": node.name == cluster.head.name,
        "paths": paths,
        "spark_secret": cluster.spark_secret.get_secret_value(),
        "storage_secret": next((secret.get_secret_value() for secret in cluster.storage.secrets), ""),
        "program": _program,
    }
    variables = {**ASSUMED, **given, **fixed}
    for name, default in role.defaults.items():
        if name not in variables or (name in ASSUMED and name not in given):
            variables[name] = _fill(default, variables, f"role {role.name!r}, default {name!r}")
            if name == KEY:
                variables[name] = Sums(role.name, role.folder, variables[name])
    return variables


def _program(name: str) -> str:
    return (_PROGRAMS / f"{name}.py").read_text()


class _Watched:
    """A node as roles see it; `used` tells whether any has looked at it."""

    def __init__(self, node: DeclaredNode) -> None:
        self._node, self.used = node, False

    def __getattr__(self, name: str) -> object:
        self.used = True
        return getattr(self._node, name)


def compile_role(
    role: Role,
    cluster: ClusterDocument,
    node: DeclaredNode,
    given: Mapping[str, Any],
    watched: _Watched | None = None,
) -> list[Command]:
    """Return the role's commands for this node, in order; templates see `watched` as their node, if given.

    Raises:
        ConfigError: an undefined variable, a missing template or a value refused; role and step are named.
    """
    variables = variables_for(role, cluster, node, given, watched)
    secrets = cluster.secrets
    commands: list[Command] = []
    for raw in role.steps:
        if not _applies(raw.on, cluster, node):
            continue
        where = f"role {role.name!r}, step {raw.name!r}"
        filled = _fill(raw.model_dump(exclude_none=True), variables, where)
        try:
            step = Step.model_validate(filled)
        except ValidationError as error:
            field, reason = first_fault(error)
            raise ConfigError(where, f"{field}: {reason}", f"Fix {role.folder}/role.yaml.") from error
        if any(step.name == other.name for other in commands):
            raise ConfigError(where, "another step has that name", "Give each step a name of its own.")
        scripts = step.operation.scripts(_template_text(role, step, variables, where))
        needs = None
        if step.after is not None and node.name != cluster.head.name:
            needs = (step.after.role or role.name, step.after.step)
        installs = step.packages is not None
        commands.append(
            Command(role.name, step.name, scripts.guard, scripts.run, step.timeout, needs, installs, secrets)
        )
    return commands


def compile_checks(
    role: Role, cluster: ClusterDocument, node: DeclaredNode, given: Mapping[str, Any]
) -> list[Check]:
    """Return the role's checks of its service on this node.

    Raises:
        ConfigError: an undefined variable; role and check are named.
    """
    if not any(_applies(spec.on, cluster, node) for spec in role.check):
        return []
    variables = variables_for(role, cluster, node, given)
    checks = []
    for spec in role.check:
        if _applies(spec.on, cluster, node):
            where = f"role {role.name!r}, check {spec.name!r}"
            name, run, fix = (_fill(text, variables, where) for text in (spec.name, spec.run, spec.fix))
            checks.append(Check(role.name, name, run, fix))
    return checks


def order(roles: Sequence[Role]) -> list[Role]:
    """Return the roles, each after those that it requires, else in the given order.

    A required role that is not among them is assumed to be applied already.

    Raises:
        ConfigError: roles require each other in a cycle.
    """
    by_name = {role.name: role for role in roles}
    ordered: dict[str, Role] = {}

    def visit(role: Role, path: tuple[str, ...]) -> None:
        if role.name in path:
            cycle = " → ".join([*path[path.index(role.name) :], role.name])
            raise ConfigError(f"role {role.name!r}", f"roles require each other: {cycle}", "Break the cycle.")
        for name in role.requires:
            if name in by_name:
                visit(by_name[name], (*path, role.name))
        ordered.setdefault(role.name, role)

    for role in by_name.values():
        visit(role, ())
    return list(ordered.values())


def plan_node(
    roles: Sequence[Role], cluster: ClusterDocument, node: DeclaredNode, given: Mapping[str, Any]
) -> list[Command]:
    """Return all commands of these roles (already in order) for one node."""
    return [command for role in roles for command in compile_role(role, cluster, node, given)]


def make_plan(roles: Sequence[Role], cluster: Cluster, given: Mapping[str, Any]) -> Plan:
    """Return the commands of every node; no worker waits for a step that the head lacks.

    Raises:
        ConfigError: a role cannot be compiled, or a step is `after` one that the head does not have.
    """
    ordered = order(roles)
    plan: Plan = {node.name: [] for node in cluster.nodes}
    for applied in ordered:
        alike: list[Command] | None = None
        for node in cluster.nodes:
            watched = _Watched(node)
            commands = alike or compile_role(applied, cluster, node, given, watched)
            # Only their names and addresses tell workers apart: most roles are compiled once for all of them.
            if not watched.used and node.name != cluster.head.name:
                alike = commands
            plan[node.name] += commands
    on_head = {(command.role, command.name) for command in plan[cluster.head.name]}
    for commands in plan.values():
        for command in commands:
            if command.needs is not None and command.needs not in on_head:
                role, name = command.needs
                raise ConfigError(
                    f"role {command.role!r}, step {command.name!r}",
                    f"it comes after step {name!r} of role {role!r}, which the head does not run here",
                    f"Name a step of the head, and apply the role {role!r} together with this one.",
                )
    return plan


def first_pending(commands: Sequence[Command], held: Iterable[bool], unsettled: Iterable[bool] = ()) -> int:
    """Return the index of the first command to run: its guard did not hold, or what it needs may change."""
    doubts = list(unsettled) or [False] * len(commands)
    for index, (holds, doubt) in enumerate(zip(held, doubts, strict=True)):
        if not holds or doubt:
            return index
    return len(commands)


def _applies(on: Where, cluster: ClusterDocument, node: DeclaredNode) -> bool:
    return on == "all" or (on == "head") == (node.name == cluster.head.name)


def _template_text(role: Role, step: Step, variables: Mapping[str, Any], where: str) -> str | None:
    """Return the filled template of a step's operation, where that has one."""
    template = step.operation.template_file
    if template is None:
        return None
    try:
        text = _environment(role.folder).get_template(template).render(variables)
        if template.endswith(_XML):
            ElementTree.fromstring(text)  # noqa: S314 - our own text
        return text
    except ElementTree.ParseError as error:
        raise ConfigError(
            f"{where}, template {template!r}",
            f"it is not valid XML ({error})",
            "Look for control characters in the stack's settings; else fix the template.",
        ) from error
    except jinja2.TemplateNotFound as error:
        raise ConfigError(
            where, f"there is no template {error.name!r}", f"Put it into {role.folder}/templates/."
        ) from error
    except jinja2.TemplateError as error:
        raise _refused(f"{where}, template {template!r}", error, variables) from error


def _fill(value: Any, variables: Mapping[str, Any], where: str) -> Any:  # noqa: ANN401 - YAML is any
    """Return `value` with the variables in all its strings filled."""
    match value:
        case str() if "{{" in value or "{%" in value or "{#" in value:
            try:
                return _template(value).render(variables)
            except jinja2.TemplateError as error:
                raise _refused(where, error, variables) from error
        case dict():
            return {key: _fill(item, variables, where) for key, item in value.items()}
        case list() | tuple():
            return [_fill(item, variables, where) for item in value]
        case _:
            return value


def _refused(where: str, error: jinja2.TemplateError, variables: Mapping[str, Any]) -> ConfigError:
    undefined = re.match(r"'(\w+)' is undefined", str(error))
    if isinstance(error, jinja2.UndefinedError) and undefined:
        known = ", ".join(sorted(variables))
        return ConfigError(
            where,
            f"variable {undefined[1]!r} is not defined; there are: {known}",
            "Give it in the role's defaults.yaml, or correct its name.",
        )
    return ConfigError(where, f"its template is refused: {error}", "Fix the template.")


def _jinja(loader: jinja2.BaseLoader | None) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=loader,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        # XML alone; the others are unit files, shell and properties.
        autoescape=jinja2.select_autoescape(enabled_extensions=(_XML,), default_for_string=False),
    )
    environment.filters["quote"] = quote  # `{{ value | quote }}`: one word of a shell command
    environment.filters |= {"properties": in_properties, "environment": in_environment_file}
    return environment


@lru_cache(maxsize=32)
def _environment(folder: Path) -> jinja2.Environment:
    return _jinja(jinja2.FileSystemLoader([folder / "templates", folder]))


@lru_cache(maxsize=1024)
def _template(text: str) -> jinja2.Template:
    return _STRINGS.from_string(text)


_STRINGS = _jinja(None)

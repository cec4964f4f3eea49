"""YAML as it is written: no key twice, no number that readers of YAML 1.1 and 1.2 take for different ones.

PyYAML reads YAML 1.1: of two equal keys the last one counts, `yes`, `no`, `on` and `off` are booleans, `010`
is 8, `1:30` is 90 and `2026-01-01` a date. Pulumi's engine, and most people, read YAML 1.2.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import yaml

if TYPE_CHECKING:
    from yaml import SafeLoader
else:
    # A program reads each role for each kind of node: libyaml's parser is five times as fast.
    SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class AmbiguousYAML(yaml.YAMLError):
    """A key that is given twice, or a number with a leading zero."""


_TAG: Final = "tag:yaml.org,2002:"
_OCTAL: Final = "!octal"
_MERGE: Final = _TAG + "merge"
_NUMBERS: Final = {
    _TAG + "bool": (r"true|false", "tf"),
    _OCTAL: (r"[-+]?0[0-9_]+|0o[0-7_]+", "-+0"),
    _TAG + "int": (r"[-+]?(?:0|[1-9][0-9_]*|0b[0-1_]+|0x[0-9a-fA-F_]+)", "-+0123456789"),
    _TAG + "float": (
        r"[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+0123456789.",
    ),
}
"""Patterns of plain scalars that are not text, and the characters that they begin with."""
_REPLACED: Final = {_TAG + name for name in ("bool", "int", "float", "timestamp")}


class _Loader(SafeLoader):
    def construct_document(self, node: yaml.Node) -> Any:  # noqa: ANN401
        # Before any mapping is constructed: merging (`<<`) repeats keys on purpose.
        _require_single_keys(node)
        return super().construct_document(node)


def _refuse_octal(_: SafeLoader, node: yaml.ScalarNode) -> None:
    raise AmbiguousYAML(
        f"line {node.start_mark.line + 1}: {node.value} may be an octal number or a decimal one; "
        "write it without leading zeros, or quote it as a text"
    )


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _REPLACED]
    for first, resolvers in SafeLoader.yaml_implicit_resolvers.items()
}
for _name, (_pattern, _first) in _NUMBERS.items():
    _Loader.add_implicit_resolver(_name, re.compile(f"^(?:{_pattern})$"), list(_first))
_Loader.add_constructor(_OCTAL, _refuse_octal)


def load(text: str) -> Any:  # noqa: ANN401 - any YAML value
    """Return the document of a text.

    Raises:
        AmbiguousYAML: a key is given twice, or a number may be an octal one; the line is named.
        yaml.YAMLError: it is not valid YAML.
    """
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except ValueError as error:  # `0x_`, which the pattern of numbers takes
        raise AmbiguousYAML(f"a number is not valid: {error}") from error


def reason(error: yaml.YAMLError) -> str:
    """Return why a text is refused, in one line."""
    words = " ".join(str(error).split())
    return words if isinstance(error, AmbiguousYAML) else f"it is not valid YAML: {words}"


def _require_single_keys(root: yaml.Node | None) -> None:
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        # Anchors make a graph of the tree.
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
        elif isinstance(node, yaml.MappingNode):
            keys: dict[tuple[str, str], yaml.Node] = {}
            for key, value in node.value:
                waiting += [key, value]
                if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
                    continue
                first = keys.setdefault((key.tag, key.value), key)
                if first is not key:
                    lines = f"{first.start_mark.line + 1} and {key.start_mark.line + 1}"
                    raise AmbiguousYAML(f"the key {key.value!r} is given twice, in lines {lines}")

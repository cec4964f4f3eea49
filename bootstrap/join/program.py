"""The program of a machine (`bootstrap.join.on_node.boot`) as shell that installs and starts it. Pure."""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

from bootstrap.join.on_node import boot, notice

Verb = Literal["join", "watch"]

LIBRARY: Final = "/usr/local/lib/caffe-spark"
SETTINGS: Final = "/etc/caffe-spark/boot.json"
WATCH: Final = "caffe-spark-watch.service"
"""Unit that leaves when the cloud is about to take the machine."""
MODULES: Final = tuple(f"bootstrap/join/on_node/{name}.py" for name in ("aws", "notice", "boot"))
"""Modules of the program, with the paths that they have here: a namespace package on the machine."""

_ROOT: Final = Path(__file__).parents[2]


def compact(source: str) -> str:
    """Return a program without what only its readers need, indented by one: user data are short.

    Docstrings, annotations, comments, blanks and line ends go. The same on every version of Python, unlike
    `ast.unparse` or a compressed file: changed user data replace machines.
    """
    tree, lines = ast.parse(source), source.splitlines()
    dropped: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            dropped |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    # From the end of a line to its start, so that places before it stay.
    for line, start, end in sorted(_annotations(tree), reverse=True):
        lines[line - 1] = lines[line - 1][:start] + lines[line - 1][end:]
    kept = [line for number, line in enumerate(lines, start=1) if number not in dropped]
    return "\n".join(_joined(list(_dense(_without_types("\n".join(kept))))))


_Line = tuple[int, str]
"""Depth and text of a logical line."""
_COMPOUND: Final = re.compile(r"(if|elif|else|for|while|try|except|finally|with|def|class)\b|@")


def _dense(source: str) -> Iterator[_Line]:
    """Yield the logical lines of a program, with blanks only between two words."""
    line, depth, after_word = "", 0, False
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NEWLINE:
            yield depth, line
            line, after_word = "", False
        elif token.type in (tokenize.INDENT, tokenize.DEDENT):
            depth += 1 if token.type == tokenize.INDENT else -1
        elif token.type not in (tokenize.COMMENT, tokenize.NL, tokenize.ENDMARKER):
            word = token.type != tokenize.OP
            line += f" {token.string}" if word and after_word else token.string
            after_word = word


def _joined(lines: Sequence[_Line]) -> Iterator[str]:
    """Yield the lines as text; a block of one simple statement stands beside what it belongs to."""
    before = ""
    for (depth, line), (after, _) in zip(lines, [*lines[1:], (0, "")], strict=True):
        alone = before and after < depth and not _COMPOUND.match(line)
        if before and not alone:
            yield before
        text = before + line if alone else " " * depth + line
        before = "" if alone or not line.endswith(":") else text
        if not before:
            yield text
    if before:
        yield before


def _without_types(source: str) -> str:
    """Return a program without imports of types that only its annotations have named."""
    tree, lines = ast.parse(source), source.splitlines()
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == "typing":
            names = [each.name for each in node.names if each.name in used]
            lines[node.lineno - 1] = f"from typing import {', '.join(names)}" if names else ""
            for number in range(node.lineno, node.end_lineno or node.lineno):
                lines[number] = ""
    return "\n".join(lines)


def _annotations(tree: ast.Module) -> Iterator[tuple[int, int, int]]:
    """Yield line, start and end of the annotations of functions; those of a class may be its fields."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.returns is not None:
            found = node.returns
            yield found.lineno, found.col_offset - len(" -> "), found.end_col_offset or 0
        elif isinstance(node, ast.arg) and node.annotation is not None:
            yield node.lineno, node.col_offset + len(node.arg), node.annotation.end_col_offset or 0


def file(path: str, content: str, tag: str) -> str:
    """Return shell that writes a file; `tag` is a line that the content does not have."""
    return f"cat >{path} <<'{tag}'\n{content}\n{tag}"


def sources(library: str = LIBRARY) -> list[str]:
    """Return shell that writes the program."""
    folder = f"{library}/{Path(MODULES[0]).parent}"
    written = (file(f"{library}/{path}", compact((_ROOT / path).read_text()), "BOOT") for path in MODULES)
    return [f"mkdir -p {folder}", *written]


def unit(verb: Verb, library: str = LIBRARY, settings: str = SETTINGS) -> str:
    """Return the systemd unit of a verb of the program."""
    joins = verb == "join"
    return "\n".join(
        [
            "[Unit]",
            f"Description={'Join the cluster' if joins else 'Leave the cluster gracefully'}",
            "After=network-online.target",
            "Wants=network-online.target",
            "StartLimitIntervalSec=3600",
            "StartLimitBurst=5",
            "[Service]",
            f"Type={'oneshot' if joins else 'simple'}",
            f"Environment=PYTHONPATH={library}",
            *([f"Environment=CAFFE_SPARK_SETTINGS={settings}"] if settings != SETTINGS else []),
            f"ExecStart=/usr/bin/python3 -u -m bootstrap.join.on_node.boot {verb}",
            "Restart=on-failure",
            "RestartSec=60",
            "[Install]",
            "WantedBy=multi-user.target",
        ]
    )


RUNTIME: Final = "/run/caffe-spark-watch"
"""Folder of a program that is gone after a boot."""
_RUNTIME_UNIT: Final = f"/run/systemd/system/{WATCH}"
TOLD: Final = notice.FILE


def watching(settings: Mapping[str, str]) -> str:
    """Return a script that starts the watch on a machine without user data, until it reboots.

    `settings` are those that `watch` reads of `bootstrap.join.user_data.Boot.settings`.
    """
    library, document = f"{RUNTIME}/lib", f"{RUNTIME}/boot.json"
    return "\n".join(
        [
            "set -eu",
            "umask 022",
            *sources(library),
            file(document, json.dumps(dict(settings), indent=1), "JSON"),
            "mkdir -p /run/systemd/system",
            file(_RUNTIME_UNIT, unit("watch", library, document), "UNIT"),
            "systemctl daemon-reload",
            f"systemctl restart {WATCH}",
            "",
        ]
    )


def unwatching() -> str:
    """Return a script that stops such a watch and removes what it has left; a machine that it had begun to
    leave with goes on.
    """
    return "\n".join(
        [
            f"systemctl stop {WATCH} 2>/dev/null || true",
            f"told=$([ ! -e {TOLD} ] || echo told)",
            f"rm -rf {RUNTIME} {_RUNTIME_UNIT} {TOLD} {boot.LOG}",
            "systemctl daemon-reload",
            # Decommissioned or stopped, it takes no executor before it has started again.
            '[ -z "$told" ] || ! systemctl is-enabled --quiet spark-worker || systemctl restart spark-worker',
            "",
        ]
    )

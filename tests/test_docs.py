"""Names in the documentation: paths, functions beside a path, fab commands with their flags, make targets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from invoke.collection import Collection

import fabfile

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "docs/architecture.md",
    "docs/access.md",
    "docs/dev.md",
    "docs/aws.md",
    "docs/azure.md",
    "docs/resume.md",
    "docs/team.md",
    "docs/acceptance.md",
    "docs/tools.md",
    "benchmarks/README.md",
)
FOLDERS = (".ci", "benchmarks", "bootstrap", "docs", "infra", "jobs", "tests", "tools")
"""First folders of the project's own paths; other paths are of nodes, of storage, or made by commands."""
COMMANDS = Collection.from_module(fabfile).tasks

_WORD = re.compile(r"[\w.*<>/-]+")
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`]+)`|^ {4}(.+)$", re.MULTILINE)
_TESTS = re.compile(r"`(?:[\w/]*?(test_\w+\.py)|…)(?:::(test_\w+))?`")
"""A test as tables name it; `…` is the file before."""
_NAMES = re.compile(r"`([\w/]+\.py)`\s\(((?:`\w+`(?:,\s)?)+)\)")


def text_of(document: str) -> str:
    return (ROOT / document).read_text()


def code_of(text: str) -> list[str]:
    """Code: in backticks, or indented by four."""
    return [inline or line for inline, line in _CODE.findall(_FENCE.sub("", text))]


def paths(text: str) -> Iterator[str]:
    for word in _WORD.findall(text):
        path = word.rstrip(".")
        if "/" in path and path.partition("/")[0] in FOLDERS:
            yield path


def exists(path: str) -> bool:
    """`<provider>` and `*` stand for any name; a trailing slash for a folder."""
    found = list(ROOT.glob(re.sub(r"<\w+>", "*", path.rstrip("/"))))
    return any(one.is_dir() for one in found) if path.endswith("/") else bool(found)


def defines(module: str, name: str) -> bool:
    return bool(re.search(rf"^(?:def |class )?{name}\b", (ROOT / module).read_text(), re.MULTILINE))


def flags_of(task: str) -> set[str]:
    arguments = COMMANDS[task].get_arguments()
    return {name.replace("_", "-") for argument in arguments for name in argument.names}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_path_that_a_document_names_exists(document: str) -> None:
    assert [path for path in paths(text_of(document)) if not exists(path)] == []


@pytest.mark.parametrize("document", sorted(path.name for path in (ROOT / "docs").glob("*.md")))
def test_every_test_that_a_document_names_exists(document: str) -> None:
    known: dict[str, str] = {}
    for file in (ROOT / "tests").rglob("test_*.py"):
        known[file.name] = known.get(file.name, "") + file.read_text()
    file_name, missing = "", []
    for found in _TESTS.finditer(text_of(f"docs/{document}")):
        file_name = found[1] or file_name
        if file_name not in known or (found[2] and f"def {found[2]}(" not in known[file_name]):
            missing.append(found[0])
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_of_a_document_leads_to_a_file(document: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", text_of(document))
    assert [link for link in links if not (ROOT / document).parent.joinpath(link).is_file()] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_function_named_beside_a_module_is_in_it(document: str) -> None:
    missing = []
    for module, names in _NAMES.findall(text_of(document)):
        missing += [f"{module}: {name}" for name in re.findall(r"\w+", names) if not defines(module, name)]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_fab_command_that_a_document_names_exists_with_its_flags(document: str) -> None:
    unknown = []
    for code in code_of(text_of(document)):
        for name, rest in re.findall(r"\bfab ([a-z][a-z-]*)([^#;&|]*)", code):
            # After `--` follow the words of another program.
            flags = set(re.findall(r"--([a-z][a-z-]*)", rest.partition(" -- ")[0]))
            if name not in COMMANDS or flags - flags_of(name):
                unknown.append(code)
    assert unknown == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_make_target_that_a_document_names_exists(document: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = re.findall(
        r"(?:^| )make ([a-z]+(?:-[a-z]+)*)", "\n".join(code_of(text_of(document))), re.MULTILINE
    )
    assert set(named) - targets == set()


def test_the_examination_sees_what_is_wrong() -> None:
    """A pattern that matches nothing would pass everything."""
    text = "Run `fab nosuch --stack dev` in bootstrap/nosuch.py, or `bootstrap/`.\n\n    make nosuch\n"
    assert [path for path in paths(text) if not exists(path)] == ["bootstrap/nosuch.py"]
    assert code_of(text) == ["fab nosuch --stack dev", "bootstrap/", "make nosuch"]
    assert _NAMES.findall("`jobs/a.py` (`one`, `two`)") == [("jobs/a.py", "`one`, `two`")]
    assert not defines("fabfile.py", "nosuch")

"""What a check of a cloud or of this machine is, what it finds, and how people see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, Literal, TypeVar

from rich.text import Text

from bootstrap.errors import CaffeSparkError

if TYPE_CHECKING:
    from rich.console import Console

Verdict = Literal["holds", "fails", "skipped", "note"]
Cloud = TypeVar("Cloud")
"""Whom a check asks: the clients of one cloud."""

_MARKS: Final[dict[Verdict, tuple[str, str]]] = {
    "holds": ("✓", "green"),
    "fails": ("✗", "bold red"),
    "skipped": ("–", "yellow"),
    "note": ("!", "yellow"),
}


@dataclass(frozen=True)
class Finding:
    """The answer of one check: what was seen, and what to type where it is not right.

    A `note` is worth knowing and stops nothing; what was `skipped` is unknown, and `detail` says why.
    """

    name: str
    verdict: Verdict
    detail: str = ""
    fix: str = ""

    @property
    def failed(self) -> bool:
        """Whether `pulumi up`, or the first command after it, would fail."""
        return self.verdict == "fails"


@dataclass(frozen=True)
class CloudCheck(Generic[Cloud]):
    """A question to a cloud; `table` is what we know without asking, where that is something."""

    name: str
    look: Callable[[Cloud], Sequence[Finding]]
    table: Callable[[], Finding] | None = None

    def ask(self, cloud: Cloud) -> list[Finding]:
        """The answer; an expected failure is one too."""
        return guarded(self.name, lambda: self.look(cloud))

    def without(self, why: str) -> list[Finding]:
        """What can be said where the cloud cannot be asked."""
        return [self.table() if self.table else Finding(self.name, "skipped", why)]


@dataclass(frozen=True)
class LocalCheck:
    """A question to this machine."""

    name: str
    look: Callable[[], Finding]

    def ask(self) -> list[Finding]:
        """The answer; an expected failure is one too."""
        return guarded(self.name, lambda: [self.look()])


def guarded(name: str, look: Callable[[], Sequence[Finding]]) -> list[Finding]:
    """What `look` finds; where it fails as expected, that is the finding. Bugs keep their traceback."""
    try:
        return list(look())
    except CaffeSparkError as error:
        return [failure(name, error)]


def failure(name: str, error: CaffeSparkError) -> Finding:
    """An expected failure as a finding. A right that only a preflight wants does not stop a stack."""
    # Each cloud's own `Denied` says so; no other failure does.
    optional = bool(getattr(error, "optional", False))
    return Finding(name, "skipped" if optional else "fails", error.why, error.fix)


def show(findings: Sequence[Finding], console: Console) -> None:
    """A line for each check, under it what to type where something is to be done, and a line that counts."""
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        mark, style = _MARKS[finding.verdict]
        unknown = "skipped: " if finding.verdict == "skipped" else ""
        line = Text.assemble((mark, style), f" {finding.name:{width}}  {unknown}{finding.detail}")
        console.print(line, soft_wrap=True, highlight=False)
        if finding.fix:
            console.print(Text(f"  → {finding.fix}", style="bold"), soft_wrap=True, highlight=False)
    counts: dict[Verdict, int] = dict.fromkeys(_MARKS, 0)
    for finding in findings:
        counts[finding.verdict] += 1
    said = [f"{counts['holds']} hold"]
    said += [f"{counts['fails']} fail"] if counts["fails"] else []
    said += [f"{counts['skipped']} skipped"] if counts["skipped"] else []
    style = "red" if counts["fails"] else "yellow" if counts["skipped"] else "green"
    console.print(f"{', '.join(said)}.", style=style, highlight=False)

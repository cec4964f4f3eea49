"""Checks of a cloud or of this machine, and their findings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, Literal, TypeVar

from rich.text import Text

from bootstrap.errors import CaffeSparkError

if TYPE_CHECKING:
    from rich.console import Console

Verdict = Literal["passed", "failed", "skipped", "note"]
Cloud = TypeVar("Cloud")
"""Clients of one cloud, which a check uses."""

_MARKS: Final[dict[Verdict, tuple[str, str]]] = {
    "passed": ("✓", "green"),
    "failed": ("✗", "bold red"),
    "skipped": ("–", "yellow"),
    "note": ("!", "yellow"),
}


@dataclass(frozen=True)
class Finding:
    """Result of a check: what was found, and the command that fixes it.

    A `note` does not stop a stack; for a `skipped` check, `detail` says why it could not run.
    """

    name: str
    verdict: Verdict
    detail: str = ""
    fix: str = ""

    @property
    def failed(self) -> bool:
        """True if `pulumi up`, or the first command after it, would fail."""
        return self.verdict == "failed"


@dataclass(frozen=True)
class CloudCheck(Generic[Cloud]):
    """A check of a cloud; `table` answers from the project's own tables, without asking the cloud."""

    name: str
    look: Callable[[Cloud], Sequence[Finding]]
    table: Callable[[], Finding] | None = None

    def ask(self, cloud: Cloud) -> list[Finding]:
        """Run the check; an expected error becomes a finding."""
        return guarded(self.name, lambda: self.look(cloud))

    def without(self, why: str) -> list[Finding]:
        """Return the finding without asking the cloud."""
        return [self.table() if self.table else Finding(self.name, "skipped", why)]


@dataclass(frozen=True)
class LocalCheck:
    """A check of this machine."""

    name: str
    look: Callable[[], Finding]

    def ask(self) -> list[Finding]:
        """Run the check; an expected error becomes a finding."""
        return guarded(self.name, lambda: [self.look()])


def guarded(name: str, look: Callable[[], Sequence[Finding]]) -> list[Finding]:
    """Return the findings of `look`, or its expected error as one; a bug keeps its traceback."""
    try:
        return list(look())
    except CaffeSparkError as error:
        return [failure(name, error)]


def failure(name: str, error: CaffeSparkError) -> Finding:
    """Convert an expected error to a finding; a missing right that only preflight needs is skipped."""
    # Set only by each cloud's `Denied`.
    optional = bool(getattr(error, "optional", False))
    return Finding(name, "skipped" if optional else "failed", error.why, error.fix)


def show(findings: Sequence[Finding], console: Console) -> None:
    """Print a line for each finding, with its fix, and a line that counts them."""
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
    said = [f"{counts['passed']} passed"]
    said += [f"{counts['failed']} failed"] if counts["failed"] else []
    said += [f"{counts['skipped']} skipped"] if counts["skipped"] else []
    style = "red" if counts["failed"] else "yellow" if counts["skipped"] else "green"
    console.print(f"{', '.join(said)}.", style=style, highlight=False)

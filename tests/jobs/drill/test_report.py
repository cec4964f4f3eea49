"""Reports of drills on the terminal, and their files."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console
from rich.table import Table

from jobs.drill import report
from jobs.drill.record import Plan, Record
from jobs.drill.timeline import Facts
from jobs.drill.verdict import Verdict, verdict
from tests.jobs.drill.recording import by_notice, without_notice

FACTS = Facts("dev", "drill-1", Plan(notice_s=30.0), ("w2",), 2, "shrink", "drill-undisturbed-1")


def shown(table: Table) -> str:
    out = io.StringIO()
    Console(file=out, width=160, color_system=None).print(table)
    return out.getvalue()


def rows(table: Table) -> dict[str, str]:
    """The cells of a table of two columns."""
    names, values = (list(column.cells) for column in table.columns)
    return dict(zip(map(str, names), map(str, values), strict=True))


def judged(record: Record, plan: Plan = FACTS.plan) -> Verdict:
    return verdict(plan, record, accuracy=0.9901, baseline=0.9905)


def test_the_timeline_counts_from_the_interruption() -> None:
    lines = shown(report.moments_table(by_notice())).splitlines()
    assert any(line.split()[:3] == ["+0.0", "w2", "notice:"] for line in lines)
    assert any(line.split()[:2] == ["-30.0", "phase"] for line in lines)
    assert any(line.split()[:3] == ["+2.5", "w2", "training"] for line in lines)


def test_what_is_simulated_is_told_so() -> None:
    lines = shown(report.moments_table(by_notice())).splitlines()
    assert [line.split()[0] for line in lines if "(simulated)" in line] == ["+0.0", "+10.2"]


def test_the_verdict_has_every_figure_and_condition() -> None:
    found = rows(report.verdict_table(FACTS, judged(by_notice())))
    assert found == {
        "interruption": "w2 taken 30 s after a notice",
        "notice to trainer": "2.5 s",
        "notice to snapshot": "4.5 s",
        "iterations lost": "0",
        "loss to training": "4.5 s",
        "loss to full strength": "78.5 s",
        "accuracy": "99.01 %",
        "undisturbed": "99.05 %  drill-undisturbed-1",
        "cost": "0 (this machine)",
        "ok: the job finished": "yes",
        "ok: a snapshot before the node was taken": "25.5 s before",
        "ok: training went on": "yes",
        "ok: no iteration lost": "0 done again",
        "ok: accuracy within 0.3 points": "-0.04 points",
    }


def test_a_verdict_without_a_notice_has_no_figures_of_one() -> None:
    plan = Plan("no-notice")
    facts = Facts("dev", "drill-1", plan, ("w2",), 2, "wait")
    found = rows(report.verdict_table(facts, judged(without_notice(), plan)))
    assert found["interruption"] == "w2 taken without a notice"
    assert "notice to snapshot" not in found
    assert found["ok: from the newest snapshot"] == "50 done again"


def test_a_drill_that_did_not_take_place_fails_in_words() -> None:
    found = rows(report.verdict_table(FACTS, judged(Record(by_notice().events, []))))
    assert found["FAILED: nodes"] == "the job ended before: give it more iterations"
    assert found["loss to full strength"] == "not before the job ended"


def test_both_files_are_named_where_they_lie(tmp_path: Path) -> None:
    said: list[str] = []
    report.write(tmp_path, FACTS, by_notice(), judged(by_notice()), said.append)
    assert said == [f"timeline {tmp_path / 'timeline.json'}", f"picture  {tmp_path / 'timeline.svg'}"]
    assert {path.name for path in tmp_path.iterdir()} == {"timeline.json", "timeline.svg"}
    picture = (tmp_path / "timeline.svg").read_text()
    assert "drill-1: w2 taken 30 s after a notice, 2 executors, simulated cloud" in picture

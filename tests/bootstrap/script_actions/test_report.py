from __future__ import annotations

import io

from rich.console import Console

from bootstrap.script_actions.executions import SHOWN, Persisted, Record
from bootstrap.script_actions.report import table

URI = "wasb://c@account.blob.core.windows.net/script-actions/caffe-0123456789abcdef.sh"


def record(id_: str = "1", *, ok: int = 3, failed: int = 0) -> Record:
    counts = (("COMPLETED", ok), ("FAILED", failed))
    status = "Failed" if failed else "Succeeded"
    return Record(id_, "caffe", URI, status, "", "2026-11-28T17:57:53Z", tuple(c for c in counts if c[1]))


def text(history: list[Record], persisted: list[Persisted]) -> str:
    out = io.StringIO()
    Console(file=out, width=250).print(table(history, persisted))
    return out.getvalue()


def test_each_run_says_how_many_hosts_ended_how() -> None:
    said = text([record(ok=2, failed=1)], [])
    assert "Failed" in said
    assert "2 completed, 1 failed" in said


def test_what_persists_is_marked_by_its_script() -> None:
    assert " yes " in text([record()], [Persisted("caffe", URI, ("headnode",), "")])
    assert " yes " not in text([record()], [Persisted("caffe", f"{URI}.other", ("headnode",), "")])


def test_only_the_newest_runs_are_shown() -> None:
    said = text([record(f"run-{number}-") for number in range(SHOWN + 1)], [])
    assert f"run-{SHOWN - 1}-" in said
    assert f"run-{SHOWN}-" not in said


def test_a_new_cluster_says_what_will_run_one() -> None:
    assert "none yet: `fab build-headnode`" in text([], [])

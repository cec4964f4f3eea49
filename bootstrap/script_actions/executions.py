"""HDInsight's records of script actions: those that persist, their runs, and the outcome on each host.

A run's `debugInformation` is the text of Ambari's request that carried it out: a task for every host, with
its status, exit code, output and the files that hold the whole of it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bootstrap.cluster import HdInsight
from bootstrap.script_actions.action import Execution, HostOutcome

if TYPE_CHECKING:
    from azure.mgmt.hdinsight import HDInsightManagementClient

DONE: Final = "COMPLETED"
"""Ambari's status of a task that exited with 0."""
FAILED: Final = "FAILED"
"""Ambari's status of a task that exited with another code; tasks of other statuses never ended."""
NO_CODE: Final = 999
"""Ambari's exit code of a task that has none."""
LINES: Final = 5
"""Last lines of a host's output that are kept."""
SHOWN: Final = 15
"""Number of runs to show, the newest ones."""
UNNAMED: Final = "a host"
"""Stands for hosts that HDInsight counts without naming."""


@dataclass(frozen=True)
class Persisted:
    """A script action that runs on joining hosts."""

    name: str
    uri: str
    roles: tuple[str, ...]
    parameters: str


@dataclass(frozen=True)
class Record:
    """One run in the cluster's history; `operation` is its cause, e.g. `ScaleUp`."""

    id: str
    name: str
    uri: str
    status: str
    operation: str
    begun: str
    """In UTC, as Azure writes it; in text order."""
    counts: tuple[tuple[str, int], ...]
    """Number of hosts by Ambari's status."""

    @property
    def count(self) -> int:
        """Number of hosts that it reached."""
        return sum(count for _, count in self.counts)

    @property
    def ok(self) -> bool:
        """True when it succeeded on every host that it reached."""
        return self.status == "Succeeded" and all(status == DONE for status, count in self.counts if count)


def list_persisted(client: HDInsightManagementClient, given: HdInsight) -> list[Persisted]:
    """Return the persisted script actions. Callers translate errors, here and below."""
    return [
        Persisted(one.name or "", one.uri or "", tuple(one.roles or ()), one.parameters or "")
        for one in client.script_actions.list_by_cluster(given.resource_group, given.name)
    ]


def list_history(client: HDInsightManagementClient, given: HdInsight) -> list[Record]:
    """Return the runs that the cluster has recorded, the newest first."""
    found = [
        Record(
            id=str(one.script_execution_id),
            name=one.name,
            uri=one.uri,
            status=one.status or "",
            operation=one.operation or "",
            begun=one.start_time or "",
            counts=tuple(
                (part.status or "", part.instance_count or 0) for part in one.execution_summary or ()
            ),
        )
        for one in client.script_execution_history.list_by_cluster(given.resource_group, given.name)
    ]
    return sorted(found, key=lambda record: record.begun, reverse=True)


def outcome(
    client: HDInsightManagementClient, given: HdInsight, record: Record, expected: Sequence[str]
) -> Execution:
    """Return the outcome of a run; `expected` are the names of the hosts that it should have reached."""
    detail = client.script_actions.get_execution_detail(given.resource_group, given.name, record.id)
    text = detail.debug_information or ""
    named = parse_debug_information(text)
    reached = {host.host for host in named}
    unnamed = sum(name not in reached for name in expected) if named else 0
    return Execution(
        id=record.id,
        action=record.name,
        uri=record.uri,
        hosts=tuple(named) if named else _unnamed(record, text),
        missing=max(unnamed, len(expected) - record.count, 0),
    )


def parse_debug_information(text: str) -> list[HostOutcome]:
    """Return the outcome of each host, by name; empty where the text is not Ambari's document."""
    try:
        tasks = [one["Tasks"] for one in json.loads(text)["tasks"]]
        return sorted((_host(task) for task in tasks), key=lambda host: host.host)
    except (ValueError, KeyError, TypeError, AttributeError):
        return []


def _host(task: dict[str, Any]) -> HostOutcome:
    status, code = str(task["status"]), task.get("exit_code")
    ended = status in (DONE, FAILED) and code != NO_CODE
    said = _end(f"{task.get('stdout') or ''}\n{task.get('stderr') or ''}")
    begun, end = task.get("start_time") or 0, task.get("end_time") or 0
    return HostOutcome(
        host=str(task["host_name"]).partition(".")[0],
        exit_code=int(code) if ended and code is not None else None,
        said=said or ("" if status == DONE else status),
        seconds=max(0, end - begun) / 1000,
        log=str(task.get("output_log" if status == DONE else "error_log") or ""),
    )


def _unnamed(record: Record, text: str) -> tuple[HostOutcome, ...]:
    """Return as many hosts as the summary counts; those that failed share the whole text."""
    return tuple(
        HostOutcome(UNNAMED, 0) if status == DONE else HostOutcome(UNNAMED, None, _end(text) or status)
        for status, count in record.counts
        for _ in range(count)
    )


def _end(text: str) -> str:
    return "\n".join([line.rstrip() for line in text.splitlines() if line.strip()][-LINES:])

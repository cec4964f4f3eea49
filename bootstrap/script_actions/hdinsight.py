"""Runner of script actions on an HDInsight cluster, with the outcome on each host.

HDInsight accepts one at a time, only while the cluster is Running, and runs it on the hosts of that moment; a
persisted one also runs on hosts that join later.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from rich.console import Console

from bootstrap.clouds import azure
from bootstrap.cluster import Cluster, ClusterDocument
from bootstrap.errors import ServiceDown, StackError
from bootstrap.framework.progress import clock
from bootstrap.inventory.hdinsight import hosts, service
from bootstrap.script_actions import probe
from bootstrap.script_actions.action import LIMIT_S, Execution, HostOutcome, ScriptAction
from bootstrap.script_actions.executions import (
    UNNAMED,
    Persisted,
    Record,
    list_history,
    list_persisted,
    outcome,
)
from bootstrap.script_actions.failure import ScriptActionFailed, failure

if TYPE_CHECKING:
    from azure.core.polling import LROPoller

POLL: Final = 10.0
MARGIN_S: Final = 300.0
"""Seconds beyond the script's own limit: HDInsight pauses before and after it."""
READY_S: Final = LIMIT_S + MARGIN_S
"""Seconds for a cluster to become Running, after another script action or a change of its size."""
RUNNING: Final = "Running"
BROKEN: Final = frozenset({"Error", "TimedOut", "DeletePending", "Deleting", "Deleted"})
"""States of a cluster that it does not leave by itself."""
LOGS: Final = "custom-scriptaction-logs"
"""Folder of the cluster's own container."""
OK_STATUS: Final = 200
"""HTTP status of the response that reports a failed operation."""


def run(
    cluster: Cluster,
    action: ScriptAction,
    uri: str,
    console: Console,
    *,
    lacking: Callable[[], Sequence[str]] | None = None,
) -> Execution:
    """Run the script at `uri` on all hosts of its roles, unless it is in place on all of them.

    An action of that name that persists with another script is removed before. `lacking` names the nodes
    that have lost what it left (default: those where its probe fails); it is asked where the cluster's
    history says that it is in place, since HDInsight knows what ran on a host, not what became of it.

    Raises:
        ScriptActionFailed: it failed on a host, did not reach one, or did not end in time.
        StackError: there is no such cluster, or it is broken.
        ConfigError: nobody is logged in, or the login lacks a right.
        ServiceDown: the cluster stays busy; Azure refuses, or cannot be reached.
    """
    return _Run(cluster, action, uri, console, lacking or partial(probe.lacking, cluster, action)).go()


def history(cluster: ClusterDocument) -> list[Record]:
    """Return the runs that the cluster has recorded, the newest first.

    Raises:
        StackError, ConfigError, ServiceDown: as for `run`.
    """
    given = service(cluster)
    with azure.translate_errors(f"reading the script actions of {given.name}", cluster.stack):
        return list_history(azure.management(given, azure.FAIL_FAST), given)


def persisted(cluster: ClusterDocument) -> list[Persisted]:
    """Return the script actions that run on joining hosts.

    Raises:
        StackError, ConfigError, ServiceDown: as for `run`.
    """
    given = service(cluster)
    with azure.translate_errors(f"reading the script actions of {given.name}", cluster.stack):
        return list_persisted(azure.management(given, azure.FAIL_FAST), given)


def catch_up(cluster: Cluster, console: Console) -> None:
    """Do nothing: HDInsight runs persisted script actions on hosts that join."""


class _Run:
    """One action on one cluster."""

    def __init__(
        self,
        cluster: Cluster,
        action: ScriptAction,
        uri: str,
        console: Console,
        lacking: Callable[[], Sequence[str]],
    ) -> None:
        self._lacking = lacking
        self._given, self._stack = service(cluster), cluster.stack
        self._action, self._uri, self._console = action, uri, console
        self._what = f"script action {action.name!r} on HDInsight cluster {self._given.name}"
        self._logs = f"{cluster.shared_storage}/{LOGS}/{self._given.name}/"
        self._client = azure.management(self._given, azure.RETRY, poll=POLL)
        self._begun, self._told = time.monotonic(), ""

    def go(self) -> Execution:
        """See `run`."""
        given, client = self._given, self._client
        with azure.translate_errors(f"{self._what}: beginning", self._stack):
            self._wait_until_running()
            there = next(
                (one for one in list_persisted(client, given) if one.name == self._action.name), None
            )
            before = list_history(client, given)
            fits = there is not None and self._persists_so(there)
            done = self._in_place(before) if fits else None
            # Asked last: while the script still ran, its hosts lacked what it leaves.
            if done is not None and not self._lacking():
                self._tell(f"in place on {len(done.hosts)} hosts")
                return done
            if there:
                client.script_actions.delete(given.resource_group, given.name, there.name)
            poller = self._begin()
        with azure.translate_errors(f"{self._what}: waiting; it goes on there", self._stack):
            said = self._wait(poller)
            ran = [one for one in list_history(client, given) if one.name == self._action.name]
            new = [one for one in ran if one.id not in {old.id for old in before}]
            if not new:
                fix = f"Look whether there is a script at {self._uri}, then run the same command again."
                raise ScriptActionFailed(self._what, f"no host has run it: {said or 'nothing says why'}", fix)
            expected = self._expected()
            execution = outcome(client, given, new[0], expected)
        if not execution.ok or said:
            raise failure(self._what, execution, expected, said, self._where_logs_lie())
        self._tell(f"done on {len(execution.hosts)} hosts")
        return execution

    def _expected(self) -> list[str]:
        return [host.name for host in hosts(self._client, self._given, self._action.roles)]

    def _persists_so(self, there: Persisted) -> bool:
        action = self._action
        same = there.uri == self._uri and there.parameters == action.parameters
        return action.persist and same and set(there.roles) == set(action.roles)

    def _in_place(self, before: list[Record]) -> Execution | None:
        """Return the hosts' outcomes where all of them have run it and its last runs succeeded.

        Hosts that joined have had a run of their own, so one run need not have reached all of them.
        """
        expected = self._expected()
        found: dict[str, HostOutcome] = {}
        for record in before:
            if record.name != self._action.name:
                continue
            execution = outcome(self._client, self._given, record, [])
            if record.uri != self._uri or not record.ok or not execution.ok:
                return None
            if any(host.host == UNNAMED for host in execution.hosts):
                return execution if record.count >= len(expected) else None
            found = {**{host.host: host for host in execution.hosts}, **found}
            if set(expected) <= set(found):
                return Execution(record.id, record.name, record.uri, tuple(found[name] for name in expected))
        return None

    def _begin(self) -> LROPoller[None]:
        from azure.mgmt.hdinsight.models import ExecuteScriptActionParameters, RuntimeScriptAction

        action = self._action
        script = RuntimeScriptAction(
            name=action.name, uri=self._uri, roles=list(action.roles), parameters=action.parameters
        )
        self._tell(f"begins on {', '.join(action.roles)}")
        return self._client.clusters.begin_execute_script_actions(
            self._given.resource_group,
            self._given.name,
            ExecuteScriptActionParameters(script_actions=[script], persist_on_success=action.persist),
        )

    def _state(self) -> str:
        found = self._client.clusters.get(self._given.resource_group, self._given.name).properties
        state = (found.cluster_state if found else None) or "Unknown"
        if state in BROKEN:
            errors = (found.errors if found else None) or []
            why = "; ".join(one.message for one in errors if one.message) or "nothing says why"
            raise StackError(
                f"HDInsight cluster {self._given.name}",
                f"it is in state {state}: {why}",
                f"Run `pulumi destroy --stack {self._stack}`, then `pulumi up --stack {self._stack}`.",
            )
        return state

    def _wait_until_running(self) -> None:
        def ready() -> bool:
            state = self._state()
            if state != RUNNING:
                self._tell(f"waits: the cluster is {state}")
            return state == RUNNING

        if not self._until(ready, READY_S):
            raise ServiceDown(
                f"HDInsight cluster {self._given.name}",
                f"it is not {RUNNING} after {clock(READY_S)}: something else changes it",
                f"Run `az hdinsight show --name {self._given.name} --resource-group "
                f"{self._given.resource_group}`, and the same command when that is over.",
            )

    def _wait(self, poller: LROPoller[None]) -> str:
        """Wait for the end and return HDInsight's message of a failure, empty where there is none."""
        from azure.core.exceptions import HttpResponseError

        def ended() -> bool:
            if not poller.done():
                self._tell(f"the cluster is {self._state()}")
            return poller.done()

        try:
            if self._until(ended, LIMIT_S + MARGIN_S, poller.wait):
                poller.result()
                return ""
        except HttpResponseError as error:
            if error.status_code != OK_STATUS:
                raise
            return azure.words_of(error)
        except KeyboardInterrupt:
            self._tell("goes on in the cluster; the same command waits for its end")
            raise
        raise ScriptActionFailed(
            self._what,
            f"it has not ended after {clock(LIMIT_S + MARGIN_S)}, and HDInsight ends a script after "
            f"{clock(LIMIT_S)}",
            f"{self._where_logs_lie()} Then run the same command again, which waits for its end.",
        )

    def _until(
        self, holds: Callable[[], bool], limit: float, pause: Callable[[float], None] = time.sleep
    ) -> bool:
        deadline = time.monotonic() + limit
        while not holds():
            if time.monotonic() > deadline:
                return False
            pause(POLL)
        return True

    def _tell(self, line: str) -> None:
        """Print a line for each change."""
        if line != self._told:
            since = clock(time.monotonic() - self._begun)
            self._console.print(f"{self._action.name}  {since}  {line}", soft_wrap=True, highlight=False)
        self._told = line

    def _where_logs_lie(self) -> str:
        ambari = f"https://{self._given.name}.azurehdinsight.net"
        return f"The whole output: {self._logs}, or {ambari} under run_customscriptaction."

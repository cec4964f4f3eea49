"""Fake Azure Resource Manager on loopback, for the requests to Microsoft.HDInsight that we send.

Paths, headers and documents are those of Azure CLI's recorded tests. A test sets the outcome of script
actions on each host; nothing runs.
"""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
GROUP = "caffe-spark-west"
NAME = "caffe-west"
PROVIDER = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.HDInsight"
DOMAIN = "vdmm42sixvlunhg05pv0mmklvg.ax.internal.cloudapp.net"
PREFIXES = {"headnode": "hn", "workernode": "wn", "zookeepernode": "zk"}
LOST = 999
"""Ambari's exit code of a task that never ended."""


Others = Callable[[str, str, str, Any], tuple[int, Any] | None]
"""Method, path, query and body → status and document, or the text of an HTML page; None for requests that it
does not handle."""


@dataclass
class Task:
    """Outcome of a script on a host, in Ambari's terms."""

    status: str = "COMPLETED"
    exit_code: int = 0
    stdout: str = ""
    stderr: str = ""

    @classmethod
    def fails(cls, code: int, stderr: str) -> Task:
        return cls("FAILED", code, "", stderr)

    @classmethod
    def is_lost(cls) -> Task:
        return cls("TIMEDOUT", LOST, "", "Command timed out: no heartbeat from the host")


@dataclass
class Arm:
    """State of the fake cluster and its responses, which tests change."""

    url: str = ""
    hosts: list[str] = field(
        default_factory=lambda: [
            *("gw0-caffew", "gw1-caffew", "hn0-caffew", "hn1-caffew"),
            *("wn0-caffew", "wn1-caffew", "wn3-caffew", "zk1-caffew", "zk2-caffew", "zk3-caffew"),
        ]
    )
    created: str = "2026-11-30T09:00:00.267"
    state: str = "Running"
    states: list[str] = field(default_factory=list)
    """States returned by the next requests, before `state`."""
    errors: list[str] = field(default_factory=list)
    tasks: dict[str, Task] = field(default_factory=dict)
    """Outcomes by host; success by default."""
    unreached: set[str] = field(default_factory=set)
    """Hosts that a script action leaves out."""
    joining: list[str] = field(default_factory=list)
    """Hosts that join while a script action runs."""
    leaving: set[str] = field(default_factory=set)
    """Hosts that leave before it ends."""
    looks: int = 1
    """Number of polls before an operation ends."""
    stuck: bool = False
    """Operations never end."""
    unfetched: bool = False
    """The resource provider cannot read the script: no host ever runs it."""
    debug: str | None = None
    """Instead of Ambari's document."""
    history: list[dict[str, Any]] = field(default_factory=list)
    persisted: dict[str, dict[str, Any]] = field(default_factory=dict)
    refusals: list[tuple[int, str, str]] = field(default_factory=list)
    """Status, code and text of the next answers."""
    always: tuple[int, str, str] | None = None
    """And of every answer after them."""
    sign_in_page: bool = False
    """Respond with an HTML page, as a captive portal does."""
    page: tuple[int, str] | None = None
    """Respond with this status and HTML page, as a proxy does, or a front end in an outage."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Method and path below the provider, of every request."""
    bodies: list[Any] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    operations: dict[str, dict[str, Any]] = field(default_factory=dict)
    others: Others | None = None
    """Handler with priority over the cluster's: for a subscription, and HDInsight's data about a region."""

    def count(self, method: str, path: str) -> int:
        """Return the number of such requests."""
        return sum(one == (method, path) for one in self.asked)

    def ran(self, name: str, uri: str, hosts: list[str], **tasks: Task) -> dict[str, Any]:
        """Note a run in the history, as Azure would after it."""
        request = {"name": name, "uri": uri, "roles": ["headnode", "workernode"], "parameters": ""}
        return self._record(request, hosts, tasks, "PostClusterCreateScriptActionRequest")

    def of_roles(self, roles: list[str]) -> list[str]:
        return [host for host in self.hosts if any(host.startswith(PREFIXES[role]) for role in roles)]

    # ---- routes

    def cluster(self) -> dict[str, Any]:
        state = self.states.pop(0) if self.states else self.state
        return {
            "id": f"{PROVIDER}/clusters/{NAME}",
            "name": NAME,
            "type": "Microsoft.HDInsight/clusters",
            "location": "West Europe",
            "properties": {
                "clusterVersion": "5.1.3000.0",
                "osType": "Linux",
                "createdDate": self.created,
                "clusterState": state,
                "provisioningState": "Succeeded" if state == "Running" else "InProgress",
                "clusterDefinition": {"kind": "spark", "componentVersion": {"spark": "3.3"}},
                "errors": [{"code": "Broken", "message": text} for text in self.errors],
            },
        }

    def execute(self, body: dict[str, Any]) -> str:
        """Start an operation; return its id."""
        (request,) = body["scriptActions"]
        operation = f"op-{len(self.operations)}-0"
        self.operations[operation] = {"left": self.looks, "request": request, **body}
        return operation

    def look(self, operation: str) -> dict[str, Any]:
        work = self.operations[operation]
        if self.stuck or work["left"] > 0:
            work["left"] -= 1
            return {"status": "InProgress"}
        answer: dict[str, Any] = work.setdefault("answer", self._end(work))
        return answer

    def _end(self, work: dict[str, Any]) -> dict[str, Any]:
        if self.unfetched:
            text = "Unable to download the script from the given URI"
            return {"status": "Failed", "error": {"code": "InvalidScriptUri", "message": text}}
        request = work["request"]
        reached = [host for host in self.of_roles(request["roles"]) if host not in self.unreached]
        record = self._record(request, reached, self.tasks, "PostClusterCreateScriptActionRequest")
        self.hosts = [host for host in [*self.hosts, *self.joining] if host not in self.leaving]
        if record["status"] != "Succeeded":
            text = "Script action failed on one or more hosts"
            return {"status": "Failed", "error": {"code": "ScriptExecutionFailed", "message": text}}
        if work["persistOnSuccess"]:
            self.persisted[request["name"]] = request
        return {"status": "Succeeded"}

    def _record(
        self, request: dict[str, Any], hosts: list[str], told: dict[str, Task], operation: str
    ) -> dict[str, Any]:
        tasks = {host: told.get(host, Task()) for host in hosts}
        statuses = [task.status for task in tasks.values()]
        number = len(self.history) + 1
        record = {
            "scriptExecutionId": 1672829913575960 + number,
            **{"applicationName": None, "parameters": "", **request},
            "startTime": f"2026-11-24T03:{number:02d}:00.5696056Z",
            "endTime": f"2026-11-24T03:{number:02d}:41.8149768Z",
            "status": "Succeeded" if set(statuses) <= {"COMPLETED"} else "Failed",
            "operation": operation,
            "executionSummary": [
                {"status": status, "instanceCount": statuses.count(status)}
                for status in dict.fromkeys(statuses)
            ],
            "debugInformation": self.debug if self.debug is not None else _ambari(tasks),
        }
        self.history.insert(0, record)
        return record


def _ambari(tasks: dict[str, Task]) -> str:
    request = f"http://hn1-caffew.{DOMAIN}:8080/api/v1/clusters/{NAME}/requests/41"
    return json.dumps(
        {
            "href": request,
            "tasks": [
                {
                    "href": f"{request}/tasks/{number}",
                    "Tasks": {
                        "attempt_cnt": 1,
                        "command": "ACTIONEXECUTE",
                        "command_detail": "run_customscriptaction ACTIONEXECUTE",
                        "end_time": 1618889595089,
                        "error_log": f"/var/lib/ambari-agent/data/errors-{number}.txt",
                        "exit_code": task.exit_code,
                        "host_name": f"{host}.{DOMAIN}",
                        "id": str(number),
                        "output_log": f"/var/lib/ambari-agent/data/output-{number}.txt",
                        "role": "run_customscriptaction",
                        "start_time": 1618889565759,
                        "status": task.status,
                        "stderr": task.stderr or None,
                        "stdout": task.stdout or None,
                        "structured_out": None,
                    },
                }
                for number, (host, task) in enumerate(tasks.items(), 106)
            ],
        }
    )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    arm: Arm

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_DELETE(self) -> None:
        self._answer("DELETE")

    def _answer(self, method: str) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        path = urlsplit(self.path).path
        short = path.partition("/providers/Microsoft.HDInsight")[2]
        arm = self.arm
        arm.asked.append((method, short))
        arm.bodies.append(body)
        arm.tokens += [self.headers["Authorization"]] if self.headers["Authorization"] else []
        refusal = arm.refusals.pop(0) if arm.refusals else arm.always
        if arm.sign_in_page:
            self._send(200, b"<html>Sign in to the guests' network</html>", "text/html")
        elif arm.page:
            self._send(arm.page[0], arm.page[1].encode(), "text/html; charset=utf-8")
        elif refusal:
            status, code, text = refusal
            self._json(status, {"error": {"code": code, "message": text}})
        elif arm.others and (said := arm.others(method, path, urlsplit(self.path).query, body)):
            self._json(*said)
        elif not short.startswith(("/locations/", f"/clusters/{NAME}")):
            text = f"The Resource 'Microsoft.HDInsight{short}' under resource group '{GROUP}' was not found."
            self._json(404, {"error": {"code": "ResourceNotFound", "message": text}})
        else:
            self._route(method, short.removeprefix(f"/clusters/{NAME}"), body)

    def _route(self, method: str, path: str, body: Any) -> None:
        arm = self.arm
        if found := re.fullmatch(r"/azureasyncoperations/(.+)", path):
            self._json(200, arm.look(found[1]))
        elif re.fullmatch(r"/operationresults/.+", path):
            self._send(200, b"", "application/json")
        elif found := re.fullmatch(r"/scriptExecutionHistory/(\d+)", path):
            self._json(200, next(one for one in arm.history if str(one["scriptExecutionId"]) == found[1]))
        elif found := re.fullmatch(r"/scriptActions/(.+)", path):
            self._send(200 if arm.persisted.pop(found[1], None) else 404, b"", "application/json")
        elif path == "/executeScriptActions":
            self._execute(body)
        else:
            self._json(200, self._document(method, path, body))

    def _document(self, method: str, path: str, body: Any) -> Any:
        arm = self.arm
        last = path.rpartition("/")[2]
        short = [{k: v for k, v in one.items() if k != "debugInformation"} for one in arm.history]
        answers: dict[str, Callable[[], Any]] = {
            "": arm.cluster,
            "listHosts": lambda: [{"name": host, "fqdn": f"{host}.{DOMAIN}"} for host in arm.hosts],
            "scriptActions": lambda: {"value": list(arm.persisted.values())},
            "scriptExecutionHistory": lambda: {"value": short},
            "checkNameAvailability": lambda: {"nameAvailable": body["name"] != NAME},
            "validateCreateRequest": lambda: {
                "validationErrors": [],
                "validationWarnings": [],
                "estimatedCreationDuration": "PT20M",
            },
            "billingSpecs": lambda: {"vmSizes": ["Standard_E8_V3"], "vmSizeFilters": []},
            "usages": lambda: {
                "value": [{"unit": "Count", "currentValue": 8, "limit": 60, "name": {"value": "cores"}}]
            },
            "capabilities": lambda: {"features": [], "versions": {}, "regions": {}},
        }
        return answers[last]()

    def _execute(self, body: dict[str, Any]) -> None:
        arm = self.arm
        if arm.state != "Running" or arm.states:
            text = f"The cluster {NAME} is not in Running state"
            self._json(409, {"error": {"code": "ClusterNotRunning", "message": text}})
        elif body["scriptActions"][0]["name"] in arm.persisted:
            text = "A persisted script action of this name exists"
            self._json(409, {"error": {"code": "ScriptActionExists", "message": text}})
        else:
            operation = arm.execute(body)
            arm.states += ["Accepted", "HdInsightConfiguration"]
            below = f"{arm.url}{PROVIDER}/clusters/{NAME}"
            headers = {
                "Azure-AsyncOperation": f"{below}/azureasyncoperations/{operation}?api-version=2021-06-01",
                "Location": f"{below}/operationresults/{operation}?api-version=2021-06-01",
            }
            self._send(202, b"", "application/json", headers)

    def _json(self, status: int, document: Any) -> None:
        if isinstance(document, str):
            self._send(status, document.encode(), "text/html")
            return
        self._send(status, json.dumps(document).encode(), "application/json; charset=utf-8")

    def _send(self, status: int, data: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(data)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def arm_server() -> Iterator[Arm]:
    """Start the server on a free port of loopback."""
    arm = Arm()
    handler = type("Handler", (_Handler,), {"arm": arm})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    arm.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield arm
    finally:
        # The SDK's thread polls on when its test is over, on connections that outlive the server.
        arm.stuck = False
        server.shutdown()
        thread.join()
        server.server_close()


def closed_port() -> int:
    """Return a port of loopback without a listener, which no other test is given."""
    held = socket.socket()
    held.bind(("127.0.0.1", 0))
    _HELD.append(held)
    return int(held.getsockname()[1])


_HELD: list[socket.socket] = []


__all__ = ["GROUP", "NAME", "SUBSCRIPTION", "Arm", "Task", "arm_server", "closed_port"]

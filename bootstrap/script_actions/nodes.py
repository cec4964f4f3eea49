"""Runner of script actions on our own nodes, in place of HDInsight's agent.

Each node of the roles fetches the script from blob storage and runs it as root, all in parallel, for an hour
at most. Output and exit status are kept on the node; counts and persisted actions in blob storage.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shlex
import time
from dataclasses import asdict, dataclass
from typing import Final

from rich.console import Console

from bootstrap import paths
from bootstrap.cluster import Cluster, ClusterDocument, Node
from bootstrap.engine.script import LOCK_WAIT, RUN, take_lock
from bootstrap.errors import CaffeSparkError, IntegrityError, StackError
from bootstrap.framework.progress import clock
from bootstrap.others_json import json_object
from bootstrap.script_actions import sealed
from bootstrap.script_actions.action import FOLDER, LIMIT_S, Execution, HostOutcome, HostRole, ScriptAction
from bootstrap.script_actions.executions import DONE, FAILED, LINES, SHOWN, Persisted, Record
from bootstrap.script_actions.failure import failure
from bootstrap.script_actions.sealed import Sealed
from bootstrap.ssh.on_all import on_all
from bootstrap.ssh.reconnect import Link
from bootstrap.ssh.remote import TIMED_OUT, connect
from bootstrap.ssh.unit import LOST, Unit
from bootstrap.storage.blob import Blobs

ON_NODE: Final = f"{paths.STATE}/script-actions"
HISTORY: Final = f"{FOLDER}/history"
KILL_GRACE_S: Final = 10
_HEREDOC: Final = "CAFFE_SPARK_ACTION"
_NODES_ROLE: Final[dict[HostRole, str]] = {"headnode": "head", "workernode": "workers"}


def run(
    cluster: Cluster, action: ScriptAction, uri: str, console: Console, *, limit: float = LIMIT_S
) -> Execution:
    """Run the script at `uri` on the nodes of its roles that lack its result.

    Raises:
        ScriptActionFailed: it failed on a node, or a node was lost.
        StackError: the cluster has no node of these roles.
        ConfigError, ServiceDown: blob storage refuses, or does not answer.
    """
    return _Run(cluster, action, uri, console, limit).go()


def history(cluster: ClusterDocument) -> list[Record]:
    """Return the newest runs recorded in blob storage, the newest first.

    Raises:
        ConfigError, StackError, ServiceDown: storage refuses, or does not answer.
    """
    blobs = Blobs.of(cluster)
    # Names begin with the time, so the last are the newest; older ones are not read.
    newest = blobs.list(f"{HISTORY}/")[-SHOWN:]
    # One may be removed meanwhile.
    documents = blobs.read_each(newest)
    found = [record for document in documents if document and (record := _record(document))]
    return sorted(found, key=lambda record: record.begun, reverse=True)


def persisted(cluster: ClusterDocument) -> list[Persisted]:
    """Return the script actions that run on joining nodes. Raises as `history`, and IntegrityError."""
    return [one.action for one in sealed.read(cluster)]


def catch_up(cluster: Cluster, console: Console) -> None:
    """Run persisted actions on the nodes that have not run them. Raises as `run`, and IntegrityError."""
    blobs = Blobs.of(cluster)
    for one, sha256 in sealed.read(cluster):
        path = one.uri.removeprefix(f"{blobs.uri}/")
        script = blobs.read(path)
        if script is None:
            raise StackError(
                one.uri,
                f"the script of the persisted action {one.name!r} is gone",
                f"Run `fab build-headnode --stack {cluster.stack}`, which puts a new one.",
            )
        roles = tuple(role for role in _NODES_ROLE if role in one.roles)
        action = ScriptAction(one.name, script.decode(errors="replace"), roles, one.parameters)
        if action.sha256 != sha256:
            raise IntegrityError(
                one.uri,
                f"its sha256 is {action.sha256}, and the list of persisted actions says {sha256}",
                f"Run `fab build-headnode --stack {cluster.stack}`, which puts a new one.",
            )
        run(cluster, action, one.uri, console)


@dataclass
class _Run:
    """One action on one cluster."""

    cluster: Cluster
    action: ScriptAction
    uri: str
    console: Console
    limit: float

    def __post_init__(self) -> None:
        self._blobs = Blobs.of(self.cluster)
        self._begun = time.time()
        self.id = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime(self._begun))}-{secrets.token_hex(2)}"

    def go(self) -> Execution:
        """See `run`."""
        nodes = self._nodes()
        done = on_all(nodes, self._in_place)
        rest = [node for node, there in zip(nodes, done, strict=True) if not there]
        if not rest:
            self._persist()
            self._tell(f"in place on {len(nodes)} nodes")
            return Execution(
                self.id, self.action.name, self.uri, tuple(HostOutcome(n.name, 0) for n in nodes)
            )
        self._tell(f"runs on {', '.join(node.name for node in rest)}: {self.uri}")
        try:
            outcomes = tuple(on_all(rest, self._on_node))
        except KeyboardInterrupt:
            self._tell("goes on on the nodes; the same command waits for its end")
            raise
        execution = Execution(self.id, self.action.name, self.uri, outcomes)
        self._remember(execution)
        if not execution.ok:
            what = f"script action {self.action.name!r} on stack {self.cluster.stack!r}"
            names = [node.name for node in rest]
            where = f"Each node keeps the whole output in {self._folder}/log."
            raise failure(what, execution, names, "", where)
        self._persist()
        self._tell(f"done on {len(rest)} node{'s' if rest[1:] else ''}")
        return execution

    def _nodes(self) -> list[Node]:
        wanted = {_NODES_ROLE.get(role) for role in self.action.roles}
        head = [self.cluster.head] if "head" in wanted else []
        nodes = [*head, *(self.cluster.workers if "workers" in wanted else ())]
        if not nodes:
            raise StackError(
                f"script action {self.action.name!r} for {', '.join(self.action.roles)}",
                f"stack {self.cluster.stack!r} has no such nodes",
                f"Name of {', '.join(_NODES_ROLE)}.",
            )
        return nodes

    @property
    def _mark(self) -> str:
        """File on a node with the URI of this action's script that succeeded there last."""
        return f"{ON_NODE}/{self.action.name}.uri"

    @property
    def _words(self) -> str:
        return f"{self.uri} {self.action.parameters}".strip()

    @property
    def _key(self) -> str:
        """Key of this script and its parameters: all callers of the same key share one unit on each node."""
        digest = hashlib.sha256(self._words.encode()).hexdigest()
        return f"{self.action.name}-{digest[:16]}"

    @property
    def _folder(self) -> str:
        return f"{ON_NODE}/{self._key}"

    def _in_place(self, node: Node) -> bool:
        test = f"cat {shlex.quote(self._mark)} && {{ {self.action.probe or 'true'}; }}"
        try:
            with connect(self.cluster, node) as remote:
                found = remote.run(test, check=False, timeout=30)
        except CaffeSparkError:
            return False  # running it reports the reason
        return found.ok and found.stdout.strip() == self._words

    def _on_node(self, node: Node) -> HostOutcome:
        begun, lines = time.monotonic(), list[str]()
        folder = self._folder

        def outcome(code: int | None, said: str) -> HostOutcome:
            return HostOutcome(node.name, code, said, round(time.monotonic() - begun, 1), f"{folder}/log")

        try:
            with Link(self.cluster, node) as link:
                unit = Unit(link.remote, f"caffe-spark-action-{self._key}", folder)
                unit.remote.run(f"mkdir -p {shlex.quote(folder)}")
                unit.start(self._script())
                code = unit.follow(lines.append, reconnect=link.reconnect)
        except CaffeSparkError as error:
            return outcome(None, error.why)
        said = "\n".join(line for line in lines if line.strip())
        if code == LOST:
            return outcome(None, f"{_end(said)}\nit was killed, or {node.name} went down".strip())
        if code == TIMED_OUT:
            return outcome(code, f"{_end(said)}\nit ran past the limit of {clock(self.limit)}".strip())
        return outcome(code, _end(said))

    def _script(self) -> str:
        """Return the script for a node: fetch, verify, run, record the success; under the lock of roles."""
        lock = take_lock(
            f"{RUN}/lock",
            waiting="another run is busy on this node; waiting for it",
            busy=f"it is still busy after {clock(LOCK_WAIT)}",
            wait=LOCK_WAIT,
        )
        fetch = f"runuser -u {paths.JOB_USER} -- {paths.HDFS} dfs -cat {shlex.quote(self.uri)}"
        return f"""\
set -u
{paths.LOAD_PROFILE}
{lock}
cd {self._folder}
cat >action <<'{_HEREDOC}'
{fetch} >script 2>fetch || {{ cat fetch >&2; exit 1; }}
echo '{self.action.sha256}  script' | sha256sum -c --quiet - || exit 1
chmod 0700 script
# As HDInsight's agent starts it: root's own environment, and nothing of this one's but a path.
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \\
  ./script {shlex.join(self.action.words)}
{_HEREDOC}
# What the script leaves running, such as a daemon, does not keep the lock.
timeout -k {KILL_GRACE_S} {self.limit:g} sh ./action 9>&-
code=$?
[ $code -ne 0 ] || echo {shlex.quote(self._words)} >{shlex.quote(self._mark)}
exit $code
"""

    def _persist(self) -> None:
        action = self.action
        mine = Persisted(action.name, self.uri, action.roles, action.parameters)
        sealed.update(self.cluster, Sealed(mine, action.sha256), keep=action.persist)

    def _remember(self, execution: Execution) -> None:
        begun = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._begun))
        document = {**asdict(execution), "begun": begun, "persist": self.action.persist}
        self._blobs.write(f"{HISTORY}/{self.id}.json", json.dumps(document, indent=1).encode())

    def _tell(self, line: str) -> None:
        self.console.print(f"{self.action.name:<8} {line}", soft_wrap=True, highlight=False)


def _record(document: bytes) -> Record | None:
    """Return the run that a record tells of; None for other text, since jobs can write there."""
    try:
        found = json_object(document)
        codes = [host["exit_code"] for host in found["hosts"]]
        name, uri, begun = str(found["action"]), str(found["uri"]), str(found["begun"])
        identifier = str(found["id"])
    except (ValueError, TypeError, KeyError):
        return None
    ok = sum(code == 0 for code in codes)
    counts = ((DONE, ok), (FAILED, len(codes) - ok))
    return Record(
        id=identifier,
        name=name,
        uri=uri,
        status="Succeeded" if ok == len(codes) else "Failed",
        operation="PostClusterCreateScriptActionRequest",
        begun=begun,
        counts=tuple((status, count) for status, count in counts if count),
    )


def _end(text: str) -> str:
    return "\n".join(text.splitlines()[-LINES:])

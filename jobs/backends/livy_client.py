"""Client of Livy's batches, through HDInsight's gateway. https://livy.apache.org/docs/latest/rest-api.html"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from bootstrap.cluster import ClusterDocument, HdInsight
from bootstrap.errors import ConfigError, ServiceDown

if TYPE_CHECKING:
    import requests

ANSWER_S: Final = 30.0
LINES: Final = 2000
"""Maximum lines of Livy's log to request."""
BATCHES: Final = 1000
"""Maximum batches to search for a name."""
_NOT_FOUND: Final = 404
_PASSES: Final = 500
"""Statuses from here on are transient: Livy or its head may be restarting behind the gateway."""


class Refused(ServiceDown):
    """Livy or its gateway refused the request; a retry does not help."""


class Forgotten(Refused):
    """Livy has no such batch, or no longer."""


class AnswerLost(ServiceDown):
    """The request may have reached Livy, but its response was lost."""


class Livy:
    """Livy behind a cluster's gateway."""

    def __init__(self, given: HdInsight, stack: str) -> None:
        import requests

        self._given, self._stack, self._url = given, stack, f"{given.gateway}/livy/batches"
        self._session = requests.Session()
        password = given.gateway_password.get_secret_value() if given.gateway_password else ""
        self._session.auth = (given.gateway_user, password)
        # Required by Livy for changes, as protection against cross-site requests.
        self._session.headers["X-Requested-By"] = given.gateway_user

    @classmethod
    def of(cls, cluster: ClusterDocument) -> Livy:
        """Return the client of a cluster; sends no request.

        Raises:
            ConfigError: the cluster has no Livy.
        """
        given = cluster.members
        if not isinstance(given, HdInsight) or not given.gateway or given.gateway_password is None:
            raise ConfigError(
                f"stack {cluster.stack!r}",
                "it has no Livy, which is part of HDInsight",
                f"Leave --livy out: `fab submit --spec FILE --stack {cluster.stack}`.",
            )
        return cls(given, cluster.stack)

    @property
    def name(self) -> str:
        """Name of the HDInsight cluster."""
        return self._given.name

    def submit(self, document: dict[str, Any]) -> int:
        """Submit a batch; return its id.

        Raises:
            ServiceDown: it was refused, or (`AnswerLost`) may have started.
        """
        return int(self._ask("POST", "", json=document)["id"])

    def find(self, name: str, batch: int | None) -> int | None:
        """Return the id of a batch: as recorded, or else by name if Livy still lists it."""
        if batch is not None:
            return batch
        sessions = self._ask("GET", f"?from=0&size={BATCHES}").get("sessions") or []
        return next((int(one["id"]) for one in reversed(sessions) if one.get("name") == name), None)

    def state(self, batch: int) -> str:
        """Return the state (starting, running, success, dead, killed …); empty if Livy forgot the batch."""
        try:
            return str(self._ask("GET", f"/{batch}/state")["state"])
        except Forgotten:
            return ""

    def application(self, batch: int) -> str:
        """Return the YARN application id; empty while there is none."""
        return str(self._ask("GET", f"/{batch}").get("appId") or "")

    def log(self, batch: int) -> list[str]:
        """Return spark-submit's log."""
        return list(self._ask("GET", f"/{batch}/log?from=0&size={LINES}").get("log") or [])

    def kill(self, batch: int) -> None:
        """Kill a batch."""
        self._ask("DELETE", f"/{batch}")

    def by_hand(self, batch: int | None = None) -> str:
        """Return curl commands to inspect a batch (None: all) and to kill it; curl prompts for a password."""
        user, url = self._given.gateway_user, self._url if batch is None else f"{self._url}/{batch}"
        one = f"{url}/N" if batch is None else url
        return (
            f"Look at it with `curl -u {user} {url}`, end it with "
            f"`curl -u {user} -X DELETE -H 'X-Requested-By: {user}' {one}`; "
            f"the password: `pulumi stack output gateway_password --show-secrets --stack {self._stack}`."
        )

    def _ask(self, method: str, path: str, **rest: Any) -> dict[str, Any]:  # noqa: ANN401 - requests'
        with self._translate_errors():
            answer = self._session.request(method, self._url + path, timeout=ANSWER_S, **rest)
            _refuse(answer, self._given)
            found: dict[str, Any] = answer.json() if answer.content else {}
            return found

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        import requests
        from urllib3.exceptions import MaxRetryError

        try:
            yield
        except requests.exceptions.RequestException as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            # MaxRetryError means that no connection was made, so the request was not sent.
            never_sent = bool(error.args) and isinstance(error.args[0], MaxRetryError)
            raise (ServiceDown if never_sent else AnswerLost)(
                self._url,
                f"Livy does not answer ({reason})",
                "Check that the cluster is up and that adminCidrs lets this machine reach its gateway.",
            ) from error


def _refuse(answer: requests.Response, given: HdInsight) -> None:
    if answer.ok:
        return
    if answer.status_code in (401, 403):
        raise Refused(
            given.gateway,
            f"the gateway refuses user {given.gateway_user!r} with the stack's password",
            "If it was changed in the portal, reset it there to the output of `pulumi stack output "
            "gateway_password --show-secrets`.",
        )
    try:
        body = json.dumps(answer.json())
    except ValueError:
        body = " ".join(answer.text.split())
    kind = Forgotten if answer.status_code == _NOT_FOUND else Refused
    raise (AnswerLost if answer.status_code >= _PASSES else kind)(
        given.gateway,
        f"Livy answers {answer.status_code}: {body[:300]}",
        f"Check in Ambari ({given.gateway}) that Spark's Livy runs, then rerun the command.",
    )

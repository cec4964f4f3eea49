"""Livy's batches, by HTTPS through HDInsight's gateway. https://livy.apache.org/docs/latest/rest-api.html"""

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
"""Lines of Livy's log that are asked for at most."""
BATCHES: Final = 1000
"""Batches that are searched for a name."""
_NOT_FOUND: Final = 404
_PASSES: Final = 500
"""From this status on it may be better in a minute: Livy or its head is replaced behind the gateway."""


class Refused(ServiceDown):
    """Livy or its gateway has answered, and asking again changes nothing."""


class Forgotten(Refused):
    """Livy has no such batch (any more)."""


class AnswerLost(ServiceDown):
    """What was asked may have reached Livy."""


class Livy:
    """Livy behind a cluster's gateway."""

    def __init__(self, given: HdInsight, stack: str) -> None:
        import requests

        self._given, self._stack, self._url = given, stack, f"{given.gateway}/livy/batches"
        self._session = requests.Session()
        password = given.gateway_password.get_secret_value() if given.gateway_password else ""
        self._session.auth = (given.gateway_user, password)
        # Livy refuses changes without it: a browser on a foreign page cannot send it.
        self._session.headers["X-Requested-By"] = given.gateway_user

    @classmethod
    def of(cls, cluster: ClusterDocument) -> Livy:
        """The cluster's. Nothing is asked yet.

        Raises:
            ConfigError: it has none.
        """
        given = cluster.members
        if not isinstance(given, HdInsight) or not given.gateway or given.gateway_password is None:
            raise ConfigError(
                f"stack {cluster.stack!r}",
                "it has no Livy: that is HDInsight's",
                f"Leave --livy out: `fab submit-mnist --stack {cluster.stack}`.",
            )
        return cls(given, cluster.stack)

    @property
    def name(self) -> str:
        """The cluster's."""
        return self._given.name

    def submit(self, document: dict[str, Any]) -> int:
        """Begin a batch; its number.

        Raises:
            ServiceDown: it was refused, or (`AnswerLost`) may have begun all the same.
        """
        return int(self._ask("POST", "", json=document)["id"])

    def find(self, name: str, batch: int | None) -> int | None:
        """Return a batch's number if Livy still has it: as it was recorded, else by its name."""
        if batch is not None:
            return batch
        sessions = self._ask("GET", f"?from=0&size={BATCHES}").get("sessions") or []
        return next((int(one["id"]) for one in reversed(sessions) if one.get("name") == name), None)

    def state(self, batch: int) -> str:
        """Return its state, such as starting, running, success, dead, killed; empty when Livy forgot it."""
        try:
            return str(self._ask("GET", f"/{batch}/state")["state"])
        except Forgotten:
            return ""

    def application(self, batch: int) -> str:
        """YARN's id for it; empty while it has none."""
        return str(self._ask("GET", f"/{batch}").get("appId") or "")

    def log(self, batch: int) -> list[str]:
        """What spark-submit wrote."""
        return list(self._ask("GET", f"/{batch}/log?from=0&size={LINES}").get("log") or [])

    def kill(self, batch: int) -> None:
        """End it."""
        self._ask("DELETE", f"/{batch}")

    def by_hand(self, batch: int | None = None) -> str:
        """What to type to look at a batch (none: at all) and to end it; curl asks for the password."""
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
            # It wraps what prevented a connection, and nothing that went wrong on one.
            never_sent = bool(error.args) and isinstance(error.args[0], MaxRetryError)
            raise (ServiceDown if never_sent else AnswerLost)(
                self._url,
                f"Livy does not answer ({reason})",
                "Look whether the cluster is up and whether this machine may reach its gateway (adminCidrs).",
            ) from error


def _refuse(answer: requests.Response, given: HdInsight) -> None:
    if answer.ok:
        return
    if answer.status_code in (401, 403):
        raise Refused(
            given.gateway,
            f"the gateway refuses user {given.gateway_user!r} with the stack's password",
            "Where it was changed in the portal, set it back there, to what `pulumi stack output "
            "gateway_password --show-secrets` says.",
        )
    try:
        said = json.dumps(answer.json())
    except ValueError:
        said = " ".join(answer.text.split())
    kind = Forgotten if answer.status_code == _NOT_FOUND else Refused
    raise (AnswerLost if answer.status_code >= _PASSES else kind)(
        given.gateway,
        f"Livy answers {answer.status_code}: {said[:300]}",
        f"Look on {given.gateway} (Ambari) whether Spark's Livy runs, then the same command again.",
    )

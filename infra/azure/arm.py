"""Azure's management interface by plain requests: what the SDKs that we have do not know.

https://learn.microsoft.com/rest/api/resources
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from azure.core import PipelineClient
from azure.core.exceptions import DecodeError, HttpResponseError
from azure.core.rest import HttpRequest

from bootstrap.clouds import azure

SUBSCRIPTIONS: Final = "2022-12-01"
RESOURCES: Final = "2021-04-01"
STORAGE: Final = "2023-01-01"
PERMISSIONS: Final = "2022-04-01"
HDINSIGHT: Final = "2021-06-01"
"""Versions of the interfaces, each with what is asked of it here."""

Document = dict[str, Any]


@dataclass(frozen=True)
class Arm:
    """Requests and their answers. Failures are the SDK's own: `azure.translate_errors` around them."""

    client: PipelineClient[Any, Any]

    @classmethod
    def of(cls, patience: Mapping[str, Any]) -> Arm:
        """With the operator's own login, which is not looked for before the first request."""
        return cls(azure.resource_manager(patience))

    def get(self, path: str, version: str, **query: str) -> Document:
        """One document."""
        return self._send("GET", path, {**query, "api-version": version})

    def find(self, path: str, version: str) -> Document | None:
        """One document, or None where there is no such thing."""
        try:
            return self.get(path, version)
        except HttpResponseError as error:
            if error.status_code == azure.NOT_FOUND:
                return None
            raise

    def post(self, path: str, version: str, body: Document) -> Document:
        """What is answered to a question that has a body."""
        return self._send("POST", path, {"api-version": version}, body)

    def every(self, path: str, version: str, **query: str) -> Iterator[Document]:
        """The entries of a list, page by page."""
        page = self.get(path, version, **query)
        while True:
            yield from page.get("value", [])
            following = page.get("nextLink")
            if not following:
                return
            page = self._send("GET", following, {})

    def _send(
        self, method: str, path: str, query: Mapping[str, str], body: Document | None = None
    ) -> Document:
        # The token goes where the client was made for, and nowhere else.
        below = path.partition("/subscriptions")
        url = self.client.format_url(f"{below[1]}{below[2]}")
        request = HttpRequest(method, url, params=dict(query) or None, json=body)
        response = self.client.send_request(request)
        response.raise_for_status()
        try:
            found = response.json()
        except ValueError as error:
            raise DecodeError(str(error), response=response) from error
        return found if isinstance(found, dict) else {"value": found}

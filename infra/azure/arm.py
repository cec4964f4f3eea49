"""Client of Azure Resource Manager's REST interface, for calls that the installed SDKs lack.

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
ROLES: Final = "2022-04-01"
NETWORK: Final = "2023-09-01"
IDENTITY: Final = "2023-01-31"
HDINSIGHT: Final = "2021-06-01"
"""API versions, by what is requested."""

Document = dict[str, Any]


@dataclass(frozen=True)
class Arm:
    """Requests to Azure Resource Manager. Errors are the SDK's own: use within `azure.translate_errors`."""

    client: PipelineClient[Any, Any]

    @classmethod
    def of(cls, patience: Mapping[str, Any]) -> Arm:
        """Create a client with the operator's own login, which is not resolved before the first request."""
        return cls(azure.resource_manager(patience))

    def get(self, path: str, version: str, **query: str) -> Document:
        """Return a document."""
        return self._send("GET", path, {**query, "api-version": version})

    def find(self, path: str, version: str) -> Document | None:
        """Return a document, or None if it does not exist."""
        try:
            return self.get(path, version)
        except HttpResponseError as error:
            # A proxy's page of the same status says nothing about the resource.
            if error.status_code == azure.NOT_FOUND and azure.page_of(error) is None:
                return None
            raise

    def post(self, path: str, version: str, body: Document) -> Document:
        """Send a request with a body, and return the answer."""
        return self._send("POST", path, {"api-version": version}, body)

    def list_all(self, path: str, version: str, **query: str) -> Iterator[Document]:
        """Yield the entries of a list, page by page."""
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
        # Send the token only to the endpoint that the client was created for.
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

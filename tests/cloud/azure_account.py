"""Fake Azure subscription for preflight and sweep, behind the server of `tests.cloud.arm`.

Documents have the format of Azure's own API examples.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from tests.cloud.arm import SUBSCRIPTION

TENANT = "11111111-2222-3333-4444-555555555555"
OWNER = {"actions": ["*"], "notActions": []}
CONTRIBUTOR = {
    "actions": ["*"],
    "notActions": ["Microsoft.Authorization/*/Write", "Microsoft.Authorization/*/Delete"],
}
READER = {"actions": ["*/read"], "notActions": []}
SIZES = [
    "Standard_E8_V3",
    "Standard_E16_V3",
    "Standard_E8ads_v5",
    "STANDARD_E32ADS_V5",
    "Standard_A2_v2",
    "Standard_A4_v2",
]
OURS = {"Project": "caffe-spark", "Stack": "demo", "ManagedBy": "pulumi"}

Refusal = tuple[int, str, str]


@dataclass
class Account:
    """Resources visible to a login; `refuse` replaces a response by an error."""

    subscriptions: list[dict[str, Any]] = field(
        default_factory=lambda: [
            {
                "subscriptionId": SUBSCRIPTION,
                "displayName": "Research",
                "state": "Enabled",
                "tenantId": TENANT,
            }
        ]
    )
    permissions: list[dict[str, Any]] = field(default_factory=lambda: [OWNER])
    permissions_on: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """By the id of a resource; those of the subscription where it is not here."""
    roles: dict[str, list[tuple[str, str, str]]] = field(default_factory=dict)
    """Role assignments by scope: (principal, role's id, scope of the assignment)."""
    providers: dict[str, str] = field(default_factory=dict)
    """Registration state by name; registered where it is not here."""
    taken: dict[str, str] = field(default_factory=dict)
    """Names that are taken → Azure's words."""
    usages: dict[str, tuple[int, int]] = field(default_factory=lambda: {"cores": (8, 100)})
    """Name → used, limit."""
    sizes: list[str] = field(default_factory=lambda: list(SIZES))
    encrypting: list[str] = field(default_factory=lambda: list(SIZES))
    filters: list[dict[str, Any]] = field(default_factory=list)
    regions: list[str] = field(default_factory=lambda: ["WEST EUROPE", "EAST US"])
    versions: dict[str, str] = field(default_factory=lambda: {"4.0": "2.4", "5.1": "3.3.1"})
    """HDInsight's → Spark's."""
    errors: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[dict[str, Any]] = field(default_factory=list)
    groups: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Resource groups by id."""
    resources: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Everything else by id."""
    refusals: dict[str, Refusal] = field(default_factory=dict)
    """By a part of the path."""
    pages: dict[str, tuple[int, str]] = field(default_factory=dict)
    """HTML pages with their status, by a part of the path: what a proxy says instead of Azure."""
    page: int = 100
    """Entries of a page of a list."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    validated: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    def refuse(self, part: str, status: int, code: str, text: str) -> None:
        self.refusals[part.lower()] = (status, code, text)

    def group(
        self,
        name: str,
        tags: Mapping[str, str] | None = None,
        location: str = "westeurope",
        sub: str = SUBSCRIPTION,
        state: str = "Succeeded",
    ) -> str:
        id_ = f"/subscriptions/{sub}/resourceGroups/{name}"
        self.groups[id_] = {
            "id": id_,
            "name": name,
            "location": location,
            "tags": dict(OURS if tags is None else tags),
            "properties": {"provisioningState": state},
        }
        return id_

    def add(
        self,
        group: str,
        type_: str,
        name: str,
        tags: Mapping[str, str] | None = None,
        location: str = "westeurope",
        **more: Any,
    ) -> str:
        id_ = f"{group}/providers/{type_}/{name}"
        self.resources[id_] = {
            "id": id_,
            "name": name,
            "type": type_,
            "location": location,
            "tags": dict(OURS if tags is None else tags),
            **more,
        }
        return id_

    def cluster(self, group: str, name: str, workers: int = 3, **more: Any) -> str:
        """A cluster with sizes in the letters in which HDInsight answers."""
        roles = [
            {"name": role, "targetInstanceCount": count, "hardwareProfile": {"vmSize": size}}
            for role, count, size in (
                ("headnode", 2, "standard_e8_v3"),
                ("workernode", workers, "standard_e8_v3"),
                ("zookeepernode", 3, "standard_a2_v2"),
            )
        ]
        properties = {"computeProfile": {"roles": roles}, "quotaInfo": {"coresUsed": 46}}
        return self.add(group, "Microsoft.HDInsight/clusters", name, properties=properties, **more)

    # ---- responses

    def __call__(self, method: str, path: str, query: str, body: Any) -> tuple[int, Any] | None:
        self.asked.append((method, path))
        for part, (status, code, text) in self.refusals.items():
            if part in path.lower():
                return status, {"error": {"code": code, "message": text}}
        for part, page in self.pages.items():
            if part.lower() in path.lower():
                return page
        asked = {key: values[0] for key, values in parse_qs(query).items()}
        if path.endswith("/validateCreateRequest"):
            self.validated.append(body)
        for pattern, answer in self._routes(asked, body).items():
            if re.fullmatch(pattern, path, re.IGNORECASE):
                found: tuple[int, Any] | None = answer(path)
                return found
        return None

    def _routes(self, asked: dict[str, str], body: Any) -> dict[str, Any]:
        one = r"/subscriptions/[^/]+"
        here = rf"{one}/providers/Microsoft.HDInsight/locations/[^/]+"
        return {
            "/subscriptions": lambda _: self._list(self.subscriptions, "/subscriptions", asked),
            one: self._subscription,
            rf"{one}/providers/Microsoft.Authorization/permissions": lambda _: (
                200,
                {"value": self.permissions},
            ),
            rf"{one}/providers/Microsoft.Storage/checkNameAvailability": lambda _: (200, self._free(body)),
            rf"{one}/providers/Microsoft\.[A-Za-z]+": self._provider,
            rf"{here}/checkNameAvailability": lambda _: (200, self._free(body)),
            rf"{here}/usages": lambda _: (200, {"value": self._usages()}),
            rf"{here}/billingSpecs": lambda _: (200, self._specs()),
            rf"{here}/capabilities": lambda _: (200, self._capabilities()),
            rf"{here}/validateCreateRequest": lambda _: (200, self._validation()),
            rf"{one}/resourcegroups": lambda path: self._list(self._tagged(self.groups, path), path, asked),
            rf"{one}/resources": lambda path: self._list(self._tagged(self.resources, path), path, asked),
            rf"{one}/resourceGroups/[^/]+/resources": lambda path: self._list(
                self._inside(path), path, asked
            ),
            rf"{one}/resourceGroups/[^/]+": lambda path: self._one(self.groups, path),
            r"/subscriptions/.+/providers/.+/providers/Microsoft.Authorization/permissions": (
                self._permissions_on
            ),
            r"/subscriptions/.+/providers/.+/providers/Microsoft.Authorization/roleAssignments": (
                lambda path: self._roles(path, asked)
            ),
            rf"{one}/resourceGroups/[^/]+/providers/.+/.+/[^/]+": lambda path: self._one(
                self.resources, path
            ),
        }

    def _permissions_on(self, path: str) -> tuple[int, Any]:
        scope = path.rpartition("/providers/")[0]
        return 200, {"value": self.permissions_on.get(scope, self.permissions)}

    def _roles(self, path: str, asked: dict[str, str]) -> tuple[int, Any]:
        scope = path.rpartition("/providers/")[0]
        principal = asked["$filter"].partition("'")[2].rstrip("'")
        where = "/subscriptions/x/providers/Microsoft.Authorization/roleDefinitions"
        found = [
            {"properties": {"principalId": who, "roleDefinitionId": f"{where}/{role}", "scope": at}}
            for who, role, at in self.roles.get(scope, [])
            if who == principal
        ]
        return 200, {"value": found}

    def _subscription(self, path: str) -> tuple[int, Any]:
        number = path.rpartition("/")[2]
        found = [one for one in self.subscriptions if one["subscriptionId"] == number]
        if found:
            return 200, found[0]
        text = f"The subscription '{number}' could not be found."
        return 404, {"error": {"code": "SubscriptionNotFound", "message": text}}

    def _provider(self, path: str) -> tuple[int, Any]:
        name = path.rpartition("/")[2]
        return 200, {"namespace": name, "registrationState": self.providers.get(name, "Registered")}

    def _free(self, body: Any) -> dict[str, Any]:
        words = self.taken.get(body["name"])
        if words is None:
            return {"nameAvailable": True}
        return {"nameAvailable": False, "reason": "AlreadyExists", "message": words}

    def _usages(self) -> list[dict[str, Any]]:
        return [
            {
                "unit": "Count",
                "currentValue": used,
                "limit": limit,
                "name": {"value": name, "localizedValue": name},
            }
            for name, (used, limit) in self.usages.items()
        ]

    def _specs(self) -> dict[str, Any]:
        return {
            "vmSizes": self.sizes,
            "vmSizesWithEncryptionAtHost": self.encrypting,
            "vmSizeFilters": self.filters,
            "vmSizeProperties": [],
            "billingResources": [],
        }

    def _capabilities(self) -> dict[str, Any]:
        available = [
            {
                "friendlyName": name,
                "displayName": name,
                "isDefault": False,
                "componentVersions": {"Spark": spark},
            }
            for name, spark in self.versions.items()
        ]
        return {
            "versions": {"iaas": {"available": available}},
            "regions": {"iaas": {"available": self.regions}},
            "features": [],
        }

    def _validation(self) -> dict[str, Any]:
        return {
            "validationErrors": self.errors,
            "validationWarnings": self.warnings,
            "estimatedCreationDuration": "PT20M",
        }

    def _tagged(self, there: dict[str, dict[str, Any]], path: str) -> list[dict[str, Any]]:
        scope = path.lower().rpartition("/")[0]
        return [
            one
            for id_, one in there.items()
            if id_.lower().startswith(f"{scope}/") and one["tags"].get("Project") == "caffe-spark"
        ]

    def _inside(self, path: str) -> list[dict[str, Any]]:
        group = path.lower().removesuffix("/resources")
        return [one for id_, one in self.resources.items() if id_.lower().startswith(f"{group}/")]

    def _one(self, there: dict[str, dict[str, Any]], path: str) -> tuple[int, Any]:
        found = next((one for id_, one in there.items() if id_.lower() == path.lower()), None)
        if found is not None:
            return 200, found
        text = f"'{path}' could not be found."
        return 404, {"error": {"code": "ResourceNotFound", "message": text}}

    def _list(self, entries: list[dict[str, Any]], path: str, asked: dict[str, str]) -> tuple[int, Any]:
        start = int(asked.get("$skiptoken", 0))
        end = start + self.page
        page: dict[str, Any] = {"value": entries[start:end]}
        if end < len(entries):
            page["nextLink"] = f"{self.url}{path}?api-version=2021-04-01&$skiptoken={end}"
        return 200, page

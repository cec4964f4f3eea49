"""Plan of an acceptance run: its stack, and its steps with the rows of documents that they raise. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any, Final

MINUTE: Final = 60
TEARDOWN_MINUTES: Final = 45
"""Time that destroying takes at most in the calculation of the price; it is never cut short."""

UNIQUE: Final = ("clusterName", "headAddress")
"""Settings of a source that no second stack can have."""

EMPTIED: Final = "forceDestroy"
STORAGE: Final = frozenset({"storageAccountId", "storageStack"})
"""Settings of a source whose results lie in storage that stays."""

CREATED: Final = "network, roles, storage and machines: `pulumi up`, `pulumi destroy`"
JOINED: Final = "machines join, report, and are found"
COMPILED: Final = "Caffe compiled on the head, and installed on every node"
TRAINED: Final = "jobs, with data, snapshots and results in the cloud's storage"
ASKED: Final = "`fab preflight`, `fab cost`, `fab workers`, `fab sweep`"
"""Rows of the tables of docs/aws.md and docs/azure.md; a test holds them against these documents."""


@dataclass(frozen=True)
class Step:
    """A command with its time limit; `rows` are shown by it, together with the other steps that name them."""

    name: str
    command: tuple[str, ...]
    minutes: int
    rows: tuple[str, ...] = ()
    goes_on: bool = False
    """Later steps run all the same where this one fails."""


@dataclass(frozen=True)
class Cloud:
    """What differs between clouds; `source` is the stack whose file is taken."""

    name: str
    title: str
    source: str
    document: str
    minutes: int
    settings: Mapping[str, Any]

    @property
    def stack(self) -> str:
        """Name of the stack that a run creates and destroys."""
        return f"acceptance-{self.name}"


CLOUDS: Final = {
    cloud.name: cloud
    for cloud in (
        Cloud(
            "aws",
            "AWS",
            "aws-eu-west-1",
            "docs/aws.md",
            120,
            # Where this process is killed, idle machines stop by themselves.
            {
                "idleStop": "30 min",
                "idleStopHead": True,
                "forceDestroy": True,
                "terminationProtection": False,
            },
        ),
        Cloud("azure", "Azure", "azure-west-europe", "docs/azure.md", 180, {"forceDestroy": True}),
    )
}


def settings(cloud: Cloud, given: Mapping[str, Any], cap: Decimal, minutes: int) -> dict[str, Any]:
    """Return the settings of the run's stack: the source's, with the cap and what the teardown needs."""
    hours = Decimal(minutes + TEARDOWN_MINUTES) / MINUTE
    # Up: a cap that is just enough must not be refused for a fraction of a cent.
    per_hour = (cap / hours).quantize(Decimal("0.01"), ROUND_CEILING)
    budget = {"perHour": str(per_hour), "total": str(cap)}
    shared = {key: value for key, value in given.items() if key not in UNIQUE}
    # Storage of somebody else is not the run's to empty, and the setting is refused beside it.
    own = {key: value for key, value in cloud.settings.items() if key != EMPTIED or not STORAGE & set(given)}
    return {**shared, **own, "budget": budget}


def steps(cloud: Cloud) -> tuple[Step, ...]:
    """Return the steps after the stack has been initialized."""
    stack = ("--stack", cloud.stack)
    return (
        Step("preview", ("pulumi", "preview", *stack), 15, (CREATED,)),
        Step("up", ("pulumi", "up", "--yes", "--skip-preview", *stack), 60, (CREATED,)),
        Step("build-headnode", ("fab", "build-headnode", *stack), 75, (JOINED, COMPILED)),
        Step("unchanged", ("pulumi", "preview", "--expect-no-changes", *stack), 15, (CREATED,), goes_on=True),
        Step("workers", ("fab", "workers", *stack), 5, (JOINED, ASKED), goes_on=True),
        Step("doctor", ("fab", "doctor", *stack), 10, (JOINED, COMPILED), goes_on=True),
        Step("submit-mnist", ("fab", "submit-mnist", *stack), 60, (TRAINED,)),
        Step("spent", ("fab", "workers", *stack), 5, (ASKED,), goes_on=True),
    )


def before(cloud: Cloud) -> tuple[Step, ...]:
    """Return the steps that create nothing; between the two, the cap is compared with the prices."""
    stack = ("--stack", cloud.stack)
    return (
        Step("prices", ("fab", "cost", "--refresh", *stack), 10, (ASKED,)),
        Step("preflight", ("fab", "preflight", *stack), 10, (ASKED,)),
    )


def init(cloud: Cloud, secrets_provider: str = "") -> Step:
    """Return the step from which on the stack has a state, and is torn down."""
    by = ("--secrets-provider", secrets_provider) if secrets_provider else ()
    return Step("init", ("pulumi", "stack", "init", cloud.stack, "--no-select", *by), 5)


def evidence(cloud: Cloud) -> Step:
    """Return the step after a failure, while the machines are there."""
    return Step("support-bundle", ("fab", "support-bundle", "--stack", cloud.stack), 15)


def destroy(cloud: Cloud, *, again: bool) -> tuple[Step, ...]:
    """Return the steps of one attempt to destroy the stack; `again` after one that failed."""
    stack = ("--stack", cloud.stack)
    command = ("pulumi", "destroy", "--yes", "--skip-preview", *(("--refresh",) if again else ()), *stack)
    cancel = Step("cancel", ("pulumi", "cancel", "--yes", *stack), 5, goes_on=True)
    return (*((cancel,) if again else ()), Step("destroy", command, 90, (CREATED,)))


def counted(cloud: Cloud) -> tuple[Step, ...]:
    """Return all steps by which rows are shown."""
    return (*before(cloud), *steps(cloud), *destroy(cloud, again=False), sweep(cloud))


def sweep(cloud: Cloud) -> Step:
    """Return the search for leftovers, which must find nothing."""
    return Step("sweep", ("fab", "sweep", "--stack", cloud.stack), 20, (CREATED, ASKED))


def remove(cloud: Cloud) -> Step:
    """Return the removal of the empty stack's state, and of its file."""
    return Step("remove", ("pulumi", "stack", "rm", "--yes", cloud.stack), 5)

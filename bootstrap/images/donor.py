"""The worker that an image is made of: choice, and its stay outside the group's service.

A reboot of a worker in service may be taken for its failure, and be answered by a replacement. On standby,
Auto Scaling neither checks its health nor terminates it; with the desired capacity lowered, it launches none
in its place meanwhile. Read on 2026-11-30:
https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-enter-exit-standby.html
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bootstrap.clouds import aws
from bootstrap.cluster import AutoScalingGroup, Cluster, Node
from bootstrap.errors import CaffeSparkError, ConfigError, StackError
from bootstrap.images import generalize
from bootstrap.images.generalize import Found
from bootstrap.join.user_data import LAUNCH_HOOK

if TYPE_CHECKING:
    from mypy_boto3_autoscaling import AutoScalingClient

    from bootstrap.inventory.autoscaling import Fleet
    from bootstrap.ssh.remote import Connect

POLL: Final = 5.0
MOVING_S: Final = 300.0
"""Seconds for a change of an instance's lifecycle state."""
LOOKING_S: Final = 60.0
"""Seconds for the look at one worker."""
IN_SERVICE, STANDBY, WAITING = "InService", "Standby", "Pending:Wait"

Say = Callable[[str], object]


@dataclass(frozen=True)
class Donor:
    """A ready worker without a running job."""

    node: Node
    instance: str
    found: Found


def choose(cluster: Cluster, fleet: Fleet, worker: str | None, connect: Connect) -> Donor:
    """Return the named worker, or the first one without a running job.

    Raises:
        ConfigError: no ready worker has that name.
        StackError: jobs run on all of them, or no framework is installed.
        Unreachable: it does not answer.
    """
    names = {
        member.report.name: member.instance
        for member in fleet.ready
        if member.report and member.lifecycle == IN_SERVICE
    }
    if worker is not None and worker not in names:
        listed = ", ".join(sorted(names)) or "none"
        raise ConfigError(
            f"--worker {worker}",
            f"it is not a worker that is ready and in service; valid names: {listed}",
            f"Run `fab workers --stack {cluster.stack}`, which lists them.",
        )
    for name in [worker] if worker is not None else sorted(names):
        node = cluster.node(name)
        with connect(cluster, node) as remote:
            found = generalize.found(remote.run(generalize.look(), timeout=LOOKING_S).stdout)
        if found.busy:
            continue
        if not found.framework:
            raise StackError(
                f"worker {name} of stack {cluster.stack!r}",
                "no framework is installed on it, and an image is to have it",
                f"Run `fab build-headnode --stack {cluster.stack}`, then rerun this command.",
            )
        return Donor(node, names[name], found)
    busy = f"a job runs on {worker}" if worker else f"jobs run on all of its {len(names)} ready workers"
    raise StackError(
        f"the workers of stack {cluster.stack!r}",
        busy if names else "none is ready and in service",
        f"Wait for the end (`fab status --stack {cluster.stack}`), then rerun this command.",
    )


class Standby:
    """The stay of a worker on standby."""

    def __init__(self, client: AutoScalingClient, group: AutoScalingGroup, instance: str, stack: str) -> None:
        self._client, self._group, self._instance, self._stack = client, group, instance, stack

    def enter(self) -> None:
        """Put the worker on standby.

        Raises:
            StackError: the group's least size does not let it go, or it does not get there.
            ConfigError, ServiceDown: AWS refuses the request, or cannot be reached.
        """
        with aws.translate_errors(f"putting {self._instance} on standby"):
            (group,) = self._client.describe_auto_scaling_groups(AutoScalingGroupNames=[self._group.name])[
                "AutoScalingGroups"
            ]
            if group["DesiredCapacity"] <= group["MinSize"]:
                raise StackError(
                    f"the workers of stack {self._stack!r}",
                    f"the group has {group['DesiredCapacity']} and may not have fewer (minWorkers), so none "
                    "can leave its service while the image is made",
                    f"Run `pulumi config set minWorkers {group['MinSize'] - 1} --stack {self._stack}` and "
                    "`pulumi up`, then rerun this command.",
                )
            self._client.enter_standby(
                AutoScalingGroupName=self._group.name,
                InstanceIds=[self._instance],
                ShouldDecrementDesiredCapacity=True,
            )
        try:
            self._until(STANDBY)
        except BaseException:
            with suppress(CaffeSparkError):
                self._exit()
            raise

    def leave(self) -> None:
        """Put the worker back into service, by which the desired capacity rises again.

        Raises:
            StackError: it does not get there.
            ConfigError, ServiceDown: AWS refuses the request, or cannot be reached.
        """
        self._exit()
        self._until(IN_SERVICE)

    def replace(self, say: Say) -> None:
        """End a worker that is none any more; the group launches another one. A failure is said."""
        try:
            self._exit()
        except CaffeSparkError as error:
            say(f"{self._instance} does not leave standby: {error.why}")
        try:
            with aws.translate_errors(f"terminating {self._instance}"):
                self._client.terminate_instance_in_auto_scaling_group(
                    InstanceId=self._instance, ShouldDecrementDesiredCapacity=False
                )
            say(f"{self._instance} is terminated, and the group launches another worker")
        except CaffeSparkError as error:
            say(
                f"{self._instance} still costs money: {error.why}. Run `aws ec2 terminate-instances "
                f"--instance-ids {self._instance} --region {self._group.region}`."
            )

    def _exit(self) -> None:
        with aws.translate_errors(f"putting {self._instance} back into service"):
            self._client.exit_standby(AutoScalingGroupName=self._group.name, InstanceIds=[self._instance])

    def _until(self, wanted: str) -> None:
        deadline = time.monotonic() + MOVING_S
        while True:
            with aws.translate_errors(f"reading the state of {self._instance}"):
                listed = self._client.describe_auto_scaling_instances(InstanceIds=[self._instance])
                found = listed["AutoScalingInstances"]
                state = found[0]["LifecycleState"] if found else "gone"
                if state == wanted:
                    return
                if state == WAITING:
                    # It has joined already: the hook, which machines complete as they join, has nothing to
                    # wait for. Whether it runs for an instance that comes from standby is not settled.
                    self._client.complete_lifecycle_action(
                        LifecycleHookName=LAUNCH_HOOK,
                        AutoScalingGroupName=self._group.name,
                        InstanceId=self._instance,
                        LifecycleActionResult="CONTINUE",
                    )
            if not found or time.monotonic() > deadline:
                raise StackError(
                    f"worker {self._instance} of stack {self._stack!r}",
                    f"it is {state} in its Auto Scaling group, and not {wanted} after {MOVING_S:.0f} s",
                    f"Run `fab workers --stack {self._stack}`.",
                )
            time.sleep(POLL)

"""`fab bake-image`: an image of a ready worker, pinned as the stack's `workerAmi`; removal of older ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console

from bootstrap import strict_yaml
from bootstrap.cluster import AutoScalingGroup, ClusterDocument, HdInsight
from bootstrap.console import print_line
from bootstrap.errors import CaffeSparkError, ConfigError, StackError
from bootstrap.images import generalize, image
from bootstrap.images.donor import Donor, Say, Standby, choose
from bootstrap.inventory.stack import ask
from bootstrap.ssh import remote as ssh

if TYPE_CHECKING:
    from bootstrap.ssh.remote import Connect

SETTING: Final = "caffe-spark:workerAmi"
CLEANING_S: Final = 300.0
REJOINING_S: Final = 1800.0
"""Seconds for the reboot, and for the worker to join as a new machine does."""
POLL: Final = 10.0

Pin = Callable[[str], object]
"""Writes an image's id into the stack's file."""


def group_of(document: ClusterDocument) -> AutoScalingGroup:
    """Return the group whose workers an image can be made of.

    Raises:
        ConfigError: the stack's workers boot from no image of its own, with the reason.
    """
    match document.members:
        case AutoScalingGroup() as group:
            return group
        case HdInsight():
            # Microsoft documents script actions to customize nodes, and no way with an image; no page
            # that excludes images was found (2026-11-30):
            # https://learn.microsoft.com/azure/hdinsight/hdinsight-hadoop-customize-cluster-linux
            why = (
                "not possible, because HDInsight boots its nodes from Microsoft's images and takes no custom "
                "one; new nodes run the persisted script actions"
            )
            fix = f"Run `fab script-actions --stack {document.stack}`, which lists these."
        case _:
            why = "its nodes are containers, whose base image `pulumi up` makes and keeps"
            fix = "Name a stack on AWS: `fab bake-image --stack NAME`."
    raise ConfigError(f"fab bake-image of stack {document.stack!r}", why, fix)


def bake(
    document: ClusterDocument,
    console: Console,
    *,
    pin: Pin,
    worker: str | None = None,
    connect: Connect = ssh.connect,
) -> image.Image:
    """Make an image of a worker and pin it; the worker is out of service for the minutes of its reboot.

    Raises:
        ConfigError: the stack has no such workers, or AWS refuses a request.
        StackError: no worker is free, it does not join again, or the image cannot be made.
        Unreachable, CommandFailed: the worker does not answer, or its identity cannot be removed.
        ServiceDown: AWS cannot be reached.
    """
    group, stack = group_of(document), document.stack
    # importing boto3 takes a third of a second
    from bootstrap.clouds import aws
    from bootstrap.inventory.autoscaling import look
    from bootstrap.inventory.resolve import completed

    session = aws.session()
    ec2 = session.client("ec2", region_name=group.region, config=aws.RETRY)
    scaling = session.client("autoscaling", region_name=group.region, config=aws.RETRY)

    def say(line: str) -> None:
        print_line(console, f"image    {line}")

    fleet = look(document, group)
    cluster = completed(document, fleet)
    donor = choose(cluster, fleet, worker, connect)
    say(f"of {donor.node.name} ({donor.instance}): on standby, it is rebooted and joins again")
    standby = Standby(scaling, group, donor.instance, stack)
    standby.enter()
    # From here on, whatever happens, the machine is a worker again or ends: on standby it costs money.
    intact, made = True, ""
    try:
        with connect(cluster, donor.node) as remote:
            intact = False
            cleaned = remote.run(generalize.script(), check=False, timeout=CLEANING_S)
        intact = cleaned.exit_code in (generalize.BUSY, generalize.UNSUITABLE)
        if not cleaned.ok:
            raise StackError(
                f"worker {donor.node.name} of stack {stack!r}",
                f"its identity cannot be removed: {cleaned.tail or f'status {cleaned.exit_code}'}",
                f"Run `fab workers --stack {stack}`, then rerun this command.",
            )
        made = image.create(ec2, donor, stack, document.spark)
        say(f"{made} begun; {donor.node.name} reboots")
        _await_join(document, group, donor)
        standby.leave()
    except BaseException:
        _end(standby, donor, say, intact=intact)
        if made:
            say(f"{made} is not pinned; `fab bake-image --remove --stack {stack}` removes it")
        raise
    say(f"{donor.node.name} has joined again, and is in service")
    done = image.wait(ec2, made, stack, say)
    pin(done.id)
    say(f"{done} is workerAmi in Pulumi.{stack}.yaml")
    say(f"Next: `pulumi up --stack {stack}`; workers that are launched from then on boot from it")
    return done


def remove(document: ClusterDocument, console: Console, *, pinned: str) -> int:
    """Remove the stack's images, except the pinned one and those that new workers need; return their number.

    Raises:
        ConfigError: the stack has no such workers, or AWS refuses a request.
        ServiceDown: AWS cannot be reached.
    """
    group, stack = group_of(document), document.stack
    from bootstrap.clouds import aws

    ec2 = aws.session().client("ec2", region_name=group.region, config=aws.RETRY)
    until = f"new workers boot from it until `pulumi up --stack {stack}`"
    kept = dict.fromkeys(image.used(ec2, stack), until)
    kept[pinned] = f"it is workerAmi in Pulumi.{stack}.yaml"
    gone, lines = image.removable(image.listed(ec2, stack), kept)
    for line in lines:
        print_line(console, line)
    for one in gone:
        image.remove(ec2, one)
        print_line(console, f"removed  {one}")
    if not gone:
        print_line(console, f"stack {stack} has no baked image that could be removed")
    return len(gone)


def pinned_image(root: Path, stack: str) -> str:
    """Return the `workerAmi` of the stack's file; empty without one."""
    file = root / f"Pulumi.{stack}.yaml"
    document = strict_yaml.load(file.read_text()) if file.is_file() else None
    return str(((document or {}).get("config") or {}).get(SETTING) or "")


def pin_image(root: Path, stack: str, env: Mapping[str, str], made: str) -> None:
    """Write an image's id into the stack's file, by Pulumi's CLI, which keeps comments.

    Raises:
        StackError: there is no CLI, or it fails.
    """
    done = ask(root, env, "config", "set", "--plaintext", SETTING, made, "--stack", stack)
    if done.returncode != 0:
        last = (done.stderr.strip() or f"status {done.returncode}").splitlines()[-1]
        raise StackError(
            f"Pulumi.{stack}.yaml",
            f"pulumi cannot write it: {last}",
            f"Run `pulumi config set workerAmi {made} --stack {stack}`.",
        )


def _await_join(document: ClusterDocument, group: AutoScalingGroup, donor: Donor) -> None:
    """Wait until the rebooted worker has joined as a new machine: with another host key.

    Raises:
        StackError: it could not, it is gone, or it has not in time.
        ConfigError, ServiceDown: AWS refuses the request, or cannot be reached.
    """
    from bootstrap.inventory.autoscaling import look

    given = f"worker {donor.node.name} ({donor.instance}) of stack {document.stack!r}"
    deadline = time.monotonic() + REJOINING_S
    while True:
        members = {one.instance: one for one in look(document, group).members}
        report = members[donor.instance].report if donor.instance in members else None
        new = report is not None and report.host_key != donor.node.host_key
        if report and new and report.state == "ready":
            return
        if donor.instance not in members:
            why = "its group does not have it any more: AWS has taken it back, or somebody has ended it"
        elif report and new and report.state == "failed":
            why = f"with the image it could not join again: {report.said}"
        elif time.monotonic() > deadline:
            why = f"it has not joined again {REJOINING_S / 60:.0f} min after its reboot"
        else:
            time.sleep(POLL)
            continue
        raise StackError(given, why, f"Run `fab workers --stack {document.stack}`, then rerun this command.")


def _end(standby: Standby, donor: Donor, say: Say, *, intact: bool) -> None:
    """Bring a worker that is as it was back into service, and have any other replaced; failures are said."""
    if not intact:
        standby.replace(say)
        return
    try:
        standby.leave()
    except CaffeSparkError as error:
        say(f"{donor.instance} is not in service again: {error}")

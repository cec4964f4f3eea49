"""Self-provisioning of a machine. Runs as root from user data; standard library only.

    boot join    fetch this machine's script, check its sha256, run it; then the framework; report
    boot watch   leave gracefully when the cloud is about to terminate this machine

Settings are in /etc/caffe-spark/boot.json (see bootstrap.join.user_data.Boot). Whatever is not needed for the
machine's own work, reports above all, is attempted within a limit, and the work goes on without it.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from contextlib import suppress
from typing import Callable, Optional

from bootstrap.join.on_node import aws, notice

IDENTITY = "/etc/caffe-spark/node"
HOST_KEY = "/etc/ssh/ssh_host_ed25519_key.pub"
LOG = "/var/log/caffe-spark-boot.log"
LOCK = "/run/caffe-spark/lock"
CURRENT = "cluster/framework/current.json"
TRIES, PAUSE = 3, 20
SETTLING = 300
"""Seconds in which S3 and Auto Scaling have to take what the machine has to tell them."""
TELLING = 45
"""Seconds of attempts to tell what is not essential."""
KEPT = 1 << 18
"""Bytes of the log that are kept in the bucket."""
SCRIPT_LIMIT = 2700
"""Seconds for a script, whose steps may wait half an hour for another node's."""
KILL_GRACE = 10
"""Seconds between SIGTERM and SIGKILL."""

LEAVING = 70
"""Seconds for executors to end."""
STOPPING = 25
"""Seconds for systemd to stop the worker, which it kills after 20."""
REPORTING = 5
"""Seconds for the lifecycle action, beside the last report. The sum stays within the 110 of the hook."""
RESERVE = 10
"""Seconds of a notice that executors do not get, for what comes after them."""


def run(script: bytes, title: str) -> None:
    """Run an idempotent script with retries; raise its last lines if all attempts fail, or at its limit."""
    os.makedirs(os.path.dirname(LOCK), mode=0o700, exist_ok=True)
    with tempfile.NamedTemporaryFile(suffix=".sh") as file:
        file.write(script)
        file.flush()
        for number in range(1, TRIES + 1):
            say("{}, attempt {} of {}".format(title, number, TRIES))
            start = os.path.getsize(LOG) if os.path.exists(LOG) else 0
            code = locked(file.name)
            if code == 0:
                return
            if code is None:
                break
            if number < TRIES:
                time.sleep(PAUSE)
    with open(LOG, "rb") as log:
        log.seek(start)
        lines = [line for line in log.read().decode(errors="replace").splitlines() if line.strip()][-3:]
    if code is None:
        lines.append("it ran past its limit of {} s and was killed".format(SCRIPT_LIMIT))
    raise RuntimeError("{}: {}".format(title, " | ".join(lines) or "status {}".format(code)))


def locked(file: str) -> Optional[int]:
    """Run a script under the lock that the operator's commands take; None: it was killed at the limit."""
    with open(LOG, "ab") as log:
        # A session of its own, whose processes are killed together: the lock's holder is one of them.
        process = subprocess.Popen(
            ["flock", "-o", LOCK, "sh", file],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        return process.wait(SCRIPT_LIMIT)
    except subprocess.TimeoutExpired:
        kill(process, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(KILL_GRACE)
        kill(process, signal.SIGKILL)
        process.wait()
        return None


def kill(process: "subprocess.Popen[bytes]", number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def say(text: str) -> None:
    with suppress(OSError), open(LOG, "a") as log:
        log.write("{} boot: {}\n".format(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), text))


def attempt(seconds: float, title: str, work: Callable[[], None]) -> None:
    """Attempt what is not essential for at most `seconds`; a failure is only logged.

    In a thread, since a look-up of a name cannot be interrupted.
    """
    wait(begin(title, work), title, seconds)


def begin(title: str, work: Callable[[], None]) -> threading.Thread:
    """Start what is not essential; a failure is only logged."""

    def go() -> None:
        try:
            work()
        except Exception as error:
            say("{}: {}".format(title, error))

    thread = threading.Thread(target=go, daemon=True)
    thread.start()
    return thread


def wait(thread: threading.Thread, title: str, seconds: float) -> None:
    thread.join(seconds)
    if thread.is_alive():
        say("{}: no answer for {} s".format(title, seconds))


def command(seconds: float, *words: str) -> Optional[int]:
    """Run a command for at most `seconds`; None: it was killed, or does not exist."""
    try:
        return subprocess.call(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=seconds)
    except (OSError, subprocess.TimeoutExpired) as error:
        say(str(error))
        return None


def report(state: str, said: str = "", framework: str = "", seconds: float = 0) -> None:
    """Write this machine's report within so many seconds (0: TELLING), unless a later one has begun."""
    _begun[0] += 1
    number = _begun[0]

    def write() -> None:
        if number != _begun[0]:
            return
        identity = {"NODE_NAME": os.uname().nodename, "NODE_ADDRESS": aws.instance("local-ipv4")}
        if os.path.exists(IDENTITY):
            with open(IDENTITY) as file:
                identity.update(dict(line.strip().split("=", 1) for line in file if "=" in line))
        with open(HOST_KEY) as file:
            host_key = " ".join(file.read().split()[:2])
        document = {
            "version": 1,
            "instance": aws.instance("instance-id"),
            "name": identity["NODE_NAME"],
            "address": identity["NODE_ADDRESS"],
            "host_key": host_key,
            "state": state,
            "said": said[-2000:],
            "framework": framework,
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        put("node.json", json.dumps(document).encode())
        say("reported: " + state)

    aws.persist(seconds or TELLING, write)


_begun = [0]


def put(name: str, data: bytes) -> None:
    """Write a file that only this machine may write."""
    key = "cluster/nodes/{}:{}/{}".format(aws.setting("role_id"), aws.instance("instance-id"), name)
    aws.call("s3", aws.stored(key), "PUT", data)


def keep_log() -> None:
    """Copy the log's end to the bucket: the machine may be replaced before anybody reads it."""
    with open(LOG, "rb") as log:
        log.seek(max(0, os.path.getsize(LOG) - KEPT))
        put("boot.log", log.read(KEPT))


def complete(hook: str, result: str) -> None:
    """Complete a lifecycle action of the Auto Scaling group, if the machine belongs to one."""
    group = aws.setting("autoscaling_group")
    if not group:
        return
    query = urllib.parse.urlencode(
        {
            "Action": "CompleteLifecycleAction",
            "AutoScalingGroupName": group,
            "InstanceId": aws.instance("instance-id"),
            "LifecycleActionResult": result,
            "LifecycleHookName": hook,
            "Version": "2011-01-01",
        },
        quote_via=urllib.parse.quote,
    )
    # Refused after a reboot: there is no pending action.
    aws.call("autoscaling", "{}/?{}".format(aws.setting("autoscaling_url"), query))
    say("lifecycle action {}: {}".format(hook, result))


def join() -> int:
    attempt(60, "reporting", lambda: report("booting"))
    try:
        run(aws.fetch(aws.setting("script_key"), aws.setting("sha256")), "provisioning this machine")
        current = aws.persist(SETTLING, lambda: aws.call("s3", aws.stored(CURRENT)))
        framework = ""
        if current is not None and aws.setting("role") == "worker":
            wanted = json.loads(aws.signed(current, CURRENT).decode())
            run(aws.fetch(wanted["script_key"], wanted["sha256"]), "framework " + wanted["key"])
            framework = wanted["key"]
        # Without this report the operator does not know the machine, so it is essential.
        report("ready", framework=framework, seconds=SETTLING)
    except Exception as error:
        reason = str(error) or type(error).__name__
        say("failed: " + reason)
        if aws.setting("role") == "worker":
            # Spark's worker may run: jobs must not get executors here.
            command(STOPPING, "systemctl", "stop", "spark-worker")
        attempt(60, "reporting", lambda: report("failed", reason))
        attempt(60, "keeping the log", lambda: aws.persist(TELLING, keep_log))
        # Leave the hook open: systemd retries, and people may look; on its timeout the machine is replaced.
        return 1
    finish("launch_hook", SETTLING)
    return 0


def finish(hook: str, seconds: float) -> None:
    """Complete the lifecycle action of a hook within so many seconds."""
    name = aws.setting(hook)
    attempt(seconds, "completing", lambda: aws.persist(seconds, lambda: complete(name, "CONTINUE")))


def watch() -> int:
    return leave(notice.await_certain(say))


def leave(found: notice.Notice) -> int:
    say("leaving: " + found.why)
    left = found.at - time.time()
    # A time that has passed is another clock's.
    end = time.monotonic() + (min(LEAVING, left - RESERVE) if left > 0 else LEAVING)
    # First, whatever else fails: training takes its snapshot, and goes on elsewhere.
    attempt(REPORTING, "telling executors", lambda: notice.write(found))
    # With spark.decommission.enabled, Spark's worker migrates its blocks and takes no new executors; tasks
    # that run go on.
    command(REPORTING, "systemctl", "kill", "--kill-who=main", "-s", "PWR", "spark-worker")
    # Nothing waits for it: executors have the time.
    leaving = begin("reporting", lambda: report("leaving", found.why, seconds=LEAVING))
    while time.monotonic() < end and command(REPORTING, "pgrep", "-f", "CoarseGrainedExecutorBackend") == 0:
        time.sleep(1)
    command(STOPPING, "systemctl", "stop", "spark-worker")

    def last() -> None:
        # The earlier one first, if it is on its way.
        leaving.join(1)
        report("left", found.why, seconds=REPORTING - 1)

    reporting = begin("reporting", last)
    finish("terminate_hook", REPORTING)
    wait(reporting, "reporting", REPORTING)
    return 0


if __name__ == "__main__":
    sys.exit({"join": join, "watch": watch}[sys.argv[1]]())

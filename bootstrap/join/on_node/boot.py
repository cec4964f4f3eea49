"""Self-provisioning of a machine. Runs as root from user data; standard library only.

    boot.py join    fetch this machine's script, check its sha256, run it; then the framework; report
    boot.py watch   leave gracefully when the cloud is about to terminate this machine

Settings are in /etc/caffe-spark/boot.json (see bootstrap.join.user_data.Boot). Credentials are those of the
instance role, read from the instance metadata service (IMDSv2) for each request and never stored.
"""

import base64
import datetime
import hashlib
import hmac
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Dict, Optional

SETTINGS = "/etc/caffe-spark/boot.json"
IDENTITY = "/etc/caffe-spark/node"
HOST_KEY = "/etc/ssh/ssh_host_ed25519_key.pub"
LOG = "/var/log/caffe-spark-boot.log"
LOCK = "/run/caffe-spark/lock"
CURRENT = "cluster/framework/current.json"
TRIES, PAUSE = 3, 20
PATIENCE = 900
"""Seconds to wait for files that `pulumi up` is still uploading."""
POLL = 5
LEAVING = 80
"""Seconds for executors to end: the two minutes' notice, less the time of reporting."""


def metadata(path: str, method: str = "GET", headers: Optional[Dict[str, str]] = None) -> Optional[str]:
    """Return a response of the instance metadata service; None for 404."""
    url = "{}/latest/{}".format(setting("metadata"), path)
    # Never through a proxy, which would return its own metadata.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, method=method, headers=headers or {})
    try:
        return str(opener.open(request, timeout=5).read().decode())
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        raise


def instance(path: str) -> str:
    """Return an entry of the instance metadata, by IMDSv2; empty if it does not exist."""
    token = metadata("api/token", "PUT", {"X-aws-ec2-metadata-token-ttl-seconds": "300"})
    return metadata("meta-data/" + path, headers={"X-aws-ec2-metadata-token": token or ""}) or ""


def setting(name: str, _read: Dict[str, str] = {}) -> str:  # read once
    if not _read:
        with open(SETTINGS) as file:
            _read.update(json.load(file))
    return _read[name]


def credentials() -> Dict[str, str]:
    role = instance("iam/security-credentials/").split()[0]
    keys: Dict[str, str] = json.loads(instance("iam/security-credentials/" + role))
    return keys


def call(service: str, url: str, method: str = "GET", body: bytes = b"") -> Optional[bytes]:
    """Send a request signed by Signature Version 4; return the response's bytes, None for 404.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
    """
    keys, parts = credentials(), urllib.parse.urlsplit(url)
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(body).hexdigest()
    headers = {"host": parts.netloc, "x-amz-content-sha256": digest, "x-amz-date": now}
    if keys.get("Token"):
        headers["x-amz-security-token"] = keys["Token"]
    path = urllib.parse.quote(urllib.parse.unquote(parts.path) or "/", safe="/-_.~")
    query = "&".join(sorted(parts.query.split("&"))) if parts.query else ""
    names = ";".join(sorted(headers))
    listed = "".join("{}:{}\n".format(name, headers[name]) for name in sorted(headers))
    canonical = "\n".join([method, path, query, listed, names, digest])
    scope = "/".join([now[:8], setting("region"), service, "aws4_request"])
    text = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + keys["SecretAccessKey"]).encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    headers["authorization"] = "AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={}, Signature={}".format(
        keys["AccessKeyId"], scope, names, hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    )
    address = urllib.parse.urlunsplit((parts.scheme, parts.netloc, path, query, ""))
    request = urllib.request.Request(
        address, data=body if method == "PUT" else None, method=method, headers=headers
    )
    try:
        return bytes(urllib.request.urlopen(request, timeout=60).read())
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        raise RuntimeError(
            "{} {}: {} {}".format(method, url, error.code, error.read().decode()[:400])
        ) from error


def stored(key: str) -> str:
    return "{}/{}".format(setting("bucket_url"), key)


def fetch(key: str, sha256: str, patience: int = PATIENCE) -> bytes:
    """Return a file of the bucket after checking its sha256."""
    end = time.time() + patience
    while True:
        data = call("s3", stored(key))
        if data is not None:
            break
        if time.time() > end:
            raise RuntimeError("{} is not in the bucket after {} s".format(key, patience))
        time.sleep(POLL)
    got = hashlib.sha256(data).hexdigest()
    if got != sha256:
        raise RuntimeError("{} has sha256 {}, expected {}: it is not run".format(key, got, sha256))
    return data


def signed(document: bytes, name: str) -> bytes:
    """Return the payload of a document that the stack's key has signed; see bootstrap.signing."""
    text = json.loads(document.decode())
    payload: bytes = text["payload"].encode()
    with tempfile.TemporaryDirectory() as folder:
        files = {
            "key": setting("signing_key").encode(),
            "signature": base64.b64decode(text["signature"]),
            "message": b"caffe-spark joining\n" + payload,
        }
        for file, data in files.items():
            with open(os.path.join(folder, file), "wb") as out:
                out.write(data)
        command = ["openssl", "dgst", "-sha256", "-verify", "key", "-signature", "signature", "message"]
        done = subprocess.run(  # noqa: PLW1510 - its status is read
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    if done.returncode:
        said = " ".join(done.stdout.decode(errors="replace").split())
        raise RuntimeError("{}: the stack's key has not signed it ({}): it is not obeyed".format(name, said))
    return payload


def run(script: bytes, title: str) -> None:
    """Run an idempotent script with retries; raise its last lines if all attempts fail."""
    os.makedirs(os.path.dirname(LOCK), mode=0o700, exist_ok=True)
    with tempfile.NamedTemporaryFile(suffix=".sh") as file:
        file.write(script)
        file.flush()
        for attempt in range(TRIES):
            say("{}, attempt {} of {}".format(title, attempt + 1, TRIES))
            start = os.path.getsize(LOG) if os.path.exists(LOG) else 0
            # The operator's commands take the same lock.
            with open(LOG, "ab") as log:
                code = subprocess.call(
                    ["flock", "-o", LOCK, "sh", file.name], stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )
            if code == 0:
                return
            if attempt + 1 < TRIES:
                time.sleep(PAUSE)
    with open(LOG, "rb") as log:
        log.seek(start)
        lines = [line for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    raise RuntimeError("{}: {}".format(title, " | ".join(lines[-3:]) or "status {}".format(code)))


def say(text: str) -> None:
    with open(LOG, "a") as log:
        log.write("{} boot: {}\n".format(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), text))


def report(state: str, said: str = "", framework: str = "") -> None:
    """Write this machine's report; only this machine may write to its key."""
    identity = {"NODE_NAME": os.uname().nodename, "NODE_ADDRESS": instance("local-ipv4")}
    if os.path.exists(IDENTITY):
        with open(IDENTITY) as file:
            identity.update(dict(line.strip().split("=", 1) for line in file if "=" in line))
    with open(HOST_KEY) as file:
        host_key = " ".join(file.read().split()[:2])
    identifier = instance("instance-id")
    document = {
        "version": 1,
        "instance": identifier,
        "name": identity["NODE_NAME"],
        "address": identity["NODE_ADDRESS"],
        "host_key": host_key,
        "state": state,
        "said": said[-2000:],
        "framework": framework,
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    key = "cluster/nodes/{}:{}/node.json".format(setting("role_id"), identifier)
    call("s3", stored(key), "PUT", json.dumps(document).encode())
    say("reported: " + state)


def complete(hook: str, result: str) -> None:
    """Complete a lifecycle action of the Auto Scaling group, if the machine belongs to one."""
    group = setting("autoscaling_group")
    if not group:
        return
    query = urllib.parse.urlencode(
        {
            "Action": "CompleteLifecycleAction",
            "AutoScalingGroupName": group,
            "InstanceId": instance("instance-id"),
            "LifecycleActionResult": result,
            "LifecycleHookName": hook,
            "Version": "2011-01-01",
        },
        quote_via=urllib.parse.quote,
    )
    try:
        call("autoscaling", "{}/?{}".format(setting("autoscaling_url"), query))
        say("lifecycle action {}: {}".format(hook, result))
    except (RuntimeError, OSError) as error:
        # After a reboot there is no pending action.
        say("lifecycle action {}: {}".format(hook, error))


def join() -> int:
    report("booting")
    try:
        run(fetch(setting("script_key"), setting("sha256")), "provisioning this machine")
        current = call("s3", stored(CURRENT))
        framework = ""
        if current is not None and setting("role") == "worker":
            wanted = json.loads(signed(current, CURRENT).decode())
            run(fetch(wanted["script_key"], wanted["sha256"]), "framework " + wanted["key"])
            framework = wanted["key"]
    except (RuntimeError, OSError, ValueError, KeyError) as error:
        say("failed: {}".format(error))
        report("failed", str(error))
        # Leave the hook open: systemd retries, and people may look; on its timeout the machine is replaced.
        return 1
    report("ready", framework=framework)
    complete(setting("launch_hook"), "CONTINUE")
    return 0


def notice() -> str:
    """Return the reason why this machine will be terminated, else an empty string."""
    action = instance("spot/instance-action")
    if action:
        return "the cloud reclaims this spot instance: " + re.sub(r"\s+", " ", action)
    if instance("autoscaling/target-lifecycle-state") == "Terminated":
        return "the Auto Scaling group terminates this machine"
    return ""


def watch() -> int:
    while True:
        try:
            why = notice()
        except OSError as error:
            say("metadata: {}".format(error))
            why = ""
        if why:
            return leave(why)
        time.sleep(POLL)


def leave(why: str) -> int:
    say("leaving: " + why)
    report("leaving", why)
    # With spark.decommission.enabled, Spark's worker migrates its blocks and takes no new tasks.
    subprocess.call(["systemctl", "kill", "--kill-who=main", "-s", "PWR", "spark-worker"])
    end = time.time() + LEAVING
    while (
        time.time() < end
        and subprocess.call(["pgrep", "-f", "CoarseGrainedExecutorBackend"], stdout=subprocess.DEVNULL) == 0
    ):
        time.sleep(1)
    subprocess.call(["systemctl", "stop", "spark-worker"])
    report("left", why)
    complete(setting("terminate_hook"), "CONTINUE")
    return 0


if __name__ == "__main__":
    sys.exit({"join": join, "watch": watch}[sys.argv[1]]())

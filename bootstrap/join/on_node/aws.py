"""Requests of a machine to its cloud: instance metadata, signed calls, files that it may trust.

Runs as root on a node; standard library only. Credentials are those of the instance role, read from the
instance metadata service (IMDSv2) for each request and never stored.
"""

import base64
import datetime
import hashlib
import hmac
import http.client
import json
import os
import re
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, Callable, Dict, Optional

SETTINGS = os.environ.get("CAFFE_SPARK_SETTINGS", "/etc/caffe-spark/boot.json")
PATIENCE = 900
"""Seconds to wait for files that `pulumi up` is still uploading, and for rights that IAM still spreads."""
FIRST, PAUSE = 1.0, 15
"""Seconds between two attempts, at first and at most."""
AGAIN = re.compile("403|408|429|5..|400 .*(Throttling|RequestTimeout|ExpiredToken)")
"""Answers that change by themselves; 403 until IAM has spread a new role."""
SILENCE, LIMIT = 60, 600
"""Seconds for a read of an answer, and for an answer altogether."""


class Refusal(RuntimeError):
    """An HTTP error of the cloud."""

    again = False
    """Another attempt may have another answer."""


def persist(seconds: float, work: Callable[[], Any]) -> Any:  # noqa: ANN401 - what `work` returns
    """Return what `work` returns; after a failure, attempt it again for so many seconds, ever more slowly."""
    end, pause = time.monotonic() + seconds, FIRST
    while True:
        try:
            return work()
        except Exception as error:
            if not getattr(error, "again", True) or time.monotonic() + pause > end:
                raise
        time.sleep(pause)
        pause = min(2 * pause, PAUSE)


def metadata(
    path: str, method: str = "GET", headers: Optional[Dict[str, str]] = None, limit: Optional[float] = None
) -> Optional[str]:
    """Return a response of the instance metadata service, within `limit` seconds; None for 404."""
    url = "{}/latest/{}".format(setting("metadata"), path)
    # Never through a proxy, which would return its own metadata.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, method=method, headers=headers or {})
    try:
        with opener.open(request, timeout=5) as answer:
            return whole(answer, url, limit).decode()
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        raise


def whole(
    answer: http.client.HTTPResponse, url: str, limit: Optional[float] = None, most: Optional[int] = None
) -> bytes:
    """Return an answer, which has to end within `limit` seconds (None: LIMIT), and `most` bytes if given."""
    limit = LIMIT if limit is None else limit
    deadline, parts, size = time.monotonic() + limit, [], 0
    while True:
        # Not `read`, in which a server could keep us by a byte now and then.
        part = answer.read1(1 << 16)
        if not part:
            break
        parts.append(part)
        size += len(part)
        if most is not None and size > most:
            raise RuntimeError("{}: the answer has more than {} bytes".format(url, most))
        if time.monotonic() > deadline:
            raise RuntimeError("{}: the answer did not end in {} s".format(url, limit))
    if answer.length:
        raise http.client.IncompleteRead(b"".join(parts), answer.length)
    return b"".join(parts)


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


def call(
    service: str,
    url: str,
    method: str = "GET",
    body: bytes = b"",
    *,
    most: Optional[int] = None,
    more: Optional[Dict[str, str]] = None,
) -> Optional[bytes]:
    """Send a request signed by Signature Version 4, with `more` headers (in lower case); return the
    response's bytes (`most` if given), None for 404.

    Raises:
        Refusal: the service refuses the request.
        RuntimeError, OSError: it does not answer.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
    """
    keys, parts = credentials(), urllib.parse.urlsplit(url)
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(body).hexdigest()
    headers = {"host": parts.netloc, "x-amz-content-sha256": digest, "x-amz-date": now, **(more or {})}
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
    request = urllib.request.Request(address, data=body or None, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=SILENCE) as answer:
            return whole(answer, url, most=most)
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        said = " ".join(error.read(400).decode(errors="replace").split())
        said = "{} {}".format(error.code, said)
        refusal = Refusal("{} {}: {}".format(method, url, said))
        refusal.again = bool(AGAIN.match(said))
        raise refusal from error


def stored(key: str) -> str:
    return "{}/{}".format(setting("bucket_url"), key)


def fetch(key: str, sha256: str) -> bytes:
    """Return a file of the bucket after checking its sha256."""

    def get() -> bytes:
        data = call("s3", stored(key))
        if data is None:
            raise RuntimeError("{} is not in the bucket after {} s".format(key, PATIENCE))
        return data

    data: bytes = persist(PATIENCE, get)
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
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60
        )
    if done.returncode:
        said = " ".join(done.stdout.decode(errors="replace").split())
        raise RuntimeError("{}: the stack's key has not signed it ({}): it is not obeyed".format(name, said))
    return payload

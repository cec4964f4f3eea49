"""Endpoint on loopback with credentials of the jobs' role. Runs as root; standard library only.

Jobs reach no instance metadata, so that they do not get the machine's role. The AWS SDKs of their programs
ask this endpoint in its place, which assumes a role that allows what jobs need, and no more:
https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html

A firewall admits root and the users of shared storage alone (role `job_credentials`). Settings are in the
file that CAFFE_SPARK_SETTINGS names: metadata, region, job_role, sts_url, url.
"""

import calendar
import json
import socket
import sys
import threading
import time
import urllib.parse
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Dict, Optional, Tuple, Union
from xml.etree import ElementTree

from bootstrap.join.on_node import aws

Request = Union[socket.socket, Tuple[bytes, socket.socket]]
"""A connection; the pair is a datagram's, which no HTTP server has."""
DURATION = 3600
"""Seconds that credentials last; a role that assumes another one gets no more:
https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html"""
RETRY = 15
"""Seconds after a failure."""
CHECK = 60
"""Seconds at most between two looks at the clock, which may be set meanwhile."""
PATIENCE = 3
"""Seconds that a request waits for the first credentials; SDKs wait five."""
SILENCE, LIMIT = 5, 10
"""Seconds for a read, and for a connection altogether."""
THREADS = 8


def assumed() -> Dict[str, str]:
    """Return new credentials of the jobs' role, in the form that SDKs expect.

    Raises:
        RuntimeError, OSError: STS or the metadata service refuses or does not answer.
    """
    query = urllib.parse.urlencode(
        {
            "Action": "AssumeRole",
            "DurationSeconds": DURATION,
            "RoleArn": aws.setting("job_role"),
            # By which the account's logs name the machine.
            "RoleSessionName": aws.instance("instance-id"),
            "Version": "2011-06-15",
        },
        quote_via=urllib.parse.quote,
    )
    answer = aws.call("sts", "{}/?{}".format(aws.setting("sts_url"), query))
    document = ElementTree.fromstring(answer or b"<nothing/>")  # noqa: S314 - AWS's, over TLS
    found = document.find(".//{*}Credentials")
    if found is None:
        raise RuntimeError("{} has no credentials in its answer".format(aws.setting("sts_url")))
    names = {"AccessKeyId": "AccessKeyId", "SecretAccessKey": "SecretAccessKey", "SessionToken": "Token"}
    keys = {name: found.findtext("{*}" + given) or "" for given, name in names.items()}
    return {"Code": "Success", **keys, "Expiration": found.findtext("{*}Expiration") or ""}


def seconds(expiration: str) -> float:
    """Return the seconds since 1970 of an Expiration; fractions of a second are dropped."""
    return calendar.timegm(time.strptime(expiration[:19], "%Y-%m-%dT%H:%M:%S"))


class Credentials:
    """Credentials in memory, renewed by one thread when less than half of their time is left."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._document: Dict[str, str] = {}
        self._lifetime = self._expires = 0.0
        self._reason = "the first request to STS has no answer yet"

    def keep(self) -> None:
        """Renew for ever."""
        while True:
            time.sleep(max(0.0, min(self.renew(), CHECK)))

    def renew(self) -> float:
        """Renew the credentials if it is time; return the seconds until it is time again."""
        left = self._expires - time.time() - self._lifetime / 2
        if self._document and left > 0:
            return left
        try:
            document = assumed()
            expires = seconds(document["Expiration"])
        except Exception as error:  # whatever it is: those that are still valid are served
            said = str(error) or type(error).__name__
            print("not renewed: {}".format(said), file=sys.stderr)
            with self._changed:
                self._reason = said
            return RETRY
        with self._changed:
            self._document, self._expires = document, expires
            self._lifetime = max(0.0, expires - time.time())
            self._changed.notify_all()
        print("renewed, until {}".format(document["Expiration"]), file=sys.stderr)
        # Credentials that have expired by this machine's clock must not make STS busy.
        return max(self._lifetime / 2, RETRY)

    def current(self) -> Tuple[Optional[Dict[str, str]], str]:
        """Return valid credentials, or None and the reason why there are none."""
        with self._changed:
            if not self._document:
                self._changed.wait(PATIENCE)
            if self._document and self._expires > time.time():
                return self._document, ""
            expired = "they expired at {}; ".format(self._document["Expiration"]) if self._document else ""
            return None, expired + self._reason


class Server(ThreadingHTTPServer):
    """HTTP server with a limited number of threads, and of seconds for each connection."""

    def __init__(self, address: Tuple[str, int], path: str, credentials: Credentials) -> None:
        self.path, self.credentials = path, credentials
        self._free = threading.BoundedSemaphore(THREADS)
        super().__init__(address, Handler)

    def process_request(self, request: Request, client_address: object) -> None:
        self._free.acquire()
        try:
            super().process_request(request, client_address)
        except BaseException:
            # No thread has started, which would give the place back; the server closes the connection.
            self._free.release()
            raise

    def process_request_thread(self, request: Request, client_address: object) -> None:
        cut = threading.Timer(LIMIT, end, [request])
        cut.daemon = True
        try:
            cut.start()
            super().process_request_thread(request, client_address)
        except RuntimeError:
            # There is no thread for the limit, without which a client could keep its place.
            self.shutdown_request(request)
        finally:
            cut.cancel()
            self._free.release()

    def handle_error(self, request: Request, client_address: object) -> None:
        """A client that went away is no news."""


def end(request: Request) -> None:
    if isinstance(request, socket.socket):
        with suppress(OSError):
            request.shutdown(socket.SHUT_RDWR)


class Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = SILENCE

    def do_GET(self) -> None:
        if self.path != self.server.path:
            self.answer(404, {"code": "NotFound", "message": "this is not the credentials' path"})
            return
        document, reason = self.server.credentials.current()
        if document is None:
            self.answer(503, {"code": "Unavailable", "message": reason})
        else:
            self.answer(200, document)

    def answer(self, status: int, document: Dict[str, str]) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Each program asks several times an hour: not logged."""


def main() -> None:
    url = urllib.parse.urlsplit(aws.setting("url"))
    credentials = Credentials()
    server = Server((url.hostname or "127.0.0.1", url.port or 80), url.path, credentials)
    threading.Thread(target=credentials.keep, daemon=True).start()
    server.serve_forever()


if __name__ == "__main__":
    main()

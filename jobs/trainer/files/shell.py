"""Hadoop's file system shell in a JVM that stays: a command takes milliseconds, not a start of Java.

The node's `hdfs` command runs Py4J's gateway, which Spark brings, so class path, settings and messages are
those of `hdfs dfs`.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from jobs.trainer.files import storage

SPARK = "/opt/spark"
"""Spark on nodes whose environment does not name it."""
PAUSE = 5.0
"""Seconds for the JVM to end when its input does."""


class Shell:
    """`hdfs dfs` for one thread at a time.

    The JVM starts with the first command, and ends with `close`, with this process, or when it does not
    answer; the next command starts another, which reads the node's settings and keys again. Where none
    starts, as with a node's older `hdfs` command, every command is a process of its own.
    """

    def __init__(self) -> None:
        self._jvm: Optional[_Jvm] = None
        self._jar = _py4j()

    def run(self, arguments: List[str]) -> Tuple[int, List[str]]:
        """Run a command of `hdfs dfs`; return its exit status, and the lines that it printed.

        Raises:
            OSError: Java ended, or `hdfs` does not start.
            subprocess.TimeoutExpired: the command took longer than `storage.TIMEOUT` seconds.
        """
        if self._jar is not None and (self._jvm is None or self._jvm.ended):
            self.close()
            try:
                self._jvm = _Jvm(self._jar)
            except OSError as error:
                # Into the executor's log: what is wrong with storage itself, the command says.
                print("{}; each upload starts it".format(error), flush=True)
                self._jar = None
        if self._jvm is None:
            return storage.command(arguments)
        try:
            return self._jvm.run(arguments)
        except (OSError, subprocess.TimeoutExpired):
            self.close()
            raise

    def close(self) -> None:
        """End the JVM, if there is one."""
        jvm, self._jvm = self._jvm, None
        if jvm is not None:
            jvm.close()


class _Jvm:
    """A process of Java with Hadoop's client, and the connection to it."""

    def __init__(self, jar: Path) -> None:
        # Its warnings; read only if it does not start. Nobody would empty a pipe.
        with tempfile.TemporaryFile() as said:
            self._process = subprocess.Popen(
                # It ends when its input does: also when this process is killed.
                [storage.program(), "py4j.GatewayServer", "--enable-auth", "--die-on-broken-pipe", "0"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                env=_environment(jar),
            )
            late = threading.Timer(storage.TIMEOUT, self._process.kill)
            late.start()
            try:
                port, token = _announced(self._process)
                self._connect(port, token)
            except Exception as error:
                self.close()
                said.seek(0)
                lines = said.read().decode(errors="replace").strip().splitlines()
                raise OSError("Java does not stay: {}".format((lines or [str(error)])[-1])) from error
            finally:
                late.cancel()

    def _connect(self, port: int, token: str) -> None:
        from py4j.java_gateway import GatewayParameters, JavaGateway

        parameters = GatewayParameters(
            port=port, auth_token=token, auto_convert=True, read_timeout=storage.TIMEOUT
        )
        self._gateway: Any = JavaGateway(gateway_parameters=parameters)
        java, hadoop = self._gateway.jvm.java, self._gateway.jvm.org.apache.hadoop
        self._out = java.io.ByteArrayOutputStream()
        stream = java.io.PrintStream(self._out, True)
        java.lang.System.setOut(stream)
        java.lang.System.setErr(stream)
        self._shell, self._tools = hadoop.fs.FsShell(hadoop.conf.Configuration()), hadoop.util.ToolRunner

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def run(self, arguments: List[str]) -> Tuple[int, List[str]]:
        from py4j.protocol import Py4JError

        began = time.monotonic()
        try:
            words = self._gateway.new_array(self._gateway.jvm.java.lang.String, len(arguments))
            for index, word in enumerate(arguments):
                words[index] = word
            self._out.reset()
            code = int(self._tools.run(self._shell, words))
            return code & 0xFF, str(self._out.toString()).strip().splitlines()
        except Py4JError as error:
            if time.monotonic() - began >= storage.TIMEOUT:
                raise subprocess.TimeoutExpired(["hdfs", "dfs", *arguments], storage.TIMEOUT) from error
            java = getattr(error, "java_exception", None)
            reason = str(error) if java is None else str(java.toString())
            raise OSError((reason.strip().splitlines() or ["Java ended"])[0]) from error

    def close(self) -> None:
        gateway = getattr(self, "_gateway", None)
        if gateway is not None:
            gateway.close()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        try:
            self._process.wait(PAUSE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _announced(process: "subprocess.Popen[bytes]") -> Tuple[int, str]:
    """Return the gateway's port and token, which it prints when it listens.

    Raises:
        OSError: it ended before.
    """
    lines = iter(process.stdout or ())
    for line in lines:
        if line.strip().isdigit():
            return int(line), next(lines, b"").decode().strip()
    raise OSError("status {}".format(process.wait()))


def _environment(jar: Path) -> Dict[str, str]:
    before = os.environ.get("HADOOP_CLASSPATH")
    path = "{}:{}".format(before, jar) if before else str(jar)
    return {**storage.environment(), "HADOOP_CLASSPATH": path}


def _py4j() -> Optional[Path]:
    """Return Py4J's jar in the node's Spark; None without one."""
    spark = Path(os.environ.get("SPARK_HOME") or SPARK)
    return next(iter(sorted((spark / "jars").glob("py4j-*.jar"))), None)

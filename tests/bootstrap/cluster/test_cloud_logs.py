"""Lines that machines keep to themselves, and the command that prints the others."""

from __future__ import annotations

import re
import secrets

import pytest

from bootstrap.cluster import CloudLogs
from infra.keys import SECRET_BYTES, SecretProvider
from tests.bootstrap.support.test_masking import CREDENTIALS, NEEDED, PEM
from tests.outputs import outputs_of

LOGS = CloudLogs(group="caffe-spark/dev", region="eu-west-1")


def sent(text: str) -> list[str]:
    """Return the lines that the agent sends: those that no expression finds."""
    return [line for line in text.splitlines() if not any(re.search(one, line) for one in LOGS.withheld)]


@pytest.mark.parametrize(("text", "masked"), CREDENTIALS)
def test_of_what_a_bug_report_masks_no_line_is_sent(text: str, masked: str) -> None:
    left = set(masked.splitlines())
    assert [line for line in sent(text) if line not in left] == []


def test_no_line_of_a_private_key_is_sent() -> None:
    assert sent(PEM) == []


@pytest.mark.parametrize(
    "form", ["{}", "secret {}", "spark_secret={}", '"{}"', "a '{}', b", "said: {}.", "x={}&y"]
)
def test_no_line_with_the_stacks_secret_is_sent(form: str) -> None:
    secret = outputs_of(SecretProvider(), purpose="test")["value"]
    assert sent(form.format(secret)) == []


def test_the_stacks_secret_is_known_by_its_length() -> None:
    lengths = {len(secrets.token_urlsafe(SECRET_BYTES)) for _ in range(50)}
    assert len(lengths) == 1
    assert f"{{{lengths.pop()}}}" in LOGS.withheld[0]


@pytest.mark.parametrize(
    "line",
    [
        *(one for one in NEEDED if "host_key" not in one),
        "step 3/41 common: Install Java and Python: changed (12 s)",
        "2026-11-30T17:30:36Z boot: provisioning this machine, attempt 1 of 3",
        "2026-11-30T17:30:36Z boot: failed: provisioning this machine: E: Unable to locate package x",
        f"pyspark-4.3.0.tar has sha256 {'9f86d081' * 8}, expected {'0f86d081' * 8}",
        "26/11/30 17:30:36 WARN TaskSetManager: Lost task 0.0 in stage 1.0 (w1 executor 0): ExecutorLost",
        "\tat org.apache.spark.scheduler.cluster.CoarseGrainedSchedulerBackend.start(CoarseGrained.scala:1)",
        "org.apache.hadoop.fs.s3a.AWSBadRequestException: open s3a://caffe-spark-x/data/mnist: Forbidden",
        '  File "/opt/caffe/python/caffe/pycaffe.py", line 25, in <module>',
        "I1130 17:30:36.000000 1234 solver.cpp:239] Iteration 100 (21.1 iter/s, 4.7s/100 iters), loss = 0.25",
        "Fetched 57.1 MB in 3s (18.4 MB/s)",
        "Selecting previously unselected package openjdk-17-jre-headless:amd64.",
        # The journal's entries, with all their fields.
        '{"MESSAGE":"Started spark-worker.service - Spark worker.","_SYSTEMD_UNIT":"init.scope","_PID":"1",'
        '"_MACHINE_ID":"4c3a1f5e0b9d4c3a1f5e0b9d4c3a1f5e","_BOOT_ID":"5d3a1f5e0b9d4c3a1f5e0b9d4c3a1f5e",'
        '"__CURSOR":"s=0a1b2c3d4e5f60718293a4b5c6d7e8f9;i=1a2b;b=0a1b2c3d4e5f60718293a4b5c6d7e8f9;m=1;t=2;x=3",'
        '"_SOURCE_REALTIME_TIMESTAMP":"1764523836000000","_CMDLINE":"/opt/java -cp /etc/spark"}',
    ],
)
def test_what_people_look_for_is_sent(line: str) -> None:
    assert sent(line) == [line]


def test_the_expressions_are_of_a_syntax_that_the_agent_knows() -> None:
    """RE2 has no look-around, no references, and counts to 1000: https://github.com/google/re2/wiki/Syntax"""
    for one in LOGS.withheld:
        assert not re.search(r"\(\?[=!<P]|\\[1-9ZG]", one), one
        assert all(int(number) <= 1000 for number in re.findall(r"[{,](\d+)\}", one)), one
        assert "(?i)" not in one[1:], "a flag stands at the beginning alone"


def test_the_command_prints_the_logs_of_all_machines_or_of_one() -> None:
    assert LOGS.tail() == "aws logs tail caffe-spark/dev --since 1d --region eu-west-1"
    assert LOGS.tail("i-1") == (
        "aws logs tail caffe-spark/dev --log-stream-name-prefix i-1/ --since 1d --region eu-west-1"
    )

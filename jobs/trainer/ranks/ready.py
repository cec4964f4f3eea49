"""Task on an executor that has registered late: it ends when its node is ready for a rank.

Spark offers a machine that provisions itself as soon as its worker daemon runs, which is minutes before
Caffe is installed; and on YARN also a node whose cloud is about to take it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Any, Iterator, Optional

from jobs.trainer.ranks import notice

PERIOD_S = 1.0
"""Seconds between two looks."""
LIMIT_S = 60.0
"""Seconds for the imports: a busy machine takes ten for what usually takes half a second."""
PROGRAM = "import caffe, caffe_allreduce, caffe_feed"
_WORDS = 300


def wait(_: Any) -> Iterator[int]:  # noqa: ANN401 - an iterator of the partition's values
    """Return when a rank could run here; the executor's log tells what it waits for."""
    before = None
    while True:
        reason = obstacle()
        if reason is None:
            return iter([1])
        if reason != before:
            print("no rank here yet: {}".format(reason), file=sys.stderr, flush=True)
        before = reason
        time.sleep(PERIOD_S)


def obstacle(program: str = PROGRAM) -> Optional[str]:
    """Return why a rank cannot run here now; None: it can.

    In a process of its own: a failed import would leave parts of a module in this one, and Caffe aborts.
    """
    found = notice.read()
    if found is not None:
        return found.why
    path = os.pathsep.join(filter(None, sys.path))
    try:
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONPATH": path, "GLOG_minloglevel": "1"},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)[:_WORDS]
    if done.returncode == 0:
        return None
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    return "".join(lines[-1:])[:_WORDS] or "status {}".format(done.returncode)

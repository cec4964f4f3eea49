"""Leftovers of ended jobs on a node: what a process of the jobs' user left that was killed.

Runs as that user, so it can remove nothing else; standard library only, Python 3.6 or later.

    leftovers.py list      prints a line of JSON for each: path, bytes, what
    leftovers.py remove    removes them, and prints the same lines, with `error` where that failed
    leftovers.py report    prints how many there are, and their bytes; fails if there is any
    leftovers.py watch     removes them as they appear, as a service

A file belongs to a running job, and stays, unless this is certain: no executor of that number runs; no
process has that TMPDIR; or it is older than every process that could have made it. Of these processes the
oldest decides, so a file of an executor that ended early may stay until the last one ends.
"""

import argparse
import glob
import json
import os
import re
import shutil
import stat
import sys
import time
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

GRACE = 60.0
"""Seconds for which a file may lie there before the process that uses it is seen."""
SLACK = 5.0
"""Seconds by which the kernel's clock of processes may be behind that of files."""
EVERY = 15.0
LOGS = ("stdout", "stderr")
"""Files of an executor that stay: Spark itself removes them after a week."""
TEMPORARY = "tmp"
"""Folder below Spark's in which executors have their temporary files."""
_RANDOM, _UUID = "?" * 8, "-".join("?" * length for length in (8, 4, 4, 4, 12))
OLD = (
    *("caffe-spark-" + _RANDOM, "caffe-spark-convert-" + _RANDOM),
    *(name + _UUID for name in ("spark-", "blockmgr-", "faulthandler-")),
)
"""Names in the system's folder for temporary files, where earlier versions had theirs."""
WORKER = "org.apache.spark.deploy.worker.Worker"
DAEMONS = (
    WORKER,
    "org.apache.spark.deploy.master.Master",
    "org.apache.spark.deploy.history.HistoryServer",
    "org.apache.hadoop.yarn.server.resourcemanager.ResourceManager",
    "org.apache.hadoop.yarn.server.nodemanager.NodeManager",
)
"""Classes of processes of that user that belong to no job."""
EXECUTOR = "--executor-id", "--app-id"
SERVICE = "/usr/local/lib/caffe-spark-leftovers.py"
"""Path of this program on a node that has the service, by role `spark`."""

Found = NamedTuple("Found", [("path", str), ("what", str), ("changed", float)])
Process = NamedTuple(
    "Process", [("start", float), ("words", List[str]), ("tmpdir", Optional[str]), ("known", bool)]
)


class Places:
    """Folders that jobs write to, and the files in them that may be leftovers."""

    def __init__(self, state: str, spark: str, tmp: str) -> None:
        self._state, self._spark, self._tmp = state, spark, tmp

    def executors(self) -> Iterator[Tuple[str, str, Found]]:
        """Yield application, executor and a file of its working folder that is no log."""
        for folder in glob.glob(self._spark + "/work/*/*/"):
            application, number = folder.rstrip("/").split("/")[-2:]
            changed = _changed(folder)
            for name in _names(folder):
                if not name.startswith(LOGS) and changed is not None:
                    yield application, number, Found(folder + name, "copies of an ended executor", changed)

    def folders(self) -> Iterator[Found]:
        """Yield the folders of drivers for temporary files, each with the TMPDIR of its processes."""
        of_jobs = ("/jobs/*/work/tmp", "/notebook/work/tmp", "/convert/*/work/tmp")
        for folder in [path for pattern in of_jobs for path in glob.glob(self._state + pattern)]:
            changed = _changed(folder)
            if changed is not None:
                yield Found(folder, "temporary files of an ended driver", changed)

    def temporary(self) -> Iterator[Found]:
        """Yield temporary files of executors, and those where earlier versions had theirs."""
        own, system = self._spark + "/" + TEMPORARY, self._tmp
        for pattern in [own + "/*"] + [system + "/" + name for name in OLD]:
            yield from _own(pattern, "temporary files of an ended process")

    def local(self) -> Iterator[Found]:
        """Yield scratch files of Spark's own processes, its worker among them."""
        yield from _own(self._spark + "/local/*", "scratch files of an ended Spark")


def _own(pattern: str, what: str) -> Iterator[Found]:
    for path in glob.glob(pattern):
        changed = _changed(path)
        if changed is not None:
            yield Found(path, what, changed)


def _changed(path: str) -> Optional[float]:
    """Return when a file or folder of this user has changed; None for another's, or a link."""
    try:
        seen = os.lstat(path.rstrip("/"))
    except OSError:
        return None
    return None if seen.st_uid != os.getuid() or stat.S_ISLNK(seen.st_mode) else seen.st_mtime


def _names(folder: str) -> List[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def processes(proc: str, booted: Optional[float] = None) -> List[Process]:
    """Return this user's processes but this one; `booted` is when the kernel has started, if known better."""
    found: List[Process] = []
    up, hz = boot(proc) if booted is None else booted, os.sysconf("SC_CLK_TCK")
    for folder in glob.glob(proc + "/[0-9]*"):
        if folder.endswith("/{}".format(os.getpid())):
            continue
        try:
            if os.stat(folder).st_uid != os.getuid():
                continue
            start = float(_read(folder + "/stat").rpartition(") ")[2].split()[19])
            words = _read(folder + "/cmdline").split("\0")
        except (OSError, ValueError, IndexError):
            continue
        # One that has ended, and waits for its parent, has none.
        if words != [""]:
            found.append(Process(up + start / hz, words, *_tmpdir(folder)))
    return found


def _tmpdir(folder: str) -> Tuple[Optional[str], bool]:
    """Return TMPDIR of a process, and whether its environment is known."""
    try:
        variables = _read(folder + "/environ").split("\0")
    except OSError:
        return None, False
    named = [text[len("TMPDIR=") :] for text in variables if text.startswith("TMPDIR=")]
    return (named[0] if named else None), True


def boot(proc: str) -> float:
    """Return when the kernel has started, by the clock of now."""
    match = re.search(r"^btime (\d+)", _read(proc + "/stat"), re.MULTILINE)
    if match is None:
        raise OSError("the kernel does not say when it has started")
    return float(match.group(1))


def _read(path: str) -> str:
    with open(path, errors="replace") as file:
        return file.read()


def leftovers(places: Places, proc: str, grace: float, booted: Optional[float] = None) -> List[Found]:
    """Return what belongs to no running process, by its path; `booted` as of `processes`."""
    # Files first: who made them has begun by then.
    executors, folders = list(places.executors()), list(places.folders())
    temporary, local = list(places.temporary()), list(places.local())
    if not (executors or folders or temporary or local):
        return []
    running = processes(proc, booted)
    jobs = [one for one in running if not any(name in one.words for name in DAEMONS) and not _is_service(one)]
    worker = [one for one in running if WORKER in one.words]
    begun = time.time() - grace
    alive = {_executor(one.words) for one in jobs}
    found = [one for app, number, one in executors if (app, number) not in alive and one.changed < begun]
    if all(one.known for one in jobs):
        used = {one.tmpdir for one in jobs}
        found += [one for one in folders if one.path not in used and one.changed < begun]
    found += [one for one in temporary if one.changed < min(begun, _oldest(jobs))]
    found += [one for one in local if one.changed < min(begun, _oldest(jobs + worker))]
    return sorted(found)


def _is_service(process: Process) -> bool:
    """Return whether it is this program as the service runs it: other words may be a job's name."""
    return process.words[1:3] == [SERVICE, "watch"]


def _executor(words: List[str]) -> Tuple[str, str]:
    number, application = (words[words.index(flag) + 1] if flag in words[:-1] else "" for flag in EXECUTOR)
    return application, number


def _oldest(running: List[Process]) -> float:
    return min([process.start for process in running], default=float("inf")) - SLACK


def size(path: str) -> int:
    """Return the bytes of disk that a file or folder takes."""
    seen: Set[Tuple[int, int]] = set()
    total = 0
    for file in [path] + [os.path.join(at, name) for at, _, names in os.walk(path) for name in names]:
        try:
            status = os.lstat(file)
        except OSError:
            continue
        if (status.st_dev, status.st_ino) not in seen:
            seen.add((status.st_dev, status.st_ino))
            total += status.st_blocks * 512
    return total


def remove(path: str) -> None:
    """Remove a file or folder; links are removed, not followed."""
    try:
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)
    except FileNotFoundError:
        pass


def sweep(found: List[Found], removing: bool) -> Iterator[Dict[str, Any]]:
    """Yield a description of each leftover, after its removal where that is asked for."""
    for one in found:
        told: Dict[str, Any] = {"path": one.path, "bytes": size(one.path), "what": one.what}
        if removing:
            try:
                remove(one.path)
            except OSError as error:
                told["error"] = str(error)
        yield told


def report(found: List[Found]) -> str:
    """Return a line that says how much is left, and what of it is largest."""
    sizes = sorted(((size(one.path), one.path) for one in found), reverse=True)
    total = sum(taken for taken, _ in sizes)
    number = "{} leftovers take".format(len(sizes)) if len(sizes) > 1 else "1 leftover takes"
    return "{} {:.1f} MB, the largest is {}".format(number, total / 1e6, sizes[0][1])


def main(argv: List[str]) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=("list", "remove", "report", "watch"))
    parser.add_argument("--state", default="/var/lib/caffe-spark")
    parser.add_argument("--spark", default="/var/lib/spark")
    parser.add_argument("--tmp", default="/tmp")  # noqa: S108 - the system's
    parser.add_argument("--proc", default="/proc")
    parser.add_argument("--grace", type=float, default=GRACE)
    options = parser.parse_args(argv)
    places = Places(options.state, options.spark, options.tmp)
    booted = boot(options.proc)
    while True:
        # A clock that is set forward moves the start of processes, and not the times of their files.
        booted = min(booted, boot(options.proc))
        found = leftovers(places, options.proc, options.grace, booted)
        if options.mode == "report":
            print(report(found) if found else "none")
            return int(bool(found))
        for told in sweep(found, options.mode != "list"):
            print(json.dumps(told), flush=True)
        if options.mode != "watch":
            return 0
        time.sleep(EVERY)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

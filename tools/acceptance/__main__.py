"""Command line of an acceptance run: `make acceptance-aws`, `make acceptance-azure` (docs/acceptance.md)."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bootstrap.errors import CaffeSparkError, ConfigError
from bootstrap.money import usd
from tools.acceptance import limits, plan
from tools.acceptance.plan import CLOUDS, Cloud
from tools.acceptance.report import report
from tools.acceptance.run import REFUSED, Run, accept, log_folder, signals, tear_down
from tools.acceptance.steps import Runner, say
from tools.environment import ROOT, environment


def main(arguments: Sequence[str], root: Path = ROOT) -> int:
    """Run the command line; see the package's docstring."""
    parser = argparse.ArgumentParser(prog="python -m tools.acceptance")
    parser.add_argument("cloud", choices=list(CLOUDS))
    parser.add_argument(
        "--source", help="stack whose file is taken; default: the project's own for that cloud"
    )
    parser.add_argument("--minutes", type=int, help="time limit of all but the teardown")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--dry-run", action="store_true", help="print the plan and the estimate; create nothing"
    )
    what.add_argument("--destroy", action="store_true", help="tear down what a killed run has left")
    options = parser.parse_args(arguments)
    cloud = CLOUDS[options.cloud]
    try:
        minutes = limits.minutes_of(options.minutes or cloud.minutes)
        source = options.source or cloud.source
        if options.destroy:
            return destroy(root, cloud, minutes)
        return (
            dry_run(root, cloud, source, minutes) if options.dry_run else start(root, cloud, source, minutes)
        )
    except CaffeSparkError as error:
        print(error, file=sys.stderr)
        return REFUSED


def start(root: Path, cloud: Cloud, source: str, minutes: int) -> int:
    """Run on the account, and write the report."""
    cap = limits.cap_of(os.environ, cloud)
    limits.require_no_earlier_run(root, cloud)
    now = time.time()
    folder = log_folder(root, cloud, now)
    runner = Runner(root, folder, environment(root, os.environ))
    run, most = Run(cloud, minutes), None

    def check() -> None:
        nonlocal most
        most = limits.require_within(limits.bill_of(root, cloud), cloud, cap, minutes)
        say(f"price    at most {usd(most)} USD, within the cap of {cap} USD")

    try:
        limits.write_stack(root, cloud, source, cap, minutes)
        run.secrets_provider = limits.secrets_provider_of(root, source)
        code = accept(run, runner, root, check=check)
    finally:
        if run.outcomes:
            write(run, root, folder, report(run, root, now=now, cap=cap, most=most))
    return code


def destroy(root: Path, cloud: Cloud, minutes: int) -> int:
    """Tear down the stack of a run that was killed.

    Raises:
        ConfigError: there is none.
    """
    file = limits.file_of(root, cloud.stack)
    if not file.exists():
        raise ConfigError(
            file.name, "no run has left it", f"Run `fab sweep --stack {cloud.stack}` to make sure."
        )
    now = time.time()
    folder = log_folder(root, cloud, now)
    run, runner = Run(cloud, minutes), Runner(root, folder, environment(root, os.environ))
    with signals(runner, run):
        tear_down(run, runner)
    if not run.left:
        file.unlink(missing_ok=True)
    write(run, root, folder, report(run, root, now=now, cap=None, most=None))
    return run.code


def dry_run(root: Path, cloud: Cloud, source: str, minutes: int) -> int:
    """Print what a run would do, and what it may cost by the price table; nothing is asked of the cloud.

    Raises:
        ConfigError: the source's settings are not valid, or the cap would not be enough.
    """
    limits.require_no_earlier_run(root, cloud)
    given = os.environ.get(limits.CAP)
    cap = limits.cap_of(os.environ, cloud) if given else limits.ANY
    try:
        file = limits.write_stack(root, cloud, source, cap, minutes)
        bill = limits.bill_of(root, cloud)
        if not given and not bill.missing:
            limits.write_stack(root, cloud, source, limits.enough(bill, minutes), minutes)
        print(f"{file.name}, from {limits.file_of(root, source).name}:\n")
        print("".join(f"    {line}\n" for line in file.read_text().splitlines()))
    finally:
        limits.file_of(root, cloud.stack).unlink(missing_ok=True)
    print(f"price    {bill.total_text}")
    if not bill.missing:
        print(
            f"         {minutes} min and {plan.TEARDOWN_MINUTES} for the teardown: at most "
            f"{usd(limits.most(bill, minutes))} USD; {limits.CAP} is {given or 'not set'}"
        )
    for title, steps in (
        ("creates nothing", plan.before(cloud)),
        ("from here on the teardown follows, whatever happens", (plan.init(cloud), *plan.steps(cloud))),
        ("teardown", (*plan.destroy(cloud, again=False), plan.sweep(cloud), plan.remove(cloud))),
    ):
        print(f"\n{title}:")
        for step in steps:
            print(f"    {shlex.join(step.command):<72} {step.minutes:>3} min")
    print(f"\nrows of {cloud.document} that a run raises:")
    print(
        "".join(f"    {row}\n" for row in dict.fromkeys(row for s in plan.counted(cloud) for row in s.rows)),
        end="",
    )
    if given:
        limits.require_within(bill, cloud, cap, minutes)
    return 0


def write(run: Run, root: Path, folder: Path, text: str) -> None:
    """Write a report, and print where it is and what may be left."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.md").write_text(text)
    say(f"\nreport   {(folder / 'report.md').relative_to(root)}")
    if run.left:
        print(
            f"{run.cloud.stack}: something may be left in the account: {run.left}. "
            f"Run `make acceptance-{run.cloud.name} ARGS=--destroy`, then `fab sweep`.",
            file=sys.stderr,
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

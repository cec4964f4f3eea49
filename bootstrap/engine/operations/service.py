"""A systemd unit: enabled, running, and running what its unit and watched files say now."""

from __future__ import annotations

from bootstrap import paths
from bootstrap.engine.operations.shell import Scripts, bounded, comment, has_content, quote, write_file
from bootstrap.engine.role import Service

UNITS = "/etc/systemd/system"
READY_INTERVAL = 0.3
"""Seconds between two tries of `ready`."""
READY_TRY_TIMEOUT = 15
JOURNAL_LINES = 30


def scripts(spec: Service, content: str) -> Scripts:
    """Write the unit, enable it, restart it when what it runs has changed, and wait until it is ready.

    The stamp is written last, so a start that did not get ready is tried again by the next run.
    """
    unit = spec.name if "." in spec.name else f"{spec.name}.service"
    path, name = f"{UNITS}/{unit}", quote(unit)
    stamp = quote(f"{paths.STAMPS}/{unit}")
    watched = " ".join(quote(file) for file in [path, *spec.watch])
    # Names stay in: two files that swap their contents are a change.
    sums = f"sums=$(sha256sum {watched})\nnow=$(printf '%s' \"$sums\" | sha256sum | cut -d' ' -f1)"
    guard = f"""\
{has_content(path, content)}
systemctl is-enabled --quiet {name}
systemctl is-active --quiet {name}
{sums}
[ "$(cat {stamp})" = "$now" ]"""
    ready = ""
    if spec.ready is not None:
        ready = f"""
deadline=$(($(date +%s) + {spec.ready_timeout:.0f}))
until {bounded(spec.ready + " >/dev/null 2>&1", READY_TRY_TIMEOUT, tag="READY")}
do
  if systemctl is-failed --quiet {name}; then broken "it ended"; fi
  if [ "$(date +%s)" -ge "$deadline" ]; then broken "it is not ready after {spec.ready_timeout:g} s"; fi
  sleep {READY_INTERVAL}
done"""
    run = f"""\
{comment(f"start {unit}")}
broken() {{
  echo "{unit}: $1; the last lines of its journal:" >&2
  journalctl --no-pager -o cat -n {JOURNAL_LINES} -u {name} >&2 || true
  exit 1
}}
if ! {has_content(path, content)} 2>/dev/null; then
{write_file(path, content)}
  # Whatever it runs, it was perhaps started from what stood here.
  rm -f {stamp}
fi
systemctl daemon-reload
systemctl enable --quiet {name}
{sums}
if systemctl is-active --quiet {name} && [ "$(cat {stamp} 2>/dev/null)" = "$now" ]; then
  exit 0
fi
rm -f {stamp}
systemctl reset-failed {name} 2>/dev/null || true
systemctl restart {name} || broken "it does not start"{ready}
systemctl is-active --quiet {name} || broken "it ended"
mkdir -p {quote(paths.STAMPS)}
echo "$now" >{stamp}"""
    return Scripts(guard, run)

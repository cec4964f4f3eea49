"""Service operation: a systemd unit, enabled and running with its current unit and watched files."""

from __future__ import annotations

from pydantic import Field

from bootstrap import paths
from bootstrap.engine.operations.base import Operation
from bootstrap.engine.operations.shell import Scripts, bounded, comment, has_content, quote, write_file

UNITS = "/etc/systemd/system"
READY_INTERVAL = 0.3
"""Seconds between two attempts of `ready`."""
READY_TRY_TIMEOUT = 15
JOURNAL_LINES = 30


class Service(Operation):
    """A systemd unit: enabled, running, and restarted when the unit or a `watch` file has changed."""

    name: str
    template: str
    watch: list[str] = Field(default=[])
    ready: str | None = None
    """Command polled after a start until it ends with 0."""
    ready_timeout: float = 120.0

    @property
    def template_file(self) -> str | None:
        """See `Operation.template_file`."""
        return self.template

    def scripts(self, text: str | None = None) -> Scripts:
        """Write the unit, enable it, restart it when a watched file has changed, and wait until it is ready.

        The stamp is written last, so the next run retries a start that did not become ready.
        """
        content = text or ""
        unit = self.name if "." in self.name else f"{self.name}.service"
        path, name = f"{UNITS}/{unit}", quote(unit)
        stamp = quote(f"{paths.STAMPS}/{unit}")
        watched = " ".join(quote(file) for file in [path, *self.watch])
        # Names stay in: two files that swap their contents are a change.
        sums = f"sums=$(sha256sum {watched})\nnow=$(printf '%s' \"$sums\" | sha256sum | cut -d' ' -f1)"
        guard = f"""\
{has_content(path, content)}
systemctl is-enabled --quiet {name}
systemctl is-active --quiet {name}
{sums}
[ "$(cat {stamp})" = "$now" ]"""
        ready = ""
        if self.ready is not None:
            ready = f"""
deadline=$(($(date +%s) + {self.ready_timeout:.0f}))
until {bounded(self.ready + " >/dev/null 2>&1", READY_TRY_TIMEOUT, tag="READY")}
do
  if systemctl is-failed --quiet {name}; then broken "it ended"; fi
  if [ "$(date +%s)" -ge "$deadline" ]; then broken "it is not ready after {self.ready_timeout:g} s"; fi
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

"""Shell of units that begin their script again when a signal has ended it or the node went down.

systemd runs such a unit from a file of its own, also after a reboot, until the script has ended by itself or
somebody has stopped the unit. The file `restarts` in the unit's folder counts; the script finds the number in
a variable of its environment, and goes on with what it did before.
"""

from __future__ import annotations

import shlex
from typing import Final

UNITS: Final = "/etc/systemd/system"
LOST: Final = 137
"""Status of a script that was lost too often, as of a process that SIGKILL has ended."""
STOPPED: Final = 143
"""Status of a unit that somebody has stopped, as of a process that SIGTERM has ended."""
MOST: Final = 10
"""Times that a script begins again, after which the unit counts as killed."""
_TARGET: Final = "multi-user.target"
_AFTER: Final = (
    "network-online.target hdfs-namenode.service spark-master.service yarn-resourcemanager.service"
)
"""Units that a job's script needs on a head; systemd ignores those that a node does not have."""
_PAUSE_S: Final = 1


def launch(name: str, folder: str, *, variable: str, clear: str, grace: int) -> str:
    """Return shell that starts the unit, in its folder, with the words in `$prefix` before the script.

    `variable` tells the script how often it has begun again; `clear` is shell that runs whenever the script
    has ended, `grace` the seconds between SIGTERM and SIGKILL.
    """
    unit = f"""\
[Unit]
Description=Job of caffe-spark, which goes on after a restart
After={_AFTER}
StartLimitIntervalSec=0

[Service]
ExecStart=/bin/sh {folder}/begin.sh
ExecStopPost=/bin/sh {folder}/end.sh
KillMode=control-group
TimeoutStopSec={grace}
OOMPolicy=continue
Restart=on-abnormal
RestartSec={_PAUSE_S}

[Install]
WantedBy={_TARGET}
"""
    begin = f"""\
if [ ! -e status ]; then
    n=0
    [ ! -e restarts ] || n=$(($(head -c 8 restarts) + 1))
    while :; do
        code={LOST}
        [ "$n" -le {MOST} ] || break
        echo "$n" >restarts.new && mv restarts.new restarts
        $as env {variable}="$n" sh ./run.sh >>log 2>&1 </dev/null
        code=$?
        {clear or ":"}
        [ ! -e status ] || break
        # As systemd has it: these signals, and YARN's kill, are somebody's wish.
        case $code in ? | ?? | 1[01]? | 12[0-8] | 129 | 130 | 141 | 143) break ;; esac
        n=$((n + 1))
        sleep {_PAUSE_S}
    done
    [ -e status ] || {{ echo "$code" >status.new && mv status.new status; }}
fi
{_remove(name)}
"""
    end = f"""\
cd {shlex.quote(folder)} || exit
# Stopped by somebody: it does not begin at the next boot. A node that goes down stops all units, too.
[ "$SERVICE_RESULT" = success ] && [ ! -e status ] || exit 0
[ "$(systemctl is-system-running)" != stopping ] || exit 0
echo {STOPPED} >status.new && mv status.new status
{_remove(name)}
"""
    path = shlex.quote(f"{UNITS}/{name}.service")
    return f"""\
rm -f restarts
printf %s {shlex.quote(end)} >end.sh
{{
echo "cd {shlex.quote(folder)} || exit"
echo "as='$prefix'"
printf %s {shlex.quote(begin)}
}} >begin.sh
printf %s {shlex.quote(unit)} >{path}
systemctl enable --quiet {shlex.quote(name)} && systemctl start --no-block {shlex.quote(name)} || {{
    {_remove(name)}
    exit 1
}}
"""


def forget(name: str) -> str:
    """Return shell after which the unit does not begin again."""
    path = shlex.quote(f"{UNITS}/{name}.service")
    return f"[ ! -e {path} ] || {{ {_remove(name)}; systemctl daemon-reload; }}"


def state(name: str) -> str:
    """Return shell that prints the state of a unit of either kind; `activating` while it waits for a boot."""
    return (
        f"state=$(systemctl is-active {shlex.quote(name)} || true)\n"
        f'case $state in active | failed) ;; *) {_waits(name)} && state=activating ;; esac\necho "$state"'
    )


def listed(prefix: str) -> str:
    """Return shell that prints the names of units that wait for a boot, each without its prefix."""
    return (
        f"for name in $(ls {UNITS} 2>/dev/null | sed -n 's/^{prefix}\\(.*\\)\\.service$/\\1/p'); do\n"
        f'    if {_waits(prefix + "$name")}; then echo "$name"; fi\ndone'
    )


def _waits(name: str) -> str:
    """Return shell that is true of a unit that begins again and has not run since the node has booted."""
    ran = f'$(systemctl show --property=InactiveExitTimestampMonotonic --value "{name}" 2>/dev/null)'
    return f'{{ [ -e "{UNITS}/{name}.service" ] && [ "{ran}" -eq 0 ] 2>/dev/null; }}'


def _remove(name: str) -> str:
    files = (f"{UNITS}/{name}.service", f"{UNITS}/{_TARGET}.wants/{name}.service")
    return f"rm -f {shlex.join(files)}"

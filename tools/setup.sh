#!/bin/sh
# Find a Python >= 3.10 that can create virtual environments, else install the distribution's, then run
# tools/setup.py.
set -eu
cd "$(dirname "$0")/.."

usable='import ensurepip, sys, venv; assert sys.version_info >= (3, 10); print(getattr(sys, "_base_executable", sys.executable))'

find_python() {
    # .venv first: print the Python that it was created from, with which setup ran before.
    for python in .venv/bin/python python3 /usr/bin/python3 python3.14 python3.13 python3.12 python3.11 python3.10; do
        if "$python" -c "$usable" 2>/dev/null; then return; fi
    done
}

python=$(find_python)
if [ -z "$python" ]; then
    packages=$(sed -n '/^\[python\]/,/^\[/s/^any *= *//p' tools/packages.ini)
    become=
    if [ "$(id -u)" -ne 0 ]; then become=sudo; fi
    if ! command -v apt-get >/dev/null; then
        echo "Python: this machine has no Python 3.10 or newer with venv, and no apt-get. Install one, then rerun the command." >&2
        exit 1
    fi
    if [ -n "$become" ] && ! command -v sudo >/dev/null; then
        echo "packages $packages: they are missing, and installing them takes root or sudo. As root, run \`apt-get install $packages\`, then rerun the command." >&2
        exit 1
    fi
    echo "  packages $packages …"
    mkdir -p .state/log
    $become apt-get -q update >>.state/log/packages.log 2>&1 || true
    if ! $become env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends --no-remove \
        $packages >>.state/log/packages.log 2>&1; then
        tail -n 5 .state/log/packages.log >&2
        echo "packages $packages: apt-get failed; the full log is .state/log/packages.log. Run \`$become apt-get install $packages\`, then rerun the command." >&2
        exit 1
    fi
    python=$(find_python)
fi
if [ -z "$python" ]; then
    echo "Python: neither this machine nor its distribution has Python 3.10 or newer. Install it, then rerun the command." >&2
    exit 1
fi
exec "$python" -m tools.setup "$@"

"""Checks that report the versions of a node's programs, for `fab doctor`."""

from __future__ import annotations

from typing import Final

from bootstrap import paths
from bootstrap.engine.command import Check

_PROGRAMS: Final = {
    "Spark": f"{paths.PYTHON} -c 'import pyspark; print(pyspark.__version__)'",
    # `Hadoop 3.5.0`, then lines about its source.
    "Hadoop": f"{paths.HDFS} version | sed -n 's/^Hadoop //p'",
    # `openjdk version "17.0.15" 2026-…`, on stderr
    "Java": '/opt/java/bin/java -version 2>&1 | sed -n \'s/.* version "\\([^"]*\\)".*/\\1/p\'',
    "Python": f"{paths.PYTHON} -V | cut -d' ' -f2",
}
"""Commands that print a version, on nodes of our roles and on HDInsight's alike."""
NAMES: Final = tuple(_PROGRAMS)


def checks() -> list[Check]:
    """Return a check per program: its detail is the version, and it fails where none is printed. Pure."""
    return [
        Check(
            "",
            name,
            f'cd /\nfound=$({{ {command}; }} 2>/dev/null)\necho "${{found:-it does not say its version}}"\n'
            "case $found in [0-9]*) ;; *) exit 1 ;; esac",
            "Run `fab bootstrap`, which installs it.",
        )
        for name, command in _PROGRAMS.items()
    ]

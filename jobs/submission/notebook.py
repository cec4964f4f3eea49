"""Notebook server on the head: its installation, and the script that runs it as the job user. Pure."""

from __future__ import annotations

import shlex
from pathlib import PurePosixPath

from bootstrap import paths
from bootstrap.cluster import Cluster
from jobs.job import JobPlace
from jobs.spec import JobSpec
from jobs.submission.spark_submit import environment, jvm_settings, script, settings
from jobs.trainer.contract import EVENTS_ENV, OVERRIDE_ENV, PYTHON_ARGS_CONF, TRAINER_FILE

PORT = 8888
"""Port on the head's loopback."""
ACCESS_FILE = ".access"
"""File of the job user with the server's token."""
_APT = "apt-get -q -o DPkg::Lock::Timeout=300"
INSTALL = (
    "python3 -c 'import notebook, ipykernel' 2>/dev/null || "
    f"{{ export DEBIAN_FRONTEND=noninteractive; {_APT} update && "
    f"{_APT} install -y --no-install-recommends jupyter-notebook python3-ipykernel; }}\n"
)
"""Shell that installs the distribution's notebook server, verified by apt."""
_STARTUP = """\
from pyspark import SparkContext
from pyspark.sql import SparkSession

sc = SparkContext.getOrCreate()
spark = SparkSession.builder.getOrCreate()
"""
"""Run by each notebook's kernel: the names that notebooks of Spark have."""


def shipped(spec: JobSpec, cluster: Cluster) -> dict[str, bytes]:
    """Return the specification's files, with sources below `hdfs:///data` where the stack has them."""
    ours = f"{cluster.shared_storage.rstrip('/')}{paths.DATA}/".encode()
    return {file.name: file.read_bytes().replace(b'"hdfs:///data/', b'"' + ours) for file in spec.shipped}


def notebook_script(spec: JobSpec, cluster: Cluster, place: JobPlace, arguments: list[str]) -> str:
    """Return the shell script that serves notebooks; a Spark session of the specification's size in each."""
    conf = {
        **settings(spec, cluster, place),
        **jvm_settings(cluster),
        PYTHON_ARGS_CONF: " ".join(arguments),
    }
    submit = [
        *["--master", cluster.spark_master, "--name", place.id],
        *[word for name, value in conf.items() for word in ("--conf", f"{name}={value}")],
        *["--files", ",".join(file.name for file in spec.shipped), "--py-files", TRAINER_FILE],
        "pyspark-shell",
    ]
    exports = {
        **environment(spec, cluster, place),
        "PYSPARK_PYTHON": paths.PYTHON,
        "PYSPARK_SUBMIT_ARGS": shlex.join(submit),
        **{
            name: str(PurePosixPath(place.work) / folder)
            for name, folder in (
                ("IPYTHONDIR", ".ipython"),
                ("JUPYTER_CONFIG_DIR", ".jupyter"),
                ("JUPYTER_DATA_DIR", ".jupyter/data"),
                ("JUPYTER_RUNTIME_DIR", ".jupyter/runtime"),
            )
        },
    }
    # Cells show the events; values of the specification would replace what users write into their prototxts.
    given = (EVENTS_ENV, OVERRIDE_ENV)
    exports = {name: value for name, value in exports.items() if not name.startswith(given)}
    site = f"$({paths.PYTHON} -c 'import sysconfig; print(sysconfig.get_path(\"purelib\"))')"
    before = (
        f'spark_site="$(dirname "$(readlink -f {paths.SPARK_HOME})")"\n'
        f'export PYTHONPATH="$PWD/{TRAINER_FILE}:$PYTHONPATH:$spark_site:{site}"\n'
        "mkdir -p .ipython/profile_default/startup\n"
        f"printf %s {shlex.quote(_STARTUP)} >.ipython/profile_default/startup/00-spark.py\n"
        f"( umask 077; od -An -N24 -tx1 /dev/urandom | tr -d ' \\n' >{ACCESS_FILE} )\n"
        f'JUPYTER_TOKEN="$(cat {ACCESS_FILE})"; export JUPYTER_TOKEN\n'
    )
    command = ["python3", "-m", "notebook", "--no-browser", "--ip=127.0.0.1", f"--port={PORT}"]
    return script(place, exports, [*command, "--port-retries=0"], before=before)

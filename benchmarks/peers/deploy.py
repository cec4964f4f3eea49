"""The steps of role/role.yaml for pyinfra."""

from io import StringIO
from pathlib import Path

from pyinfra.operations import apt, files, server, systemd

SCRIPT = "#!/bin/sh\nexec sleep infinity\n"
UNIT = (Path(__file__).parent / "role/templates/bench.service.j2").read_text()

apt.packages(packages=["jq", "tree"], no_recommends=True, update=True, cache_time=86400, _sudo=True)
server.user(user="bench", home="/home/bench", shell="/usr/sbin/nologin", system=True, _sudo=True)
files.directory(path="/etc/bench", mode="755", _sudo=True)
files.directory(path="/var/lib/bench", mode="750", user="bench", _sudo=True)
files.put(src=StringIO("workers = 3\n"), dest="/etc/bench/a.conf", _sudo=True)
files.put(src=StringIO("memory = 2048\n"), dest="/etc/bench/b.conf", _sudo=True)
files.put(src=StringIO("cores = 2\n"), dest="/etc/bench/c.conf", mode="640", _sudo=True)
files.put(
    src=StringIO("#!/bin/sh\nexec sleep infinity\n"), dest="/usr/local/bin/bench", mode="755", _sudo=True
)
files.line(path="/etc/bench/lines", line="a = 1", _sudo=True)
files.line(path="/etc/bench/lines", line="b = 2", _sudo=True)
files.directory(path="/var/log/bench", user="bench", _sudo=True)
files.put(src=StringIO(UNIT), dest="/etc/systemd/system/bench.service", _sudo=True)
systemd.service(service="bench", running=True, enabled=True, daemon_reload=False, _sudo=True)

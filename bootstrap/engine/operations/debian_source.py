"""Debian source operation: an exact version of a source package, from the node's mirror, unpacked."""

from __future__ import annotations

from pydantic import Field

from bootstrap import paths
from bootstrap.engine.operations.base import Operation
from bootstrap.engine.operations.shell import BAD_SUM, Scripts, comment, quote, replace_folder

MARKER = ".caffe-spark-source"

# The first mirror of the node's own that is not the security one; options such as [trusted=yes] go with it.
_MIRROR = r"""
mirror=$(
  {
    sed -n 's/^deb[[:space:]]\{1,\}\(\[[^]]*\][[:space:]]*\)\{0,1\}\([^[:space:]]\{1,\}\).*/\1\2/p' \
      /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null || true
    sed -n 's/^URIs:[[:space:]]*\([^[:space:]]\{1,\}\).*/\1/p' \
      /etc/apt/sources.list.d/*.sources 2>/dev/null || true
  } | grep -v security | head -n 1
)
if [ -z "$mirror" ]; then
  echo 'no package mirror is named in /etc/apt/sources.list or /etc/apt/sources.list.d' >&2
  exit 1
fi
""".strip()


class DebianSource(Operation):
    """A Debian source package, unpacked; the original tarball must have this sha256."""

    package: str
    version: str
    suite: str
    components: list[str] = Field(default=["main"])
    orig_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    dest: str
    debian_patches: bool = False
    """Apply Debian's own patches too (needs dpkg-dev)."""

    def scripts(self, text: str | None = None) -> Scripts:
        """Download through apt, which checks signatures; then compare the tarball with its pinned sum.

        The node's package lists stay as they are: the suite gets a source list and an index of its own.
        """
        marker = quote(f"{self.dest}/{MARKER}")
        patched = "patched" if self.debian_patches else "original"
        state = f"{self.package} {self.version} {self.orig_sha256} {patched}"
        guard = f'[ "$(cat {marker})" = {quote(state)} ]'
        dest, new = quote(self.dest), quote(self.dest + ".new")
        apt_folder = quote(f"{paths.STATE}/apt/{self.suite}")
        unpack = (
            # dpkg-source wants to make the folder itself.
            f'dpkg-source --no-check -x "$folder"/*.dsc {new}'
            if self.debian_patches
            else f"""\
# One folder on top is left out, as dpkg-source does; snapshots of a repository come without one.
top=$(tar -tf "$tarball" | sed 's#^\\./##; /^$/d; s#/.*##' | sort -u)
strip=0
if [ "$(printf '%s\\n' "$top" | wc -l)" -eq 1 ]; then strip=1; fi
mkdir {new}
(umask 022; tar -xf "$tarball" -C {new} --strip-components="$strip" --no-same-owner --no-same-permissions)"""
        )
        run = f"""\
{comment(f"apt-get source {self.package}={self.version} ({self.suite}) into {self.dest}")}
{_MIRROR}
apt={apt_folder}
folder={quote(self.dest + ".download")}
trap 'rm -rf "$folder" '{quote(new)} EXIT
rm -rf "$folder" {new}
mkdir -p "$apt/lists/partial" "$folder" "$(dirname {dest})"
# Builds on one node share the suite's index, and apt gives up where another apt is at work.
exec 8>"$apt/lock"
flock 8
echo "deb-src $mirror {self.suite} {" ".join(self.components)}" >"$apt/sources.list"
from_suite() {{
  apt-get -q -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=- \\
    -o Dir::State::lists="$apt/lists" -o APT::Sandbox::User=root -o Acquire::Retries=2 \\
    -o Acquire::Check-Valid-Until=false -o APT::Update::Error-Mode=any "$@"
}}
from_suite update || from_suite update
cd "$folder"
from_suite source --download-only {quote(f"{self.package}={self.version}")}
exec 8>&-
tarball=$(find "$folder" -name '*.orig.tar.*' ! -name '*.asc' | head -n 1)
if [ -z "$tarball" ]; then
  echo '{self.package} {self.version} comes without an .orig tarball' >&2
  exit 1
fi
got=$(sha256sum <"$tarball" | cut -d' ' -f1)
if [ "$got" != {self.orig_sha256} ]; then
  echo "$(basename "$tarball"): sha256 is $got, expected {self.orig_sha256}; removed it" >&2
  exit {BAD_SUM}
fi
cd /
{unpack}
echo {quote(state)} >{quote(f"{self.dest}.new/{MARKER}")}
{replace_folder(self.dest + ".new", self.dest)}"""
        return Scripts(guard, run)

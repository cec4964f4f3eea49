"""A Debian source package in an exact version, from the node's own mirror, unpacked."""

from __future__ import annotations

from bootstrap import paths
from bootstrap.engine.operations.shell import Scripts, comment, quote, replace_folder
from bootstrap.engine.role import DebianSource

MARKER = ".caffe-spark-source"
BAD_SUM = 3
"""Exit status when a sha256 differs."""

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


def scripts(spec: DebianSource) -> Scripts:
    """Download through apt, which checks signatures; then check our own pinned sum of the original tarball.

    The node's package lists stay as they are: the suite gets a source list and an index of its own.
    """
    marker = quote(f"{spec.dest}/{MARKER}")
    patched = "patched" if spec.debian_patches else "original"
    state = f"{spec.package} {spec.version} {spec.orig_sha256} {patched}"
    guard = f'[ "$(cat {marker})" = {quote(state)} ]'
    dest, new = quote(spec.dest), quote(spec.dest + ".new")
    apt_folder = quote(f"{paths.STATE}/apt/{spec.suite}")
    unpack = (
        # dpkg-source wants to make the folder itself.
        f'dpkg-source --no-check -x "$folder"/*.dsc {new}'
        if spec.debian_patches
        else f"""\
# One folder on top is left out, as dpkg-source does; snapshots of a repository come without one.
top=$(tar -tf "$tarball" | sed 's#^\\./##; /^$/d; s#/.*##' | sort -u)
strip=0
if [ "$(printf '%s\\n' "$top" | wc -l)" -eq 1 ]; then strip=1; fi
mkdir {new}
tar -xf "$tarball" -C {new} --strip-components="$strip" --no-same-owner"""
    )
    run = f"""\
{comment(f"apt-get source {spec.package}={spec.version} ({spec.suite}) into {spec.dest}")}
{_MIRROR}
apt={apt_folder}
folder={quote(spec.dest + ".download")}
trap 'rm -rf "$folder" '{quote(new)} EXIT
rm -rf "$folder" {new}
mkdir -p "$apt/lists/partial" "$folder" "$(dirname {dest})"
# Builds on one node share the suite's index, and apt gives up where another apt is at work.
exec 8>"$apt/lock"
flock 8
echo "deb-src $mirror {spec.suite} {" ".join(spec.components)}" >"$apt/sources.list"
from_suite() {{
  apt-get -q -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=- \\
    -o Dir::State::lists="$apt/lists" -o APT::Sandbox::User=root -o Acquire::Retries=2 \\
    -o Acquire::Check-Valid-Until=false -o APT::Update::Error-Mode=any "$@"
}}
from_suite update || from_suite update
cd "$folder"
from_suite source --download-only {quote(f"{spec.package}={spec.version}")}
exec 8>&-
tarball=$(find "$folder" -name '*.orig.tar.*' ! -name '*.asc' | head -n 1)
if [ -z "$tarball" ]; then
  echo '{spec.package} {spec.version} comes without an .orig tarball' >&2
  exit 1
fi
got=$(sha256sum <"$tarball" | cut -d' ' -f1)
if [ "$got" != {spec.orig_sha256} ]; then
  echo "$(basename "$tarball"): sha256 is $got, expected {spec.orig_sha256}; removed it" >&2
  exit {BAD_SUM}
fi
cd /
{unpack}
echo {quote(state)} >{quote(f"{spec.dest}.new/{MARKER}")}
{replace_folder(spec.dest + ".new", spec.dest)}"""
    return Scripts(guard, run)

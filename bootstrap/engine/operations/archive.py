"""A tarball: fetched, verified, unpacked into a folder, and then linked at once."""

from __future__ import annotations

import re

from bootstrap.engine.operations.shell import Scripts, comment, quote, replace_folder
from bootstrap.engine.role import Archive
from bootstrap.errors import ConfigError

MARKER = ".sha256"
"""In the unpacked folder: the sum of the tarball it came from."""
BAD_SUM = 3
"""Exit status when a sha256 differs."""

_SUM = re.compile(r"[0-9a-f]{64}|\$\(.+\)", re.DOTALL)


def scripts(spec: Archive) -> Scripts:
    """Fetch unless the folder is there from the same bytes; nothing is seen half unpacked.

    Raises:
        ConfigError: `sha256` is neither a sum nor a `$(…)` that prints one.
    """
    sha256 = spec.sha256.strip()
    if not _SUM.fullmatch(sha256):
        raise ConfigError(
            f"sha256 {spec.sha256!r} of {spec.dest}",
            "it is neither 64 hexadecimal digits nor $(command)",
            "Give one of these.",
        )
    marker = quote(f"{spec.dest}/{MARKER}")
    # What prints the sum may be a .sha256 file, which has the file's name behind it.
    want = f'want={sha256} || want=\nwant=${{want%%[[:space:]]*}}\n[ "${{#want}}" -eq 64 ]'
    guard = [want, f'[ "$(cat {marker})" = "$want" ]']
    dest, new = quote(spec.dest), quote(spec.dest + ".new")
    run = f"""\
{comment(f"fetch and unpack {spec.dest}")}
{want} || {{
  echo "the sha256 that {spec.dest} has to have is not known: got '$want'" >&2
  exit 1
}}
if [ "$(cat {marker} 2>/dev/null)" != "$want" ]; then
  out={quote(spec.dest + ".part")}
  export out
  trap 'rm -rf "$out" '{quote(new)} EXIT
  rm -rf "$out" {new}
  mkdir -p "$(dirname {dest})"
  {spec.fetch}
  got=$(sha256sum <"$out" | cut -d' ' -f1)
  if [ "$got" != "$want" ]; then
    echo "archive for {spec.dest}: sha256 is $got, expected $want; removed it" >&2
    exit {BAD_SUM}
  fi
  mkdir {new}
  tar -xf "$out" -C {new} --no-same-owner
  echo "$want" >{quote(f"{spec.dest}.new/{MARKER}")}
  {replace_folder(spec.dest + ".new", spec.dest)}
fi"""
    if spec.link is not None:
        link, aside = quote(spec.link), quote(spec.link + ".new")
        guard.append(f'[ "$(readlink {link})" = {dest} ]')
        # Only a rename swaps a link at once: `ln -sf` removes it first.
        run += f'\nmkdir -p "$(dirname {link})"\nrm -f {aside}\nln -s {dest} {aside}\nmv -fT {aside} {link}'
    return Scripts("\n".join(guard), run)

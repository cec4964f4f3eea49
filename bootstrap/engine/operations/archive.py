"""Archive operation: a tarball, verified, unpacked into a folder, and linked atomically."""

from __future__ import annotations

import re

from bootstrap.engine.operations.base import Operation
from bootstrap.engine.operations.shell import BAD_SUM, Scripts, comment, quote, replace_folder
from bootstrap.errors import ConfigError

MARKER = ".sha256"
"""File in the unpacked folder that holds the sum of its tarball."""

_SUM = re.compile(r"[0-9a-f]{64}|\$\(.+\)", re.DOTALL)


class Archive(Operation):
    """A tarball fetched by `fetch` (a command that writes to $out), verified, unpacked, then linked.

    `sha256` may be a shell expression in $(…) where the sum is only known on the node.
    """

    fetch: str
    sha256: str
    dest: str
    link: str | None = None

    def scripts(self, text: str | None = None) -> Scripts:
        """Fetch unless the folder was unpacked from the same bytes; it is replaced as a whole.

        Raises:
            ConfigError: `sha256` is neither a sum nor a `$(…)` that prints one.
        """
        sha256 = self.sha256.strip()
        if not _SUM.fullmatch(sha256):
            raise ConfigError(
                f"sha256 {self.sha256!r} of {self.dest}",
                "it is neither 64 hexadecimal digits nor $(command)",
                "Give one of these.",
            )
        marker = quote(f"{self.dest}/{MARKER}")
        # What prints the sum may be a .sha256 file, which has the file's name behind it.
        want = f'want={sha256} || want=\nwant=${{want%%[[:space:]]*}}\n[ "${{#want}}" -eq 64 ]'
        guard = [want, f'[ "$(cat {marker})" = "$want" ]']
        dest, new = quote(self.dest), quote(self.dest + ".new")
        run = f"""\
{comment(f"fetch and unpack {self.dest}")}
{want} || {{
  echo "the sha256 that {self.dest} has to have is not known: got '$want'" >&2
  exit 1
}}
if [ "$(cat {marker} 2>/dev/null)" != "$want" ]; then
  out={quote(self.dest + ".part")}
  export out
  trap 'rm -rf "$out" '{quote(new)} EXIT
  rm -rf "$out" {new}
  mkdir -p "$(dirname {dest})"
  {self.fetch}
  got=$(sha256sum <"$out" | cut -d' ' -f1)
  if [ "$got" != "$want" ]; then
    echo "archive for {self.dest}: sha256 is $got, expected $want; removed it" >&2
    exit {BAD_SUM}
  fi
  mkdir {new}
  # No set-user-id bit, no owner and no write permission of the archive survives.
  (umask 022; tar -xf "$out" -C {new} --no-same-owner --no-same-permissions)
  echo "$want" >{quote(f"{self.dest}.new/{MARKER}")}
  {replace_folder(self.dest + ".new", self.dest)}
fi"""
        if self.link is not None:
            link, aside = quote(self.link), quote(self.link + ".new")
            guard.append(f'[ "$(readlink {link})" = {dest} ]')
            # Only a rename swaps a link at once: `ln -sf` removes it first.
            run += (
                f'\nmkdir -p "$(dirname {link})"\nrm -f {aside}\nln -s {dest} {aside}\nmv -fT {aside} {link}'
            )
        return Scripts("\n".join(guard), run)

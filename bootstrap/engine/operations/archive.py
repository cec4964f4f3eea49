"""Archive operation: a tarball, verified, unpacked into a folder, and linked atomically."""

from __future__ import annotations

from bootstrap.engine.operations.base import Operation
from bootstrap.engine.operations.shell import BAD_SUM, SUM, Scripts, comment, quote, replace_folder
from bootstrap.errors import ConfigError

MARKER = ".sha256"
"""File in the unpacked folder that holds the sum of its tarball."""


class Archive(Operation):
    """A tarball fetched by `fetch` (a command that writes to $out), verified, unpacked, then linked.

    `sha256` is known before the node is reached: a sum that lies beside the tarball proves nothing.
    """

    fetch: str
    sha256: str
    dest: str
    link: str | None = None

    def scripts(self, text: str | None = None) -> Scripts:
        """Fetch unless the folder was unpacked from the same bytes; it is replaced as a whole.

        Raises:
            ConfigError: `sha256` is not a sum, e.g. a command that would print one on the node.
        """
        sha256 = self.sha256.strip()
        if not SUM.fullmatch(sha256):
            raise ConfigError(
                f"sha256 {self.sha256!r} of {self.dest}",
                "it is not 64 hexadecimal digits",
                "Pin the sum in the role's defaults.yaml.",
            )
        marker = quote(f"{self.dest}/{MARKER}")
        guard = [f'[ "$(cat {marker})" = {sha256} ]']
        dest, new = quote(self.dest), quote(self.dest + ".new")
        run = f"""\
{comment(f"fetch and unpack {self.dest}")}
if [ "$(cat {marker} 2>/dev/null)" != {sha256} ]; then
  out={quote(self.dest + ".part")}
  export out
  trap 'rm -rf "$out" '{quote(new)} EXIT
  rm -rf "$out" {new}
  mkdir -p "$(dirname {dest})"
  {self.fetch}
  got=$(sha256sum <"$out" | cut -d' ' -f1)
  if [ "$got" != {sha256} ]; then
    echo "archive for {self.dest}: sha256 is $got, expected {sha256}; removed it" >&2
    exit {BAD_SUM}
  fi
  mkdir {new}
  # No set-user-id bit, no owner and no write permission of the archive survives.
  (umask 022; tar -xf "$out" -C {new} --no-same-owner --no-same-permissions)
  echo {sha256} >{quote(f"{self.dest}.new/{MARKER}")}
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

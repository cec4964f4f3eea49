"""Commands with the rights of another user, for what root must not read or write itself.

In a folder that a user may write, any name may be a link to a file that only root can read or write.
"""

from __future__ import annotations

AS_USER = """\
as_user() (
    user=$1; shift; cd /
    [ "$user" != "$(id -un)" ] || exec "$@"
    uid=$(id -u "$user") && gid=$(id -g "$user") && groups=$(id -G "$user" | tr ' ' ,) || exit 1
    exec setpriv --reuid="$uid" --regid="$gid" --groups="$groups" "$@"
)
"""
"""Shell function `as_user USER COMMAND…`. Unlike `runuser` it opens no session, for the journal to list."""

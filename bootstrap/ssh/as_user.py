"""Commands with the rights of another user, for what root must not read or write itself.

In a folder that a user may write, any name may be a link to a file that only root can read or write.
"""

from __future__ import annotations

AS_USER = """\
becoming() (
    uid=$(id -u "$1") && gid=$(id -g "$1") && groups=$(id -G "$1" | tr ' ' ,) || exit 1
    echo "setpriv --reuid=$uid --regid=$gid --groups=$groups"
)
as_user() (
    user=$1; shift; cd /
    [ "$user" != "$(id -un)" ] || exec "$@"
    words=$(becoming "$user") && exec $words "$@"
)
"""
"""Shell functions `as_user USER COMMAND…`, and `becoming USER`, which prints the words before such a command.

Unlike `runuser`, they open no session for the journal to list.
"""
